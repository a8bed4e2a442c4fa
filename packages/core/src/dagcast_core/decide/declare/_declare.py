"""What a plan may decide and what it has to keep, declared by name.

Limits are numbers, or one number per label. Sums over hours of a rate are amounts: a budget on
USD/h is in USD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final

from torch import Tensor

from dagcast_core.contract import Weighted
from dagcast_core.tensor import IndexTensor

__all__ = [
    "Budget",
    "Constraint",
    "Fallback",
    "Fixed",
    "Lever",
    "Objective",
    "OutcomeLimit",
    "Ramp",
]

Labels: TypeAlias = Mapping[str, tuple[object, ...]]
Limit: TypeAlias = float | Mapping[object, float]
Groups: TypeAlias = Mapping[str, Mapping[Any, object]]
Known: TypeAlias = Mapping[str, IndexTensor]


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
    """The sum of a lever, or of several in the same unit, is at most a limit.

    Args:
        lever: what is summed; several names are one purse.
        limit: amount, or amount by label of ``by``: of the one dim, or tuples of several dims.
        by: dims that have a sum each; none means one sum over everything.
        where: labels that the sum is restricted to, by dim.
        unit: of the limit; checked if given.
        groups: by dim in ``by``, label -> group: sums are then by group, and labels without one
            are outside.
    """

    lever: str | tuple[str, ...]
    limit: Limit
    by: tuple[str, ...] = ()
    where: Labels = field(default_factory=dict)
    unit: str | None = None
    groups: Groups = field(default_factory=dict)

    @property
    def levers(self) -> tuple[str, ...]:
        """Names of what is summed."""
        return (self.lever,) if isinstance(self.lever, str) else tuple(self.lever)

    @property
    def name(self) -> str:
        """For people."""
        return " + ".join(self.levers)


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
        limit: number, or number by label of ``by``: of the one dim, or tuples of several dims.
        by: dims that have a limit each.
        reduce: "mean", "sum" or ``Weighted(name)`` over the other dims.
        where: labels that it is restricted to, by dim.
        unit: of the limit; checked if given.
        groups: by dim in ``by``, label -> group: limits are then by group, and labels without one
            are outside.
        chance: least share of the parameter draws under which the limit is kept; without it the
            limit is on the mean over the draws.
        cautious: ask that even the mean of the worst ``1 - chance`` of the draws keeps the limit.
            That implies the chance and keeps a convex limit convex, but asks for more than the
            chance alone; False asks for the chance itself, for which a plan is best known at most.
    """

    quantity: str
    sense: Literal["<=", ">="]
    limit: Limit
    by: tuple[str, ...] = ()
    reduce: Literal["mean", "sum"] | Weighted = "mean"
    where: Labels = field(default_factory=dict)
    unit: str | None = None
    groups: Groups = field(default_factory=dict)
    chance: float | None = None
    cautious: bool = True


@final
@dataclass(frozen=True)
class Objective:
    """What is made largest or least.

    Args:
        quantity: name of an output or a lever, whose sum over all cells it is; weights by name, for
            a weighted sum; or a differentiable function of all outputs, levers and context by name
            that returns one number.
        sense: "max" or "min".
        unit: of the objective, where the weights or the function give it another than the
            quantity's.
        label: name for people.
    """

    quantity: str | Mapping[str, float] | Callable[[Known], IndexTensor | Tensor]
    sense: Literal["max", "min"] = "max"
    unit: str | None = None
    label: str | None = None

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight by quantity; none for a function."""
        if isinstance(self.quantity, str):
            return {self.quantity: 1.0}
        return dict(self.quantity) if isinstance(self.quantity, Mapping) else {}

    @property
    def name(self) -> str:
        """For people."""
        if self.label is not None:
            return self.label
        if isinstance(self.quantity, str):
            return self.quantity
        if isinstance(self.quantity, Mapping):
            return " + ".join(f"{weight:g} {name}" for name, weight in self.quantity.items())
        return str(getattr(self.quantity, "__name__", type(self.quantity).__name__)).strip("<>")


@final
@dataclass(frozen=True)
class Fallback:
    """A rule decides the cells whose response is too uncertain to optimise.

    The response of a cell is the change of ``quantity``, summed over all its cells, per unit of
    lever there. Where the interval of the response over the parameter draws is wider than ``width``
    times its middle, the cell is fixed by the rule and flagged.

    Args:
        lever: whose cells.
        rule: "current" (the current plan), "zero" (the lower bound), a number (that share of the
            current plan), a tensor of values, or a function of the current plan that returns one.
            Values are moved as far as bounds, budgets and ramps require, together with the current
            plan of the other cells, so that they take no more than their share of a budget.
        width: largest width of the interval that is left to the solver, relative to the middle.
        quantity: an output; the objective's quantity by default.
        level: of the interval.
    """

    lever: str
    rule: (
        Literal["current", "zero"] | float | IndexTensor | Callable[[IndexTensor], IndexTensor]
    ) = "current"
    width: float = 1.0
    quantity: str | None = None
    level: float = 0.9

    @property
    def rule_name(self) -> str:
        """The rule for people."""
        if isinstance(self.rule, str):
            return {"current": "the current plan", "zero": "the lower bound"}.get(
                self.rule, self.rule
            )
        if self.rule == 1.0:
            return "the current plan"
        if isinstance(self.rule, int | float):
            return f"{self.rule:.0%} of the current plan"
        if isinstance(self.rule, IndexTensor):
            return "given values"
        return str(getattr(self.rule, "__name__", "a function")).strip("<>")


Constraint: TypeAlias = Budget | Ramp | Fixed | Fallback | OutcomeLimit
