"""What a decision problem must hold to before it is solved: names, units, labels, draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from dagcast_core.contract import Weighted
from dagcast_core.decide.declare._declare import (
    Budget,
    Fallback,
    Fixed,
    Lever,
    Limit,
    OutcomeLimit,
    Ramp,
)
from dagcast_core.decide.declare._forms import check_forms
from dagcast_core.decide.declare._labels import closest, label_text
from dagcast_core.decide.declare._space import Space
from dagcast_core.decide.declare._units import budget_unit, outcome_unit
from dagcast_core.model import Model, ModelCollection
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

if TYPE_CHECKING:
    from dagcast_core.decide.declare._problem import DecisionProblem

__all__ = ["check"]


def check(problem: DecisionProblem) -> None:
    """Refuse a problem that cannot be meant.

    Raises:
        DecisionError: see `DecisionProblem`.
    """
    check_forms(problem.levers, problem.constraints)
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
    _check_objective(problem, outputs, levers)
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
    _check_draws(problem)
    reached = _reached(problem.model, set(levers))
    for constraint in problem.constraints:
        if isinstance(constraint, OutcomeLimit):
            _check_outcome(problem, constraint, outputs, reached)
        elif isinstance(constraint, Budget | Ramp | Fixed):
            _check_linear(problem, constraint, levers)
        else:
            _check_fallback(problem, constraint, levers, outputs, reached)
    weights = problem.objective.weights
    if weights and not set(weights) & (reached | set(levers)):
        raise DecisionError(
            f"no lever reaches the objective {problem.objective.name!r}: no model of "
            f"{contract.model} leads from {', '.join(levers)} to it."
        )
    space = problem.space()
    for name, template in space.templates.items():
        for dim, size in template.sizes.items():
            if size == 0:
                raise DecisionError(
                    f"lever {name!r} has no cells: the context has no labels along {dim!r}. "
                    "Give the hours and places to decide about."
                )
    for lever in problem.levers:
        _check_bounds(lever, space)
    for constraint in problem.constraints:
        if isinstance(constraint, Fixed):
            _check_fixed(constraint, space)


def _check_bounds(lever: Lever, space: Space) -> None:
    ends = []
    for what in ("lower", "upper"):
        value = getattr(lever, what)
        if isinstance(value, IndexTensor):
            cells = space.values_like(value, lever.name, f"{what} bounds")
        else:
            cells = torch.full(tuple(space.templates[lever.name].shape), float(value)).double()
        bad = torch.nonzero(torch.isnan(cells).reshape(-1)).flatten()
        if bad.numel():
            at = space.where(space.slices[lever.name].start + int(bad[0]))
            raise DecisionError(
                f"the {what} bound of {at} is NaN, as are {bad.numel() - 1} more. Give numbers."
            )
        ends.append(cells.reshape(-1))
    crossed = torch.nonzero(ends[0] > ends[1]).flatten()
    if crossed.numel():
        cell = int(crossed[0])
        raise DecisionError(
            f"bounds of {lever.name!r} cross in {crossed.numel()} cell(s), first "
            f"{space.where(space.slices[lever.name].start + cell)}: lower {float(ends[0][cell]):g} "
            f"is above upper {float(ends[1][cell]):g}."
        )


def _check_fixed(item: Fixed, space: Space) -> None:
    template = space.templates[item.lever]
    if set(item.values.dims) != set(template.dims):
        raise DecisionError(
            f"fixed cells of {item.lever!r} have the dims {', '.join(item.values.dims)}; expected "
            f"{', '.join(template.dims)}. Give values for the cells that are set, NaN elsewhere."
        )
    for dim in template.dims:
        known, given = template.index(dim), item.values.index(dim)
        strange = given.difference(known)
        # Hours beyond the horizon may be set too; hours that never meet it are a mistake.
        timed = template.index(dim).dtype.kind == "M"
        if len(strange) and (not timed or len(strange) == len(given)):
            raise DecisionError(
                f"fixed cells of {item.lever!r} name {dim} {label_text(strange[0])!r}, which is "
                f"not decided. {closest(label_text(strange[0]), map(label_text, known))}"
            )


def _check_objective(problem: DecisionProblem, outputs: list[str], levers: list[str]) -> None:
    objective = problem.objective
    if objective.sense not in ("max", "min"):
        raise DecisionError(f"the objective has sense {objective.sense!r}; write 'max' or 'min'.")
    if not isinstance(objective.quantity, str | Mapping):
        if not callable(objective.quantity):
            raise DecisionError(
                "the objective is a quantity's name, weights by name, or a function of the "
                f"forecast; found a {type(objective.quantity).__name__}."
            )
        return
    for name, weight in objective.weights.items():
        if name not in outputs and name not in levers:
            raise DecisionError(
                f"objective {name!r} is no output of {problem.contract.model}. "
                f"{closest(name, outputs)}"
            )
        if not math.isfinite(weight):
            raise DecisionError(f"the objective's weight of {name!r} is {weight}. Give a number.")
    if not any(objective.weights.values()):
        raise DecisionError("all weights of the objective are 0: nothing would be best.")


def _check_draws(problem: DecisionProblem) -> None:
    chances = [
        item.chance
        for item in problem.constraints
        if isinstance(item, OutcomeLimit) and item.chance is not None
    ]
    if problem.draws is None:
        if problem.risk is not None or chances:
            what = "risk" if problem.risk is not None else "a chance"
            raise DecisionError(
                f"{what} is measured over draws of the parameters, and there are none. "
                "Give draws=draws(model, history, ...)."
            )
        return
    own = dict(problem.model.named_parameters())
    for name, values in problem.draws.states.items():
        if name not in own or own[name].shape != values.shape[1:]:
            raise DecisionError(
                f"these draws are of another model: {problem.contract.model} has no parameter "
                f"{name!r} of shape {tuple(values.shape[1:])}. Draw from the model that decides."
            )
        if not bool(torch.isfinite(values).all()):
            raise DecisionError(f"draws of {name!r} are not finite. Fit and draw again.")
    count = len(problem.draws)
    if not count:
        raise DecisionError("there are no draws in draws. Ask for at least 2.")
    risk = problem.measured_risk
    if risk.measure not in ("mean", "cvar", "quantile"):
        raise DecisionError(f"no risk measure {risk.measure!r}; use 'mean', 'cvar' or 'quantile'.")
    if not 0 < risk.smoothing < 1:
        raise DecisionError(f"smoothing is {risk.smoothing:g}; it is a share between 0 and 1.")
    tails = [risk.tail] if risk.measure != "mean" else []
    for chance in chances:
        if not 0 < chance < 1:
            raise DecisionError(
                f"a limit is asked to hold with chance {chance:g}; a chance is between 0 and 1."
            )
        tails.append(1.0 - chance)
    for tail in tails:
        if not 0 < tail <= 1:
            raise DecisionError(f"the tail is {tail:g}; it is a share between 0 and 1.")
        if tail * count < 1 - 1e-9:
            raise DecisionError(
                f"the worst {tail:.3g} of {count} draws is less than one draw. Make at least "
                f"{math.ceil(1 / tail - 1e-9)} draws, or ask for a larger tail or smaller chance."
            )


def _check_fallback(
    problem: DecisionProblem,
    item: Fallback,
    levers: list[str],
    outputs: list[str],
    reached: set[str],
) -> None:
    what = f"the fallback of {item.lever!r}"
    if item.lever not in levers:
        raise DecisionError(f"{what} concerns no lever here. {closest(item.lever, levers)}")
    if problem.draws is None:
        raise DecisionError(
            f"{what} needs draws of the parameters to see how certain a response is. "
            "Give draws=draws(model, history, ...)."
        )
    if len(problem.draws) < 2 or not item.width > 0 or not 0 < item.level < 1:
        raise DecisionError(
            f"{what} has width {item.width:g}, level {item.level:g} and {len(problem.draws)} "
            "draws; the width is above 0, the level between 0 and 1, and an interval needs 2 draws."
        )
    if isinstance(item.rule, str) and item.rule not in ("current", "zero"):
        raise DecisionError(
            f"{what} has the rule {item.rule!r}; write 'current', 'zero', a share of the current "
            "plan, values, or a function of the current plan."
        )
    if isinstance(item.rule, int | float) and not item.rule >= 0:
        raise DecisionError(f"{what} is {item.rule:g} of the current plan; a share is at least 0.")
    needs = not isinstance(item.rule, IndexTensor) and item.rule != "zero"
    if needs and (problem.current is None or item.lever not in problem.current):
        raise DecisionError(
            f"{what} starts from the current plan, and there is none. Give current=..., or the "
            "rule 'zero'."
        )
    if item.quantity is not None and item.quantity not in outputs:
        raise DecisionError(
            f"{what} judges the response of {item.quantity!r}, which is no output. "
            f"{closest(item.quantity, outputs)}"
        )
    if item.quantity is not None and item.quantity not in reached:
        raise DecisionError(
            f"{what} judges the response of {item.quantity!r}, which no lever reaches."
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
    _check_numbers(limit.limit, what)
    _check_groups(limit.groups, limit.by, what)
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


def _check_linear(problem: DecisionProblem, item: Budget | Ramp | Fixed, levers: list[str]) -> None:
    kind = type(item).__name__.lower()
    names = item.levers if isinstance(item, Budget) else (item.lever,)
    for name in names:
        if name not in levers:
            raise DecisionError(
                f"the {kind} concerns {name!r}, which is no lever here. {closest(name, levers)}"
            )
    quantity = problem.quantity(names[0])
    if isinstance(item, Budget):
        what = f"the budget of {item.name!r}"
        _check_numbers(item.limit, what)
        values = item.limit.values() if isinstance(item.limit, Mapping) else [item.limit]
        for value in values:
            if not value >= 0:
                raise DecisionError(f"{what} is {value:g}; a budget is at least 0.")
        units = {name: budget_unit(problem.quantity(name), item) for name in names}
        if len(set(units.values())) > 1:
            stated = ", ".join(f"{name} in {unit!r}" for name, unit in units.items())
            raise DecisionError(f"{what} adds up different units: {stated}. Use one budget each.")
        _check_groups(item.groups, item.by, what)
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


def _check_numbers(limit: Limit, what: str) -> None:
    for label, value in limit.items() if isinstance(limit, Mapping) else [("", limit)]:
        if math.isnan(value):
            at = f" for {label_text(label)!r}" if label != "" else ""
            raise DecisionError(f"{what} is NaN{at}. Give a number, or leave the label out.")


def _check_groups(
    groups: Mapping[str, Mapping[Any, object]], by: tuple[str, ...], what: str
) -> None:
    for dim in groups:
        if dim not in by:
            raise DecisionError(
                f"{what} has groups of {dim!r}, which is not in by. Write by=({dim!r},)."
            )


def _check_unit(given: str | None, expected: str, what: str) -> None:
    if given is not None and given != expected:
        raise DecisionError(
            f"{what} is stated in {given!r}, but its values are in {expected!r}. "
            f"Convert the limit to {expected!r}."
        )
