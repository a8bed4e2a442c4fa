"""What a plan may decide and what it has to keep, declared by name.

Limits are numbers, or one number per label. Sums over hours of a rate are amounts: a budget on
USD/h is in USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

from dagcast_core.contract import Weighted
from dagcast_core.tensor import IndexTensor

__all__ = [
    "Budget",
    "Constraint",
    "DecisionError",
    "Fixed",
    "Lever",
    "Objective",
    "OutcomeLimit",
    "Ramp",
]

Labels: TypeAlias = Mapping[str, tuple[object, ...]]
Limit: TypeAlias = float | Mapping[object, float]


class DecisionError(ValueError):
    """A decision problem that cannot be meant.

    The message says what was asked and what to change.
    """


@final
@dataclass(frozen=True)
class Lever:
    """A quantity that the plan decides in every cell.

    Args:
        name: an input of the model.
        lower: least value of a cell, its unit; a tensor gives one per cell.
        upper: greatest value of a cell.
    """

    name: str
    lower: float | IndexTensor = 0.0
    upper: float | IndexTensor = float("inf")


@final
@dataclass(frozen=True)
class Budget:
    """The sum of a lever is at most a limit.

    Args:
        lever: what is summed.
        limit: amount, or amount by label of the one dim in ``by``.
        by: dims that have a sum each; none means one sum over everything.
        where: labels that the sum is restricted to, by dim.
        unit: of the limit; checked if given.
    """

    lever: str
    limit: Limit
    by: tuple[str, ...] = ()
    where: Labels = field(default_factory=dict)
    unit: str | None = None


@final
@dataclass(frozen=True)
class Ramp:
    """A lever changes by at most ``limit`` over ``step`` steps of ``dim``.

    Where the problem has a current plan before the first hour, the first steps are bounded by it
    too.
    """

    lever: str
    limit: float
    dim: str = "hour"
    step: int = 24


@final
@dataclass(frozen=True)
class Fixed:
    """Cells of a lever that people have set.

    Args:
        lever: whose cells.
        values: the cells with their values; labels it lacks, and NaN, stay free.
    """

    lever: str
    values: IndexTensor


@final
@dataclass(frozen=True)
class OutcomeLimit:
    """A forecast quantity, reduced over its other dims, keeps to a limit.

    Args:
        quantity: an output of the model.
        sense: "<=" or ">=".
        limit: number, or number by label of the one dim in ``by``.
        by: dims that have a limit each.
        reduce: "mean", "sum" or ``Weighted(name)`` over the other dims.
        where: labels that it is restricted to, by dim.
        unit: of the limit; checked if given.
    """

    quantity: str
    sense: Literal["<=", ">="]
    limit: Limit
    by: tuple[str, ...] = ()
    reduce: Literal["mean", "sum"] | Weighted = "mean"
    where: Labels = field(default_factory=dict)
    unit: str | None = None


@final
@dataclass(frozen=True)
class Objective:
    """The sum of a quantity over all cells, or a weighted sum of several, made largest or least.

    Args:
        quantity: an output's name, or weights by name.
        sense: "max" or "min".
    """

    quantity: str | Mapping[str, float]
    sense: Literal["max", "min"] = "max"

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight by quantity."""
        return {self.quantity: 1.0} if isinstance(self.quantity, str) else dict(self.quantity)

    @property
    def name(self) -> str:
        """For people."""
        if isinstance(self.quantity, str):
            return self.quantity
        return " + ".join(f"{weight:g} {name}" for name, weight in self.quantity.items())


Constraint: TypeAlias = Budget | Ramp | Fixed | OutcomeLimit
