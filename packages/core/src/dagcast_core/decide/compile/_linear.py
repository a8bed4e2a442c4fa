"""What decisions keep to by themselves: bounds, budgets and ramps as one linear set, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._bounds import Bounds
from dagcast_core.decide.compile._budgets import Budgets
from dagcast_core.decide.compile._ramps import Ramps
from dagcast_core.decide.declare import DecisionProblem, Space
from dagcast_core.solver import DecisionError, EmptySetError, LinearSet

__all__ = ["Linear"]


@final
@dataclass(frozen=True)
class Linear:
    """The linear part of a problem, step by step.

    Attributes:
        bounds: of levers and fixed cells.
        budgets: rows.
        ramps: chains.
        set: all of it over flat cells.
    """

    bounds: Bounds
    budgets: Budgets
    ramps: Ramps
    set: LinearSet

    @classmethod
    def of(cls, problem: DecisionProblem, space: Space) -> Linear:
        """The linear set of a problem.

        Raises:
            DecisionError: see the steps.
        """
        bounds = Bounds.of(problem, space)
        budgets = Budgets.of(problem, space)
        ramps = Ramps.of(problem, bounds)
        first = ramps.chains[0] if ramps.chains else None
        found = LinearSet(ramps.lower, ramps.upper, budgets.layers, first, ramps.chains[1:])
        return cls(bounds, budgets, ramps, found)

    def baseline(self) -> Tensor:
        """The least decisions, (cells,), which lifts are measured from.

        Raises:
            DecisionError: a cell has no lower bound.
        """
        lower = self.set.lower
        if bool(torch.isinf(lower).any()):
            cell = int(torch.nonzero(torch.isinf(lower))[0])
            raise DecisionError(
                f"{self.bounds.space.where(cell)} has no lower bound; give the lever one."
            )
        return lower.clone()

    def explained(self, error: EmptySetError) -> DecisionError:
        """Limits that contradict one another, in labels and amounts."""
        if error.kind == "bounds":
            return self.bounds.crossed(error)
        return self.budgets.overspent(error)

    def broken(self, x: Tensor, tolerance: float) -> tuple[str, ...]:
        """Bounds, fixed cells and ramps that decisions break: the worst of each, and how many.

        Args:
            x: (cells,) decisions.
            tolerance: relative to the size of a cell, or to the ramp's limit.
        """
        bounds = self.bounds.broken(self.set, x, tolerance)
        return (*bounds, *self.ramps.broken(self.set, x, tolerance))
