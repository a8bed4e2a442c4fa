"""How predictions depend on parameters, cell by cell: what a fit's certainty is computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._division import Division, Slot
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


def information(
    columns: Sequence[Columns], places: Sequence[slice], size: int, weight: torch.Tensor, block: int
) -> torch.Tensor:
    """``J' W J`` of one block and the shared variables, without writing one-hot columns out.

    With ``J = thick @ laid + H``, where ``H`` has one entry per cell and profile, a week of hours
    costs a sum per cell instead of a product of 168 columns with all others.

    Args:
        columns: derivatives by the values of each parameter.
        places: of those values among the columns of ``J``.
        size: number of columns of ``J``.
        weight: information of each cell; (cell,).
        block: which block.
    """
    profiles = [(c, place) for c, place in zip(columns, places, strict=True) if c.index is not None]
    width = sum(1 if c.index is not None else c.values.shape[-1] for c in columns)
    thick = weight.new_empty((len(weight), width))
    laid = weight.new_zeros((width, size))
    start = 0
    for own, place in zip(columns, places, strict=True):
        if own.common is not None:
            thick[:, start] = own.common[block]
            laid[start, place] = 1.0 / (place.stop - place.start)
            start += 1
        else:
            wide = own.values.shape[-1]
            thick[:, start : start + wide] = own.values[block]
            laid[start : start + wide, place] = torch.eye(wide, dtype=laid.dtype)
            start += wide
    weighted = weight.unsqueeze(1) * thick
    made = laid.mT @ (thick.mT @ weighted) @ laid
    if not profiles:
        return made
    entries = [(own.index[block] + place.start, own.values[block]) for own, place in profiles]  # type: ignore[index]
    mixed = weight.new_zeros((size, width))
    for index, value in entries:
        mixed.index_add_(0, index, value.unsqueeze(1) * weighted)
    mixed = mixed @ laid
    made += mixed + mixed.mT
    for index, value in entries:
        for other, beside in entries:
            made.view(-1).index_add_(0, index * size + other, value * beside * weight)
    return made


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
