"""`IndexTensor`: a torch tensor with a pandas index along every named dim."""

from __future__ import annotations

from typing import Any, final

import torch
from torch.utils import _pytree as pytree

from dagcast_core.tensor._autograd import Autograd
from dagcast_core.tensor._base import new
from dagcast_core.tensor._convert import Convert
from dagcast_core.tensor._dispatch import dispatch
from dagcast_core.tensor._elementwise import Elementwise
from dagcast_core.tensor._group import Group
from dagcast_core.tensor._layout import Layout
from dagcast_core.tensor._reduce import Reduce
from dagcast_core.tensor._reshape import Reshape
from dagcast_core.tensor._select import Select
from dagcast_core.tensor._store import Store


@final
class IndexTensor(
    Elementwise, Select, Reduce, Group, Reshape, Convert, Autograd, Store
):
    """A torch tensor with a pandas index along every named dim, and a name.

    Operations join their operands by label: by default they keep the labels that both sides
    have, in the order of the left side, and dims that one side lacks are broadcast. Gradients
    flow through all of it.

    Args:
        tensor: a torch tensor, which is wrapped as it is, or numbers, which are copied.
        indexes: labels by name of dim or by `Dim`, in the order of the tensor's dims.
        name: what the values are called.

    Raises:
        AlignmentError: shape and labels do not fit, or labels are missing (NaN).

    Example:
        >>> sessions = IndexTensor([10.0, 20.0], {"region": ["SFO", "LAX"]}, "sessions")
        >>> conversion = IndexTensor([0.5, 0.4], {"region": ["LAX", "SFO"]}, "conversion")
        >>> rides = (sessions * conversion).named("rides")
        >>> rides
        IndexTensor 'rides' (region: 2) float64 cpu
          region  'SFO', 'LAX'
        >>> rides.tolist()
        [4.0, 10.0]
    """

    __slots__ = ()

    @classmethod
    def __torch_function__(
        cls,
        function: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let ``torch.exp(a)`` and its like work on labelled tensors."""
        return dispatch(function, args, kwargs or {})


def _flatten(value: IndexTensor) -> tuple[list[Any], tuple[Layout, str | None]]:
    return [value._tensor], (value._layout, value._name)


def _unflatten(leaves: Any, context: tuple[Layout, str | None]) -> Any:
    (leaf,) = leaves
    if isinstance(leaf, torch.Tensor) and leaf.dim() != len(context[0].dims):
        # torch.func.jacrev adds dims that have no labels here; see `jacobian` for those that do.
        return leaf
    out = new(IndexTensor)
    out._tensor = leaf
    out._layout, out._name = context
    return out


# torch.func looks into its arguments through this registry.
pytree.register_pytree_node(
    IndexTensor, _flatten, _unflatten, serialized_type_name="dagcast_core.tensor.IndexTensor"
)
