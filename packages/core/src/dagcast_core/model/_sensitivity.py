"""How predictions depend on parameters, cell by cell: what a fit's certainty is computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch

from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._unit import Unit
from dagcast_core.tensor import IndexTensor

_STEP = 1e-4
# Parameters with more values per block than this are first tried as one-hot: each cell depends on
# one of them, as on one hour of a weekly profile.
_WIDE = 24
# Share of cells that may depend on several values of such a parameter.
_EXCEPTIONS = 0.1


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


@final
@dataclass(frozen=True)
class Columns:
    """Derivatives of one prediction by the values of one parameter.

    Either dense, ``values[block, cell, inner]``, or one-hot: cell ``c`` of a block depends on value
    ``index[block, c]`` with derivative ``values[block, c]``, and on the mean of all values with
    derivative ``common[block, c]``, as where a profile is centred.
    """

    values: torch.Tensor
    index: torch.Tensor | None = None
    common: torch.Tensor | None = None

    def along(self, direction: torch.Tensor) -> torch.Tensor:
        """Derivative of each cell along values per block; (block, inner) to (block, cell)."""
        if self.index is None or self.common is None:
            return torch.einsum("rci,ri->rc", self.values, direction)
        mean = direction.mean(dim=1, keepdim=True)
        return self.values * direction.gather(1, self.index) + self.common * mean

    def fill(self, jacobian: torch.Tensor, block: int) -> None:
        """Write the derivatives of one block; (cell, inner)."""
        if self.index is None or self.common is None:
            jacobian.copy_(self.values[block])
            return
        jacobian.copy_((self.common[block] / jacobian.shape[1]).unsqueeze(1).expand_as(jacobian))
        jacobian.scatter_add_(1, self.index[block].unsqueeze(1), self.values[block].unsqueeze(1))


@final
class Sensitivity:
    """Finite differences of a unit's predictions, one direction for all blocks at once.

    Args:
        unit: at the parameters at which it is to be differentiated.
        division: blocks and shared variables.

    Attributes:
        names: predictions that a fitness term compares, once each.
        forwards: forward passes spent.
    """

    def __init__(self, unit: Unit, division: Division) -> None:
        self.unit, self.division = unit, division
        self.at = unit.flat.read()
        self.forwards = 1
        self._base = unit.outputs()
        self.names = tuple(dict.fromkeys(term.name for part in unit.parts for term, _ in part.data))

    def predicted(self, name: str) -> IndexTensor:
        """The prediction at the present parameters."""
        return self._base[name]

    def by_block(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """Cells of a prediction's layout as (block, cell); 0 for blocks that it lacks."""
        division, like = self.division, self._base[name]
        if division.dim is None or division.labels is None or division.dim not in like.dims:
            flat = values.reshape(1, -1)
            if division.blocks == 1:
                return flat
            # A prediction without the blocks' dim depends on shared variables only.
            return torch.cat([flat, flat.new_zeros((division.blocks - 1, flat.shape[1]))])
        moved = values.movedim(like.dims.index(division.dim), 0)
        moved = moved.reshape(moved.shape[0], -1)
        place = division.labels.get_indexer(like.index(division.dim))
        if len(place) == division.blocks and (place == range(division.blocks)).all():
            return moved
        known = torch.as_tensor(place >= 0)
        laid = moved.new_zeros((division.blocks, moved.shape[1]))
        laid[torch.as_tensor(place)[known]] = moved[known]
        return laid

    def along(self, direction: torch.Tensor) -> dict[str, torch.Tensor]:
        """Directional derivative of every compared prediction, as (block, cell)."""
        width = _STEP / float(direction.abs().max().clamp(min=1.0))
        above, below = self._shifted(width * direction), self._shifted(-width * direction)
        return {
            name: self.by_block(name, (above[name] - below[name]) / (2 * width))
            for name in self.names
        }

    def columns(self, slot: Slot) -> dict[str, Columns]:
        """Derivatives by the values of one parameter, by prediction."""
        if slot.inner > _WIDE:
            sparse = self._one_hot(slot)
            if sparse is not None:
                return sparse
        dense = [
            self.along(self._direction(slot, torch.eye(slot.inner)[i])) for i in range(slot.inner)
        ]
        return {
            name: Columns(torch.stack([column[name] for column in dense], dim=-1))
            for name in self.names
        }

    def _one_hot(self, slot: Slot) -> dict[str, Columns] | None:
        """One-hot columns from four products, or None where cells depend on several values.

        Values are coded by points on a circle: two products tell the angle, hence which value a
        cell depends on, up to the sign of the derivative, which a product with noise settles.
        """
        size = slot.inner
        angles = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        ones = torch.ones(size, dtype=torch.float64)
        plain, cosine, sine, check = (
            self.along(self._direction(slot, code))
            for code in (ones, angles.cos(), angles.sin(), noise)
        )
        found: dict[str, Columns] = {}
        for name in self.names:
            turn = torch.atan2(sine[name], cosine[name])
            best: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
            for sign in (1.0, -1.0):
                index = torch.round((turn + (0.0 if sign > 0 else math.pi)) / (2 * math.pi) * size)
                index = index.long() % size
                values = cosine[name] * angles[index].cos() + sine[name] * angles[index].sin()
                common = plain[name] - values
                error = (values * noise[index] + common * noise.mean() - check[name]).abs()
                if best is None:
                    best = (values, index, error)
                else:
                    better = error < best[2]
                    best = (
                        torch.where(better, values, best[0]),
                        torch.where(better, index, best[1]),
                        torch.minimum(error, best[2]),
                    )
            assert best is not None
            values, index, error = best
            wrong = error > 1e-4 * check[name].abs() + 1e-6 * check[name].abs().max()
            if float(wrong.to(torch.float64).mean()) > _EXCEPTIONS:
                return None
            # The few cells that mix several values (holidays, say) count for none of them.
            values = torch.where(wrong, torch.zeros_like(values), values)
            common = torch.where(wrong, torch.zeros_like(values), plain[name] - values)
            found[name] = Columns(values, index, common)
        return found

    def _direction(self, slot: Slot, along: torch.Tensor) -> torch.Tensor:
        direction = torch.zeros_like(self.at)
        direction[slot.positions] = along.to(direction.dtype).expand(slot.positions.shape)
        return direction

    def _shifted(self, by: torch.Tensor) -> dict[str, torch.Tensor]:
        self.unit.flat.write(self.at + by)
        try:
            outputs = self.unit.outputs(held=self._base)
        finally:
            self.unit.flat.write(self.at)
        self.forwards += 1
        return {name: outputs[name].tensor for name in self.names}


def mismatch(sensitivity: Sensitivity, columns: Sequence[dict[str, Columns]]) -> float:
    """Relative error of a random directional derivative: whether blocks are really separate."""
    division = sensitivity.division
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(sensitivity.at.shape, generator=generator, dtype=torch.float64)
    exact = sensitivity.along(direction)
    worst = 0.0
    for name in sensitivity.names:
        found = torch.zeros_like(exact[name])
        for slot, known in zip(division.slots, columns, strict=True):
            column = known[name]
            values = direction[slot.positions]  # (block, inner) or (inner,)
            found += column.along(values if slot.local else values.expand(division.blocks, -1))
        size = float(exact[name].norm())
        if size:
            worst = max(worst, float((found - exact[name]).norm()) / size)
    return worst
