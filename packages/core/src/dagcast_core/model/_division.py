"""A unit's parameters divided into blocks, each of which its predictions depend on separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import pandas as pd
import torch

from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._unit import Unit


@final
@dataclass(frozen=True)
class Slot:
    """Where the values of one parameter sit among blocks and shared variables.

    Attributes:
        positions: index into the flat vector of each value; (block, inner) for local parameters,
            (inner,) for shared ones.
        local: whether the values belong to blocks.
        offset: first place within a block, or within the shared variables.
    """

    positions: torch.Tensor
    local: bool
    offset: int

    @property
    def inner(self) -> int:
        """Number of values per block, or of shared values."""
        return int(self.positions.shape[-1])

    @property
    def place(self) -> slice:
        """Where the values sit within a block, or within the shared variables."""
        return slice(self.offset, self.offset + self.inner)


@final
@dataclass(frozen=True)
class Division:
    """A unit's parameters divided into one block per label of a dim, and shared variables.

    Attributes:
        dim: the dim of the blocks, None where all parameters form one block.
        labels: its labels.
        slots: one per parameter, in the order of the flat vector.
    """

    dim: str | None
    labels: pd.Index | None
    slots: tuple[Slot, ...]

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return 1 if self.labels is None else len(self.labels)

    @property
    def inner(self) -> int:
        """Number of values per block."""
        return sum(slot.inner for slot in self.slots if slot.local)

    @property
    def shared(self) -> int:
        """Number of shared values."""
        return sum(slot.inner for slot in self.slots if not slot.local)


def divided(unit: Unit) -> Division:
    """Divide a unit's parameters by the dim that most of their values have, other than time."""
    modules = labelled_by_raw(unit)
    sizes: dict[tuple[str, int], int] = {}
    indexes: dict[tuple[str, int], pd.Index] = {}
    predicted = {
        dim for part in unit.parts for q in part.model.contract.outputs for dim in q.dim_names
    }
    for parameter in unit.flat.parameters:
        module = modules.get(id(parameter))
        known = {} if module is None else module.indexes
        for dim, index in known.items():
            if dim in predicted and not isinstance(index, pd.DatetimeIndex):
                side = (dim, len(index))
                if side in indexes and not index.equals(indexes[side]):
                    continue
                indexes[side] = index
                sizes[side] = sizes.get(side, 0) + parameter.numel()
    if not sizes:
        return _undivided(unit)
    chosen = max(sizes, key=lambda key: sizes[key])
    name, blocks = chosen
    slots: list[Slot] = []
    start, inner, shared = 0, 0, 0
    for parameter in unit.flat.parameters:
        positions = torch.arange(start, start + parameter.numel()).reshape(parameter.shape)
        start += parameter.numel()
        module = modules.get(id(parameter))
        if module is None or not _has(module, name, indexes[chosen]):
            slots.append(Slot(positions.reshape(-1), False, shared))
            shared += parameter.numel()
            continue
        by_block = positions.movedim(module.dims.index(name), 0).reshape(blocks, -1)
        slots.append(Slot(by_block, True, inner))
        inner += by_block.shape[1]
    return Division(name, indexes[chosen], tuple(slots))


def _undivided(unit: Unit) -> Division:
    slots: list[Slot] = []
    start = 0
    for parameter in unit.flat.parameters:
        positions = torch.arange(start, start + parameter.numel()).reshape(1, -1)
        slots.append(Slot(positions, True, start))
        start += parameter.numel()
    return Division(None, None, tuple(slots))


def _has(module: LabelledParameter, dim: str, index: pd.Index) -> bool:
    return dim in module.dims and module.indexes[dim].equals(index)


def labelled_by_raw(unit: Unit) -> dict[int, LabelledParameter]:
    """Labelled parameters by the identity of their raw tensor."""
    return {
        id(module.raw): module
        for part in unit.parts
        for module in part.model.modules()
        if isinstance(module, LabelledParameter)
    }
