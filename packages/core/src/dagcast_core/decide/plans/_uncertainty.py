"""How far the best objective is uncertain because each parameter is."""

from __future__ import annotations

from dataclasses import replace

import torch

from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.decide.plans._optimum import compiled_at, outcome_prices
from dagcast_core.decide.plans._parameters import plain_name
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.read import Sensitivity
from dagcast_core.model import ParameterDraws
from dagcast_core.solver import DecisionError

__all__ = ["parameter_uncertainty"]


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
    compiled = compiled_at(certain, plan)
    x = compiled.space.flat(plan.decisions)
    own = dict(problem.model.named_parameters())
    leaves = {name: own[name].detach().clone().requires_grad_(True) for name in draws.states}
    objective, outcomes = compiled.evaluation.values(
        compiled.forecaster.known(x), parameters=leaves
    )
    lagrangian = objective - (outcome_prices(compiled, plan) * outcomes).sum()
    if not lagrangian.requires_grad:
        return ()
    gradients = torch.autograd.grad(lagrangian, list(leaves.values()), materialize_grads=True)
    unit = compiled.goal.unit
    found = []
    for (name, values), gradient in zip(draws.states.items(), gradients, strict=True):
        moves = ((values - values.mean(0)) * gradient).flatten(1).sum(1)
        size = float(moves.std()) if len(moves) > 1 else 0.0
        if size > 0:
            plain = plain_name(name)
            words = (
                f"What is not known of {plain} (one standard deviation of {len(draws)} draws) "
                f"moves the best {problem.objective.name} by {size:.4g} {unit} either way."
            )
            found.append(Sensitivity(plain, size, unit, words))
    return tuple(sorted(found, key=lambda item: -item.effect))
