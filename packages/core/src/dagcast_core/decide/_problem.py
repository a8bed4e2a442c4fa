"""A decision problem: levers, objective and constraints on a model's forecast.

Checked before solving.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from dagcast_core.contract import Contract, Quantity, Weighted
from dagcast_core.decide._declare import (
    Budget,
    Constraint,
    DecisionError,
    Fixed,
    Lever,
    Objective,
    OutcomeLimit,
    Ramp,
)
from dagcast_core.decide._space import Space, closest
from dagcast_core.model import Model, ModelCollection, Residual
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["DecisionProblem", "summed_unit"]


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

    Raises:
        DecisionError: an unknown name or label, a limit in the wrong unit, a negative budget, or a
            limit on a quantity that no lever reaches.
    """

    model: Model
    levers: Sequence[Lever]
    objective: Objective
    constraints: Sequence[Constraint]
    context: Panel
    current: Panel | None = None
    concave: bool | None = None
    residuals: Mapping[str, Residual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("levers", "constraints"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

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


def summed_unit(unit: str) -> str:
    """Unit of a rate per hour summed over hours."""
    return unit.removesuffix("/h")


def _check(problem: DecisionProblem) -> None:
    contract = problem.contract
    inputs = [item.name for item in contract.inputs]
    outputs = list(contract.output_names)
    levers = [lever.name for lever in problem.levers]
    if not levers:
        raise DecisionError("a decision problem without levers decides nothing; add a Lever.")
    for name in levers:
        if name not in inputs:
            raise DecisionError(
                f"lever {name!r} is no input of {contract.model}. {closest(name, inputs)}"
            )
        if levers.count(name) > 1:
            raise DecisionError(f"lever {name!r} is declared twice.")
    for name in problem.objective.weights:
        if name not in outputs:
            raise DecisionError(
                f"objective {name!r} is no output of {contract.model}. {closest(name, outputs)}"
            )
    missing = [
        item.name
        for item in contract.inputs
        if item.required and item.name not in levers and item.name not in problem.context
    ]
    if missing:
        raise DecisionError(
            f"the context lacks {', '.join(map(repr, missing))}, which {contract.model} needs; "
            f"it has {', '.join(map(repr, problem.context))}."
        )
    reached = _reached(problem.model, set(levers))
    for constraint in problem.constraints:
        if isinstance(constraint, OutcomeLimit):
            _check_outcome(problem, constraint, outputs, reached)
        elif isinstance(constraint, Budget | Ramp | Fixed):
            _check_linear(problem, constraint, levers)
        else:
            raise DecisionError(
                f"{type(constraint).__name__} is no constraint; use Budget, Ramp, Fixed or "
                "OutcomeLimit."
            )
    if problem.objective.weights and not set(problem.objective.weights) & reached:
        raise DecisionError(
            f"no lever reaches the objective {problem.objective.name!r}: no model of "
            f"{contract.model} leads from {', '.join(levers)} to it."
        )
    space = problem.space()
    for lever in problem.levers:
        for what in ("lower", "upper"):
            value = getattr(lever, what)
            if isinstance(value, IndexTensor):
                space.values_like(value, lever.name, f"{what} bounds")
            elif math.isnan(value):
                raise DecisionError(f"the {what} bound of {lever.name!r} is NaN.")
        plain = not isinstance(lever.lower, IndexTensor) and not isinstance(
            lever.upper, IndexTensor
        )
        if plain and lever.lower > lever.upper:
            raise DecisionError(
                f"bounds of {lever.name!r} cross: lower {lever.lower:g} is above upper "
                f"{lever.upper:g}."
            )


def _reached(model: Model, levers: set[str]) -> set[str]:
    """Outputs downstream of a lever, by the wiring of the models."""
    contracts = [model.contract]
    if isinstance(model, ModelCollection):
        contracts = [model.wiring.contracts[name] for name in model.order]
    found = set(levers)
    # Lagged loops may reach backwards in the order: repeat until nothing is added.
    while True:
        more = {
            output
            for contract in contracts
            if found & set(contract.input_names)
            for output in contract.output_names
        } - found
        if not more:
            return found - levers
        found |= more


def _check_outcome(
    problem: DecisionProblem, limit: OutcomeLimit, outputs: list[str], reached: set[str]
) -> None:
    what = f"the limit on {limit.quantity!r}"
    if limit.quantity not in outputs:
        raise DecisionError(
            f"{what} concerns no output of {problem.contract.model}. "
            f"{closest(limit.quantity, outputs)}"
        )
    if limit.sense not in ("<=", ">="):
        raise DecisionError(f"{what} has sense {limit.sense!r}; write '<=' or '>='.")
    quantity = problem.quantity(limit.quantity)
    for dim in (*limit.by, *limit.where):
        if dim not in quantity.dim_names:
            raise DecisionError(
                f"{what} names the dim {dim!r}, which it does not have. "
                f"{closest(dim, quantity.dim_names)}"
            )
    if isinstance(limit.reduce, Weighted):
        known = [*outputs, *(item.name for item in problem.contract.inputs)]
        if limit.reduce.by not in known:
            raise DecisionError(
                f"{what} is weighted by {limit.reduce.by!r}, which {problem.contract.model} does "
                "not "
                f"know. {closest(limit.reduce.by, known)}"
            )
    elif limit.reduce not in ("mean", "sum"):
        raise DecisionError(
            f"{what} has reduce {limit.reduce!r}; write 'mean', 'sum' or Weighted(name)."
        )
    _check_unit(limit.unit, outcome_unit(quantity, limit), what)
    if limit.quantity not in reached:
        raise DecisionError(
            f"{what} cannot be influenced: no model of {problem.contract.model} leads from "
            f"{', '.join(lever.name for lever in problem.levers)} to it. "
            "Remove the limit, or add the model that joins them."
        )


def outcome_unit(quantity: Quantity, limit: OutcomeLimit) -> str:
    """Unit in which an outcome limit is stated."""
    time = quantity.time_dim
    if limit.reduce == "sum" and time is not None and time.name not in limit.by:
        return summed_unit(quantity.unit)
    return quantity.unit


def budget_unit(quantity: Quantity, budget: Budget) -> str:
    """Unit in which a budget is stated."""
    time = quantity.time_dim
    return (
        summed_unit(quantity.unit) if time is None or time.name not in budget.by else quantity.unit
    )


def _check_linear(problem: DecisionProblem, item: Budget | Ramp | Fixed, levers: list[str]) -> None:
    kind = type(item).__name__.lower()
    if item.lever not in levers:
        raise DecisionError(
            f"the {kind} concerns {item.lever!r}, which is no lever here. "
            f"{closest(item.lever, levers)}"
        )
    quantity = problem.quantity(item.lever)
    if isinstance(item, Budget):
        what = f"the budget of {item.lever!r}"
        values = item.limit.values() if isinstance(item.limit, Mapping) else [item.limit]
        for value in values:
            if not value >= 0:
                raise DecisionError(f"{what} is {value:g}; a budget is at least 0.")
        _check_unit(item.unit, budget_unit(quantity, item), what)
    elif isinstance(item, Ramp):
        if item.dim not in quantity.dim_names:
            raise DecisionError(
                f"the ramp of {item.lever!r} runs along {item.dim!r}, which it does not have. "
                f"{closest(item.dim, quantity.dim_names)}"
            )
        if not item.limit >= 0 or item.step < 1:
            raise DecisionError(
                f"the ramp of {item.lever!r} has limit {item.limit:g} and step {item.step}; "
                "the limit is at least 0 and the step at least 1."
            )


def _check_unit(given: str | None, expected: str, what: str) -> None:
    if given is not None and given != expected:
        raise DecisionError(
            f"{what} is stated in {given!r}, but its values are in {expected!r}. "
            f"Convert the limit to {expected!r}."
        )
