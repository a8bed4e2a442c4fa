"""A problem at the plan that answers it."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.solver import DecisionError

__all__ = ["compiled_at", "outcome_prices"]


def compiled_at(problem: DecisionProblem, plan: Plan) -> Compiled:
    compiled = Compiled(problem)
    compiled.space.flat(plan.decisions)
    prices = [p for p in plan.shadow_prices if p.kind == "outcome"]
    if [(p.name, p.label) for p in prices] != [(n.name, n.label) for n in compiled.outcomes]:
        raise DecisionError(
            "the plan answers another problem: its limits are other than the problem's. Solve the "
            "problem first."
        )
    for _ in range(4):
        compiled.sharpen(plan.lift, outcome_prices(compiled, plan))
    return compiled


def outcome_prices(compiled: Compiled, plan: Plan) -> Tensor:
    sense = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    prices = [sense * p.price for p in plan.shadow_prices if p.kind == "outcome"]
    return torch.tensor(prices, dtype=torch.float64)
