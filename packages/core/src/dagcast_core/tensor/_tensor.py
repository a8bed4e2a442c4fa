"""`IndexTensor`: a torch tensor with a pandas index along every named dim."""

from __future__ import annotations

import operator
from typing import Any, final

import torch
from torch.utils import _pytree as pytree

from dagcast_core.tensor._align import Operand, binary
from dagcast_core.tensor._along import Along
from dagcast_core.tensor._autograd import Autograd
from dagcast_core.tensor._base import new, wrap
from dagcast_core.tensor._convert import Convert
from dagcast_core.tensor._create import Create
from dagcast_core.tensor._dispatch import dispatch
from dagcast_core.tensor._elementwise import Elementwise
from dagcast_core.tensor._group import Group
from dagcast_core.tensor._layout import Layout
from dagcast_core.tensor._operators import Operators
from dagcast_core.tensor._reduce import Reduce
from dagcast_core.tensor._reshape import Reshape
from dagcast_core.tensor._select import Select
from dagcast_core.tensor._settings import SETTINGS
from dagcast_core.tensor._store import Store

settings_in_force = SETTINGS.get


@final
class IndexTensor(
    Operators,
    Elementwise,
    Select,
    Reduce,
    Group,
    Reshape,
    Along,
    Create,
    Convert,
    Autograd,
    Store,
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

    # The four operators of the innermost loop stand here and not among the others, written out:
    # every call between the operator and torch would cost a tenth of the addition itself.

    def __add__(self, other: Operand) -> IndexTensor:
        if type(other) is IndexTensor:
            layout = self._layout
            partner = other._layout
            if partner is layout:
                out = new(IndexTensor)
                out._tensor = self._tensor + other._tensor
                out._layout = layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            known, under, plan = layout.recent
            if known is partner and under is settings_in_force() and plan.quiet:
                left, right = plan.left, plan.right
                out = new(IndexTensor)
                out._tensor = (self._tensor if left is None else left(self._tensor)) + (
                    other._tensor if right is None else right(other._tensor)
                )
                out._layout = plan.layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            return binary(operator.add, "+", self, other)
        if type(other) is float:
            return wrap(self, self._tensor + other, self._layout, self._name)
        return binary(operator.add, "+", self, other)

    def __sub__(self, other: Operand) -> IndexTensor:
        if type(other) is IndexTensor:
            layout = self._layout
            partner = other._layout
            if partner is layout:
                out = new(IndexTensor)
                out._tensor = self._tensor - other._tensor
                out._layout = layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            known, under, plan = layout.recent
            if known is partner and under is settings_in_force() and plan.quiet:
                left, right = plan.left, plan.right
                out = new(IndexTensor)
                out._tensor = (self._tensor if left is None else left(self._tensor)) - (
                    other._tensor if right is None else right(other._tensor)
                )
                out._layout = plan.layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            return binary(operator.sub, "-", self, other)
        if type(other) is float:
            return wrap(self, self._tensor - other, self._layout, self._name)
        return binary(operator.sub, "-", self, other)

    def __mul__(self, other: Operand) -> IndexTensor:
        if type(other) is IndexTensor:
            layout = self._layout
            partner = other._layout
            if partner is layout:
                out = new(IndexTensor)
                out._tensor = self._tensor * other._tensor
                out._layout = layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            known, under, plan = layout.recent
            if known is partner and under is settings_in_force() and plan.quiet:
                left, right = plan.left, plan.right
                out = new(IndexTensor)
                out._tensor = (self._tensor if left is None else left(self._tensor)) * (
                    other._tensor if right is None else right(other._tensor)
                )
                out._layout = plan.layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            return binary(operator.mul, "*", self, other)
        if type(other) is float:
            return wrap(self, self._tensor * other, self._layout, self._name)
        return binary(operator.mul, "*", self, other)

    def __truediv__(self, other: Operand) -> IndexTensor:
        if type(other) is IndexTensor:
            layout = self._layout
            partner = other._layout
            if partner is layout:
                out = new(IndexTensor)
                out._tensor = self._tensor / other._tensor
                out._layout = layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            known, under, plan = layout.recent
            if known is partner and under is settings_in_force() and plan.quiet:
                left, right = plan.left, plan.right
                out = new(IndexTensor)
                out._tensor = (self._tensor if left is None else left(self._tensor)) / (
                    other._tensor if right is None else right(other._tensor)
                )
                out._layout = plan.layout
                name = self._name
                out._name = name if name == other._name else None
                return out
            return binary(operator.truediv, "/", self, other)
        if type(other) is float:
            return wrap(self, self._tensor / other, self._layout, self._name)
        return binary(operator.truediv, "/", self, other)

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
