"""Bounds of cells: there from levers and set cells, back to the cells that break them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.declare import DecisionProblem, Fixed, Lever, Space
from dagcast_core.solver import DecisionError, EmptySetError, LinearSet
from dagcast_core.tensor import IndexTensor

__all__ = ["Bounds", "and_more", "ends_of", "fixed_values"]


@final
@dataclass(frozen=True)
class Bounds:
    """Least and greatest value of every cell; cells that are set have one value.

    Attributes:
        space: the cells.
        lower: (cells,).
        upper: (cells,), may hold inf.
    """

    space: Space
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, problem: DecisionProblem, space: Space) -> Bounds:
        """Bounds of the levers, closed where people set cells.

        Raises:
            DecisionError: a cell is set twice, or outside its lever's bounds.
        """
        ends = [ends_of(lever, space) for lever in problem.levers]
        lower = torch.cat([low.reshape(-1) for low, _ in ends])
        upper = torch.cat([high.reshape(-1) for _, high in ends])
        fixed = torch.full_like(lower, float("nan"))
        for item in problem.constraints:
            if isinstance(item, Fixed):
                _close(item, space, lower, upper, fixed)
        return cls(space, lower, upper)

    def crossed(self, error: EmptySetError) -> DecisionError:
        """Cells whose bounds cross along ramps, by name."""
        cells = [self.space.where(place[0]) for place in error.places]
        return DecisionError(
            f"no decision keeps bounds, fixed cells and ramps at {', '.join(cells)}, to begin "
            "with: the lower end is above the upper end once the ramp is applied. Widen the ramp "
            "there, or change the bounds or the fixed cells."
        )

    def broken(self, linear: LinearSet, x: Tensor, tolerance: float) -> list[str]:
        """The worst fixed cell and the worst other cell outside their bounds, and how many.

        Args:
            linear: with the bounds that first steps of ramps leave.
            x: (cells,) decisions.
            tolerance: relative to the size of a cell.
        """
        found = []
        outside = torch.maximum(linear.lower - x, x - linear.upper) / linear.scale()
        fixed = linear.lower == linear.upper
        for chosen, words in ((fixed, "is set to"), (~fixed, "may be")):
            bad = torch.nonzero((outside > tolerance) & chosen).flatten()
            if bad.numel():
                cell = int(bad[outside[bad].argmax()])
                ends = f"{float(linear.lower[cell]):g}"
                if not bool(fixed[cell]):
                    ends += f" to {float(linear.upper[cell]):g}"
                found.append(
                    f"{self.space.where(cell)} = {float(x[cell]):g} {words} "
                    f"{ends}{and_more(bad, 'cell')}"
                )
        return found


def ends_of(lever: Lever, space: Space) -> tuple[Tensor, Tensor]:
    """Bounds of a lever in its own shape."""
    shape = tuple(space.templates[lever.name].shape)
    low, high = (
        space.values_like(end, lever.name, f"{what} bounds")
        if isinstance(end, IndexTensor)
        else torch.full(shape, float(end), dtype=torch.float64)
        for end, what in ((lever.lower, "lower"), (lever.upper, "upper"))
    )
    return low, high


def fixed_values(item: Fixed, space: Space) -> Tensor:
    """Values that people set, in the lever's shape, NaN where nothing is set."""
    template = space.templates[item.lever]
    wanted = {dim: template.index(dim) for dim in template.dims}
    return item.values.double().reindex(wanted, fill=float("nan")).values(*template.dims)


def and_more(bad: Tensor, noun: str) -> str:
    """How many there are besides the one that is named."""
    count = bad.numel() - 1
    return f" (and {count} more {noun}{'s' if count > 1 else ''})" if count else ""


def _close(item: Fixed, space: Space, lower: Tensor, upper: Tensor, fixed: Tensor) -> None:
    """Close bounds where people set cells, in place."""
    part = space.slices[item.lever]
    flat = fixed_values(item, space).reshape(-1)
    known = torch.isfinite(flat)
    twice = known & torch.isfinite(fixed[part]) & (flat != fixed[part])
    if bool(twice.any()):
        cell = int(torch.nonzero(twice)[0])
        raise DecisionError(
            f"fixed cell {space.where(part.start + cell)} is set twice, to "
            f"{float(fixed[part][cell]):g} and to {float(flat[cell]):g}. Set it once."
        )
    fixed[part] = torch.where(known, flat, fixed[part])
    outside = known & ((flat < lower[part]) | (flat > upper[part]))
    if bool(outside.any()):
        cell = int(torch.nonzero(outside)[0])
        raise DecisionError(
            f"fixed cell {space.where(part.start + cell)} = {float(flat[cell]):g} is "
            f"outside its bounds {float(lower[part][cell]):g} to "
            f"{float(upper[part][cell]):g}. "
            "Change the value or the lever's bounds."
        )
    lower[part] = torch.where(known, flat, lower[part])
    upper[part] = torch.where(known, flat, upper[part])
