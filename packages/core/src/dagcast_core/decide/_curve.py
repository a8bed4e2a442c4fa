"""What a solved plan says on request: response curves of cells, sensitivities of the optimum."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import pandas as pd
import torch
from torch import Tensor

from dagcast_core.contract import Quantity, Weighted
from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._declare import DecisionError
from dagcast_core.decide._interrupted import unless_interrupted
from dagcast_core.decide._plan import Plan, Sensitivity
from dagcast_core.decide._problem import DecisionProblem
from dagcast_core.decide._reading import objective_unit, scaled_residuals
from dagcast_core.decide._solve import solve
from dagcast_core.decide._space import closest, label_text
from dagcast_core.decide._sqp import Options
from dagcast_core.model import LabelledParameter, Model, ParameterDraws
from dagcast_core.tensor import IndexTensor

__all__ = ["ResponseCurve", "parameter_uncertainty", "response_curve", "sensitivity"]


@final
@dataclass(frozen=True)
class ResponseCurve:
    """The forecast along one cell of a lever, everything else at the plan.

    Attributes:
        lever: whose cell.
        cell: its labels.
        planned: its value in the plan, unit of the lever.
        grid: values of the cell.
        objective: at each of them, objective unit; over draws, their measure.
        outcomes: by quantity, over all its cells: the sum where it adds up over time, else the
            mean (weighted as its contract says).
        limits: by outcome limit, its left-hand side.
        kept: whether every outcome limit is kept.
    """

    lever: str
    cell: Mapping[str, object]
    planned: float
    grid: tuple[float, ...]
    objective: tuple[float, ...]
    outcomes: Mapping[str, tuple[float, ...]]
    limits: Mapping[str, tuple[float, ...]]
    kept: tuple[bool, ...]


def response_curve(
    problem: DecisionProblem,
    plan: Plan,
    lever: str,
    cell: Mapping[str, object],
    grid: Sequence[float] | None = None,
) -> ResponseCurve:
    """Forecast a range of values of one cell, the others as planned.

    Args:
        problem: that the plan answers.
        plan: gives all other decisions.
        lever: whose cell.
        cell: a label for each of its dims.
        grid: values to try; 21 from the lower to the upper bound by default, or to twice the
            plan's where there is no upper bound.

    Raises:
        DecisionError: no such lever or label, or a grid that is not finite.
    """
    compiled = _compiled(problem, plan)
    x = compiled.space.flat(plan.decisions)
    if lever not in compiled.space.slices:
        raise DecisionError(f"no lever {lever!r}. {closest(lever, compiled.space.slices)}")
    at = compiled.space.slices[lever].start + _position(compiled.space.templates[lever], cell)
    low, high = float(compiled.smooth.linear.lower[at]), float(compiled.smooth.linear.upper[at])
    planned = float(x[at])
    if grid is None:
        if high <= low:
            # A fixed cell: what if it were not?
            high = float("inf")
        top = high if high < float("inf") else max(2.0 * planned, low + 1.0)
        grid = [low + (top - low) * k / 20 for k in range(21)]
    values = [float(value) for value in grid]
    if not values or not all(abs(value) < float("inf") for value in values):
        raise DecisionError("the grid of a response curve holds no or no finite numbers.")
    rows = compiled.smooth.rows
    sign = 1.0 if problem.objective.sense == "max" else -1.0
    names = [str(name) for name in compiled.outcomes]
    objectives: list[float] = []
    kept: list[bool] = []
    limits: dict[str, list[float]] = {name: [] for name in names}
    outcomes: dict[str, list[float]] = {}
    with torch.no_grad():
        for value in values:
            point = x.clone()
            point[at] = value
            objective, found = compiled.exact(point)
            objectives.append(sign * float(objective))
            kept.append(bool((rows.sign * (found - rows.limit) <= 1e-6 * rows.scale).all()))
            for name, reached in zip(names, found.tolist(), strict=True):
                limits[name].append(reached)
            known = {**compiled.context, **compiled.forecast(point)}
            for quantity in problem.contract.outputs:
                outcomes.setdefault(quantity.name, []).append(_overall(quantity, known))
    return ResponseCurve(
        lever,
        dict(cell),
        planned,
        tuple(values),
        tuple(objectives),
        {name: tuple(found) for name, found in outcomes.items()},
        {name: tuple(found) for name, found in limits.items()},
        tuple(kept),
    )


def sensitivity(
    problem: DecisionProblem,
    plan: Plan,
    name: str,
    *,
    change: float = 0.01,
    resolve: bool = False,
    options: Options | None = None,
) -> Sensitivity:
    """How the best objective moves with something that is not decided.

    Args:
        problem: that the plan answers.
        plan: its optimum.
        name: an input of the context, a quantity that a model predicts, or a parameter of a model
            (``member.parameter``).
        change: relative change of all its values.
        resolve: solve again with the changed values instead of using the envelope theorem: right
            for large changes too, and as dear as a warm-started solve.
        options: of that solve.

    Raises:
        DecisionError: no such quantity or parameter, or the plan is of another problem.
    """
    compiled = _compiled(problem, plan)
    unit = objective_unit(compiled)
    if resolve:
        again = solve(_changed(compiled, name, change), plan, options=options, starts=0)
        unless_interrupted(again, "the problem was solved again")
        if again.status in ("infeasible", "stalled"):
            raise DecisionError(
                f"with {change:+.1%} {name} no plan was found: {again.message}. Try a smaller "
                "change."
            )
        effect, how = again.objective - plan.objective, "solved again"
    else:
        effect, how = change * _slope(compiled, plan, name), "envelope theorem"
    verb = "raises" if effect > 0 else "lowers"
    words = (
        f"{change:+.3g} relative {name} {verb} the best {problem.objective.name} by "
        f"{abs(effect):.4g} {unit} ({how})."
    )
    return Sensitivity(name, effect, unit, words)


def parameter_uncertainty(
    problem: DecisionProblem, plan: Plan, draws: ParameterDraws | None = None
) -> tuple[Sensitivity, ...]:
    """How far the best objective is uncertain because each parameter is, largest first.

    The standard deviation over the draws of the optimum's linear response to the parameter alone:
    where an experiment would make the plan's worth most certain.

    Args:
        problem: that the plan answers.
        plan: its optimum.
        draws: of the model's parameters; the problem's by default.

    Raises:
        DecisionError: there are no draws, or the plan is of another problem.
    """
    draws = draws or problem.draws
    if draws is None:
        raise DecisionError("the uncertainty of parameters needs draws of them. Give draws=...")
    certain = replace(problem, draws=draws, risk=None).certain()
    compiled = _compiled(certain, plan)
    x = compiled.space.flat(plan.decisions)
    own = dict(problem.model.named_parameters())
    leaves = {name: own[name].detach().clone().requires_grad_(True) for name in draws.states}
    objective, outcomes = compiled.values(
        {**compiled.context, **compiled.space.panel(x)}, parameters=leaves
    )
    lagrangian = objective - (_row_prices(compiled, plan) * outcomes).sum()
    if not lagrangian.requires_grad:
        return ()
    gradients = torch.autograd.grad(lagrangian, list(leaves.values()), materialize_grads=True)
    unit = objective_unit(compiled)
    found = []
    for (name, values), gradient in zip(draws.states.items(), gradients, strict=True):
        moves = ((values - values.mean(0)) * gradient).flatten(1).sum(1)
        size = float(moves.std()) if len(moves) > 1 else 0.0
        if size > 0:
            plain = _plain_name(name)
            words = (
                f"What is not known of {plain} (one standard deviation of {len(draws)} draws) "
                f"moves the best {problem.objective.name} by {size:.4g} {unit} either way."
            )
            found.append(Sensitivity(plain, size, unit, words))
    return tuple(sorted(found, key=lambda item: -item.effect))


def _compiled(problem: DecisionProblem, plan: Plan) -> Compiled:
    compiled = Compiled(problem)
    compiled.space.flat(plan.decisions)
    prices = [p for p in plan.shadow_prices if p.kind == "outcome"]
    if [(p.name, p.label) for p in prices] != [(n.name, n.label) for n in compiled.outcomes]:
        raise DecisionError(
            "the plan answers another problem: its limits are other than the problem's. Solve the "
            "problem first."
        )
    for _ in range(4):
        compiled.sharpen(plan.lift, _row_prices(compiled, plan))
    return compiled


def _row_prices(compiled: Compiled, plan: Plan) -> Tensor:
    sense = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    prices = [sense * p.price for p in plan.shadow_prices if p.kind == "outcome"]
    return torch.tensor(prices, dtype=torch.float64)


def _position(template: IndexTensor, cell: Mapping[str, object]) -> int:
    """Flat place of a cell within its lever."""
    if set(cell) != set(template.dims):
        raise DecisionError(
            f"a cell of {template.name!r} has a label for each of {', '.join(template.dims)}; "
            f"found {', '.join(cell) or 'none'}."
        )
    place = 0
    for dim in template.dims:
        index = template.index(dim)
        label = cell[dim]
        if label not in index:
            raise DecisionError(
                f"no {dim} {label_text(label)!r}. "
                f"{closest(label_text(label), map(label_text, index))}"
            )
        place = place * len(index) + int(index.get_indexer(pd.Index([label]))[0])
    return place


def _overall(quantity: Quantity, known: Mapping[str, IndexTensor]) -> float:
    value = known[quantity.name]
    time = quantity.time_dim
    how = quantity.aggregated(time.name) if time is not None else "sum"
    if how == "sum":
        return float(value.tensor.sum())
    if isinstance(how, Weighted) and how.by in known:
        weights = known[how.by]
        if set(weights.dims) == set(value.dims):
            weight = weights.values(*value.dims)
            return float((value.tensor * weight).sum() / weight.sum())
    return float(value.tensor.mean())


def _slope(compiled: Compiled, plan: Plan, name: str) -> float:
    """D optimum / d s where all values of ``name`` are multiplied by 1 + s."""
    x = compiled.space.flat(plan.decisions)
    known = {**compiled.context, **compiled.space.panel(x)}
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    kind = _kind(compiled, name)
    if kind == "input":
        given = known[name]
        known[name] = given.with_tensor(given.tensor * (1.0 + step))
        objective, outcomes = compiled.values(known)
    elif kind == "quantity":
        with torch.no_grad():
            shapes = compiled.forecast(x)
        factor = {name: 1.0 + step}
        objective, outcomes = compiled.values(known, scaled_residuals(compiled, shapes, factor))
    else:
        objective, outcomes = compiled.values(
            known, parameters=_scaled(compiled.problem, kind, 1.0 + step)
        )
    lagrangian = objective - (_row_prices(compiled, plan) * outcomes).sum()
    if not lagrangian.requires_grad:
        return 0.0
    (slope,) = torch.autograd.grad(lagrangian, step, materialize_grads=True)
    sense = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    return sense * float(slope)


def _changed(compiled: Compiled, name: str, change: float) -> DecisionProblem:
    """The problem with all values of ``name`` multiplied by 1 + change."""
    problem = compiled.problem
    kind = _kind(compiled, name)
    if kind == "input":
        given = problem.context[name]
        moved = given.with_tensor(given.tensor * (1.0 + change)).named(name)
        return replace(problem, context=problem.context.assign({name: moved}))
    if kind == "quantity":
        with torch.no_grad():
            shapes = compiled.forecast(compiled.smooth.linear.lower)
        factor = {name: torch.tensor(1.0 + change, dtype=torch.float64)}
        return replace(problem, residuals=dict(scaled_residuals(compiled, shapes, factor)))
    factor_of = torch.tensor(1.0 + change, dtype=torch.float64)
    model = copy.deepcopy(problem.model)
    with torch.no_grad():
        alone = replace(problem, draws=None, risk=None, constraints=())
        fitted = _scaled(alone, kind, factor_of)
        for key, value in model.named_parameters():
            if key in fitted:
                value.copy_(fitted[key])
    draws = problem.draws
    if draws is not None:
        states = {**draws.states, **_scaled(problem, kind, factor_of)}
        draws = replace(
            draws, states={k: v.detach() for k, v in states.items() if k in draws.states}
        )
    return replace(problem, model=model, draws=draws)


def _kind(compiled: Compiled, name: str) -> str:
    """Either "input" or "quantity", or the name of a parameter in the model."""
    problem = compiled.problem
    if name in problem.context and name in problem.contract.input_names:
        return "input"
    if name in problem.contract.output_names:
        return "quantity"
    known = {_plain_name(key): key for key, _ in problem.model.named_parameters()}
    if name in known:
        return known[name]
    names = [*problem.contract.input_names, *problem.contract.output_names, *known]
    raise DecisionError(f"nothing is called {name!r}. {closest(name, names)}")


def _scaled(problem: DecisionProblem, key: str, factor: Tensor) -> dict[str, Tensor]:
    """A parameter's values, in its own unit, times a factor; (draws, ...) with draws."""
    own = dict(problem.model.named_parameters())
    raw = own[key].detach()
    if problem.draws is not None:
        count = len(problem.draws)
        raw = problem.draws.states.get(key, raw.expand(count, *raw.shape))
    labelled = _labelled(problem.model, key)
    if labelled is None:
        return {key: raw * factor}
    value = labelled.transform.forward(raw)
    return {key: labelled.transform.inverse(value * factor)}


def _labelled(model: Model, key: str) -> LabelledParameter | None:
    parent = key.rpartition(".")[0]
    found = dict(model.named_modules()).get(parent)
    return found if isinstance(found, LabelledParameter) else None


def _plain_name(key: str) -> str:
    """Name of a parameter for people: without the torch module's inner names."""
    parts = [part for part in key.split(".") if part not in ("_members", "raw", "model")]
    return ".".join(parts)
