"""How the best objective moves with what is not decided."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, run_model, run_with
from dagcast_core.decide.declare import DecisionProblem, closest
from dagcast_core.decide.plans._interrupted import unless_interrupted
from dagcast_core.decide.plans._optimum import compiled_at, outcome_prices
from dagcast_core.decide.plans._parameters import plain_name, scaled_parameter
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._solve import solve
from dagcast_core.decide.plans._totals import total_of, unit_of_total, with_unit
from dagcast_core.decide.read import Sensitivity, scaled_residuals
from dagcast_core.model import Residual
from dagcast_core.solver import DecisionError, Options
from dagcast_core.tensor import IndexTensor

__all__ = ["outcome_sensitivity", "sensitivity"]


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
        DecisionError: no such quantity or parameter, one whose values are labels, or the plan is of
            another problem.
    """
    compiled = compiled_at(problem, plan)
    unit = compiled.goal.unit
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


def outcome_sensitivity(
    problem: DecisionProblem, plan: Plan, outcome: str, name: str, *, change: float = 0.01
) -> Sensitivity:
    """How an outcome's total moves with something else, the decisions held at the plan.

    The total T is the sum over all cells where the outcome adds up over time, else the mean
    (weighted as its contract says), forecast at the fitted parameters. Where all values of ``name``
    are multiplied by 1 + s the effect is ``change`` * dT/ds at s = 0, exact by differentiation.

    Args:
        problem: that the plan answers.
        plan: gives the decisions.
        outcome: a quantity that a model predicts.
        name: an input, levers included, a quantity that a model predicts (what reads it follows),
            or a parameter of a model (``member.parameter``).
        change: relative change of all its values.

    Raises:
        DecisionError: no such outcome, quantity or parameter, one whose values are labels, or the
            plan is of another problem.
    """
    compiled = compiled_at(problem.certain(), plan)
    certain = compiled.problem
    if outcome not in certain.contract.output_names:
        raise DecisionError(
            f"no outcome is called {outcome!r}. {closest(outcome, certain.contract.output_names)}"
        )
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    x = compiled.space.flat(plan.decisions)
    known, residuals, parameters = _scaled(compiled, x, name, 1.0 + step)
    residuals = certain.residuals if residuals is None else residuals
    outputs = (
        run_model(certain.model, known, residuals)
        if parameters is None
        else run_with(certain.model, parameters, known, residuals)
    )
    quantity = certain.quantity(outcome)
    total = total_of(quantity, {**known, **outputs})
    slope = 0.0
    if total.requires_grad:
        slope = float(torch.autograd.grad(total, step, materialize_grads=True)[0])
    effect, unit = change * slope, unit_of_total(quantity)
    verb = "raises" if effect > 0 else "lowers"
    amount = with_unit(f"{abs(effect):.4g}", unit)
    words = f"{change:+.3g} relative {name} {verb} {outcome} by {amount}."
    if effect == 0.0:
        words = f"{outcome} does not depend on {name}."
    return Sensitivity(name, effect, unit, words)


def _slope(compiled: Compiled, plan: Plan, name: str) -> float:
    """D optimum / d s where all values of ``name`` are multiplied by 1 + s."""
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    x = compiled.space.flat(plan.decisions)
    objective, outcomes = compiled.evaluation.values(*_scaled(compiled, x, name, 1.0 + step))
    lagrangian = objective - (outcome_prices(compiled, plan) * outcomes).sum()
    if not lagrangian.requires_grad:
        return 0.0
    (slope,) = torch.autograd.grad(lagrangian, step, materialize_grads=True)
    sense = compiled.goal.sign
    return sense * float(slope)


def _scaled(
    compiled: Compiled, x: Tensor, name: str, factor: Tensor
) -> tuple[dict[str, IndexTensor], Mapping[str, Residual] | None, dict[str, Tensor] | None]:
    """Levers and context, residuals and parameters under which ``name`` is multiplied.

    Residuals and parameters are None where they are the problem's.
    """
    known = compiled.forecaster.known(x)
    kind = _kind(compiled, name)
    if kind == "input":
        given = known[name]
        return {**known, name: given.with_tensor(given.tensor * factor)}, None, None
    if kind == "quantity":
        with torch.no_grad():
            shapes = compiled.forecaster.forecast(x)
        return known, scaled_residuals(compiled, shapes, {name: factor}), None
    return known, None, scaled_parameter(compiled.problem, kind, factor)


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
            shapes = compiled.forecaster.forecast(compiled.smooth.linear.lower)
        factor = {name: torch.tensor(1.0 + change, dtype=torch.float64)}
        return replace(problem, residuals=dict(scaled_residuals(compiled, shapes, factor)))
    factor_of = torch.tensor(1.0 + change, dtype=torch.float64)
    model = copy.deepcopy(problem.model)
    with torch.no_grad():
        alone = replace(problem, draws=None, risk=None, constraints=())
        fitted = scaled_parameter(alone, kind, factor_of)
        for key, value in model.named_parameters():
            if key in fitted:
                value.copy_(fitted[key])
    draws = problem.draws
    if draws is not None:
        states = {**draws.states, **scaled_parameter(problem, kind, factor_of)}
        draws = replace(
            draws, states={k: v.detach() for k, v in states.items() if k in draws.states}
        )
    return replace(problem, model=model, draws=draws)


def _kind(compiled: Compiled, name: str) -> str:
    """Either "input" or "quantity", or the name of a parameter in the model."""
    problem = compiled.problem
    given = name in problem.context or name in compiled.space.slices
    if given and name in problem.contract.input_names:
        dtype = problem.quantity(name).dtype
        if dtype != "float64":
            raise DecisionError(
                f"{name!r} is of {dtype}: its values name something, and a relative change of "
                "them means nothing. Ask for a quantity that is measured."
            )
        return "input"
    if name in problem.contract.output_names:
        return "quantity"
    known = {plain_name(key): key for key, _ in problem.model.named_parameters()}
    if name in known:
        return known[name]
    names = [*problem.contract.input_names, *problem.contract.output_names, *known]
    raise DecisionError(f"nothing is called {name!r}. {closest(name, names)}")
