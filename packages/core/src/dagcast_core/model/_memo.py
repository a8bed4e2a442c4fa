"""Reuse of forward results: a branch whose inputs and parameters did not change is not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch

from dagcast_core.tensor import IndexTensor


@final
class Memo:
    """The last inputs and outputs of one model.

    Only results that carry no gradient are kept: a graph can be walked backwards once.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._held: tuple[torch.Tensor, ...] = ()
        self._outputs: dict[str, IndexTensor] = {}
        self.hits = 0

    def get(
        self, model: torch.nn.Module, inputs: Mapping[str, IndexTensor]
    ) -> dict[str, IndexTensor] | None:
        """The outputs, if they are those of these very inputs and parameters."""
        if self._key is None or _swapped(model) or _needs_gradient(model, inputs):
            return None
        if self._key != _key(model, inputs):
            return None
        self.hits += 1
        return self._outputs

    def put(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, IndexTensor],
        outputs: dict[str, IndexTensor],
    ) -> None:
        """Keep the outputs if they carry no gradient."""
        if torch.compiler.is_compiling() or _swapped(model) or _needs_gradient(model, inputs):
            return
        self._key = _key(model, inputs)
        # Holding the tensors keeps their identities from being given to others.
        self._held = tuple(given.tensor for given in inputs.values())
        self._outputs = outputs

    def __deepcopy__(self, memo: dict[int, object]) -> Memo:
        return Memo()

    def __reduce__(self) -> tuple[object, ...]:
        return (Memo, ())


def _swapped(model: torch.nn.Module) -> bool:
    """Whether `torch.func.functional_call` lends the model passing tensors as parameters.

    Their identities go to others once the call is over, so nothing may be kept by them.
    """
    return any(not isinstance(p, torch.nn.Parameter) for p in model.parameters())


def _needs_gradient(model: torch.nn.Module, inputs: Mapping[str, IndexTensor]) -> bool:
    if not torch.is_grad_enabled():
        return False
    return any(given.tensor.requires_grad for given in inputs.values()) or any(
        parameter.requires_grad for parameter in model.parameters()
    )


def _key(model: torch.nn.Module, inputs: Mapping[str, IndexTensor]) -> tuple[object, ...]:
    # Layouts are interned: equal labels are one object. Versions count changes in place.
    return (
        tuple((name, id(x.tensor), x.tensor._version, x.layout) for name, x in inputs.items()),
        tuple((id(p), p._version) for p in model.parameters()),
        tuple((id(b), b._version) for b in model.buffers()),
    )
