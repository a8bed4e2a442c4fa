"""A decision problem: levers, objective and limits on a forecast, checked before solving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from dagcast_core.contract import Contract, Quantity, Screen
from dagcast_core.decide.declare._checks import check
from dagcast_core.decide.declare._declare import (
    Constraint,
    Fallback,
    Lever,
    Objective,
    OutcomeLimit,
)
from dagcast_core.decide.declare._risk import Risk
from dagcast_core.decide.declare._space import Space
from dagcast_core.decide.declare._words import constraint_words
from dagcast_core.model import Model, ParameterDraws, Residual
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["DecisionProblem"]


@final
@dataclass(frozen=True)
class DecisionProblem:
    """What to decide, through which model, for what, and within which limits.

    Args:
        model: forecasts outcomes from levers and context; usually a collection.
        levers: what is decided.
        objective: what is made best.
        constraints: budgets, ramps, fixed cells and limits on outcomes.
        context: every other input of the model over the hours to decide, such as exogenous
            forecasts; it may hold a lever, which then lends its labels.
        current: the plan in force; lends labels, starts the solver, and bounds the first steps of
            ramps with hours before the horizon.
        concave: declare that the objective is concave and the outcome limits convex in the levers;
            otherwise the solver tests it on random points and says so.
        residuals: by quantity, what its model did not foresee; added to the forecast. For
            hindsight.
        draws: of the model's parameters. With them the objective and every outcome limit are
            measured over all draws, inside one evaluation; the plan's forecast stays that of the
            fitted parameters.
        risk: how the objective weighs the draws; their mean by default.

    Raises:
        DecisionError: an unknown name or label, a limit in the wrong unit, a negative budget, a
            limit on a quantity that no lever reaches, a limit that concerns no cell, or draws of
            another model.
    """

    model: Model
    levers: Sequence[Lever]
    objective: Objective
    constraints: Sequence[Constraint]
    context: Panel
    current: Panel | None = None
    concave: bool | None = None
    residuals: Mapping[str, Residual] = field(default_factory=dict)
    draws: ParameterDraws | None = None
    risk: Risk | None = None

    def __post_init__(self) -> None:
        for name in ("levers", "constraints"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check(self)

    @property
    def contract(self) -> Contract:
        """The model's."""
        return self.model.contract

    def quantity(self, name: str) -> Quantity:
        """Declaration of an input or output of the model."""
        for item in self.contract.outputs:
            if item.name == name:
                return item
        return self.contract.input(name).quantity

    def __repr__(self) -> str:
        return str(self._screen())

    def _repr_html_(self) -> str:
        return self._screen().html()

    def _screen(self) -> Screen:
        goal, unit = self.objective, self.objective.unit
        rows = [
            ("best", f"{goal.sense} {goal.name}" + (f" in {unit}" if unit else "")),
            *(("decide", _lever_words(item, self.quantity(item.name))) for item in self.levers),
            *(("limit", constraint_words(item)) for item in self.constraints),
            ("given", ", ".join(self.context) or "-"),
        ]
        if self.draws is not None:
            risk = self.measured_risk.measure
            rows.append(("draws", f"{len(self.draws)} of the parameters, objective: {risk}"))
        return Screen(
            f"DecisionProblem through {self.contract.model} {self.contract.version}, "
            f"{self.space().size:,} cells",
            tuple(rows),
        )

    @property
    def measured_risk(self) -> Risk:
        """How the objective weighs the draws."""
        return self.risk or Risk()

    def certain(self) -> DecisionProblem:
        """The same problem at the fitted parameters alone: no draws, chances or fallback rules."""
        if self.draws is None:
            return self
        kept = tuple(
            replace(item, chance=None) if isinstance(item, OutcomeLimit) else item
            for item in self.constraints
            if not isinstance(item, Fallback)
        )
        return replace(self, constraints=kept, draws=None, risk=None)

    def space(self) -> Space:
        """The cells that are decided."""
        return Space({lever.name: self.template(lever.name) for lever in self.levers})

    def template(self, lever: str) -> IndexTensor:
        """A tensor with the dims and labels of a lever, in the order of its declaration."""
        dims = self.quantity(lever).dim_names
        given: IndexTensor | None = None
        for panel in (self.context, self.current):
            if panel is not None and lever in panel:
                given = panel[lever]
                break
        indexes = {}
        for dim in dims:
            others = [t for name, t in self.context.items() if name != lever and dim in t.dims]
            if others:
                # The hours to decide are those of the context, not of a current plan that began
                # earlier.
                indexes[dim] = others[0].index(dim)
            elif given is not None and dim in given.dims:
                indexes[dim] = given.index(dim)
            else:
                raise DecisionError(
                    f"labels of lever {lever!r} along {dim!r} are unknown: neither the context "
                    "nor the "
                    f"current plan has them. Put {lever!r} into current, zeros will do."
                )
        return IndexTensor.zeros(indexes, lever)


def _lever_words(lever: Lever, quantity: Quantity) -> str:
    ends = [
        f"{end:g}" if isinstance(end, int | float) else "by cell"
        for end in (lever.lower, lever.upper)
    ]
    dims = ", ".join(quantity.dim_names)
    return f"{lever.name} ({dims}) from {ends[0]} to {ends[1]} {quantity.unit}"
