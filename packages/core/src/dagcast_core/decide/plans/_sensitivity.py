"""How the best objective moves with what is not decided."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.declare import DecisionProblem, closest
from dagcast_core.decide.plans._interrupted import unless_interrupted
from dagcast_core.decide.plans._optimum import compiled_at, outcome_prices
from dagcast_core.decide.plans._parameters import plain_name, scaled_parameter
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._solve import solve
from dagcast_core.decide.read import Sensitivity, scaled_residuals
from dagcast_core.solver import DecisionError, Options

__all__ = ["sensitivity"]


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


def _slope(compiled: Compiled, plan: Plan, name: str) -> float:
    """D optimum / d s where all values of ``name`` are multiplied by 1 + s."""
    x = compiled.space.flat(plan.decisions)
    known = compiled.forecaster.known(x)
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    kind = _kind(compiled, name)
    if kind == "input":
        given = known[name]
        known[name] = given.with_tensor(given.tensor * (1.0 + step))
        objective, outcomes = compiled.evaluation.values(known)
    elif kind == "quantity":
        with torch.no_grad():
            shapes = compiled.forecaster.forecast(x)
        factor = {name: 1.0 + step}
        objective, outcomes = compiled.evaluation.values(
            known, scaled_residuals(compiled, shapes, factor)
        )
    else:
        objective, outcomes = compiled.evaluation.values(
            known, parameters=scaled_parameter(compiled.problem, kind, 1.0 + step)
        )
    lagrangian = objective - (outcome_prices(compiled, plan) * outcomes).sum()
    if not lagrangian.requires_grad:
        return 0.0
    (slope,) = torch.autograd.grad(lagrangian, step, materialize_grads=True)
    sense = compiled.goal.sign
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
    if name in problem.context and name in problem.contract.input_names:
        return "input"
    if name in problem.contract.output_names:
        return "quantity"
    known = {plain_name(key): key for key, _ in problem.model.named_parameters()}
    if name in known:
        return known[name]
    names = [*problem.contract.input_names, *problem.contract.output_names, *known]
    raise DecisionError(f"nothing is called {name!r}. {closest(name, names)}")
