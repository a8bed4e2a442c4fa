"""The objective: there as one number that is made largest, back in its own sense and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.declare import DecisionProblem, Objective, summed_unit
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["Goal", "objective_value"]


@final
@dataclass(frozen=True)
class Goal:
    """What is made best, for the solver and for people.

    Attributes:
        objective: as it was declared.
        sign: +1 where it is maximised, -1 where it is minimised.
        unit: as declared, or of its quantity, summed over hours; "mixed" for several units, "1" for
            a function without a declared unit.
    """

    objective: Objective
    sign: float
    unit: str

    @classmethod
    def of(cls, problem: DecisionProblem) -> Goal:
        """The goal of a problem."""
        sign = 1.0 if problem.objective.sense == "max" else -1.0
        return cls(problem.objective, sign, _unit(problem))

    @property
    def name(self) -> str:
        """For people."""
        return self.objective.name

    def maximised(self, known: Mapping[str, IndexTensor]) -> Tensor:
        """The objective, to be made largest, from outputs, levers and context."""
        found = objective_value(self.objective, known)
        return found if self.objective.sense == "max" else -found


def objective_value(objective: Objective, known: Mapping[str, IndexTensor]) -> Tensor:
    """The objective as it is declared, from outputs, levers and context.

    Raises:
        DecisionError: a function returns anything but one number.
    """
    if not callable(objective.quantity):
        parts = [weight * known[name].tensor.sum() for name, weight in objective.weights.items()]
        return torch.stack(parts).sum()
    found = objective.quantity(known)
    total = found.tensor if isinstance(found, IndexTensor) else found
    if not isinstance(total, Tensor) or total.ndim != 0:
        shape = tuple(total.shape) if isinstance(total, Tensor) else type(total).__name__
        raise DecisionError(
            f"the objective {objective.name!r} returns {shape}, not one number. Sum it over its "
            "dims with torch operations."
        )
    return total


def _unit(problem: DecisionProblem) -> str:
    if problem.objective.unit is not None:
        return problem.objective.unit
    units = {
        summed_unit(problem.quantity(name).unit)
        if problem.quantity(name).time_dim is not None
        else problem.quantity(name).unit
        for name in problem.objective.weights
    }
    if not units:
        return "1"
    return units.pop() if len(units) == 1 else "mixed"
