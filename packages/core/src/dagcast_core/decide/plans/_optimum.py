"""A problem at the plan that answers it."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, compile_problem
from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.solver import DecisionError

__all__ = ["compiled_at", "outcome_prices"]


def compiled_at(problem: DecisionProblem, plan: Plan) -> Compiled:
    """The problem as it was solved, with measures over draws as sharp as at the end.

    Raises:
        DecisionError: the plan is of another problem.
    """
    compiled = compile_problem(problem)
    compiled.space.flat(plan.decisions)
    prices = [p for p in plan.shadow_prices if p.kind == "outcome"]
    if [(p.name, p.label) for p in prices] != [(n.name, n.label) for n in compiled.outcomes.names]:
        raise DecisionError(
            "the plan answers another problem: its limits are other than the problem's. Solve the "
            "problem first."
        )
    for _ in range(4):
        compiled.sharpen(plan.lift, outcome_prices(compiled, plan))
    return compiled


def outcome_prices(compiled: Compiled, plan: Plan) -> Tensor:
    """Prices of the outcome rows, (rows,) of the maximised objective."""
    sense = compiled.goal.sign
    prices = [sense * p.price for p in plan.shadow_prices if p.kind == "outcome"]
    return torch.tensor(prices, dtype=torch.float64)
