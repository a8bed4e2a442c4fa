"""Ctrl-C at any moment: the best point that the model was asked about, or the first start.

A run of the solver answers an interruption between its iterations itself. What lies around them,
such as the first forward pass or the certificate at the end, is watched from outside: every point
that the model was asked about lies within bounds, budgets and ramps, so the best one is a plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.solver.answer import Certificate, Options, Solution, WarmStart
from dagcast_core.solver.problem import Counter, SmoothProblem, default_start
from dagcast_core.solver.separable import project

__all__ = ["Watched"]


# Points further outside bounds, budgets or ramps are moved onto them before they are returned.
_INSIDE = 1e-9


@final
class Watched:
    """A problem whose evaluations are watched.

    Args:
        problem: to be solved through `problem` of this object, which has the same values.
        options: tolerance of violations.
    """

    def __init__(self, problem: SmoothProblem, options: Options) -> None:
        self._watched = problem
        self._options = options
        self._best: tuple[bool, float, Tensor] | None = None
        self.problem = replace(problem, evaluate=self._evaluate)

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        objective, outcomes = self._watched.evaluate(x)
        value = float(objective.detach())
        worst = self._watched.rows.worst(outcomes.detach())
        kept = worst <= self._options.violation
        rank = value if kept else -worst
        better = self._best is None or (kept, rank) > self._best[:2]
        if better and math.isfinite(value) and math.isfinite(worst):
            self._best = (kept, rank, x.detach())
        return objective, outcomes

    def run(self, solve: Callable[[SmoothProblem], Solution], warm: WarmStart | None) -> Solution:
        """What a method finds; interrupted anywhere, see `stopped`.

        Args:
            solve: solves the problem that it is given.
            warm: where it starts.
        """
        try:
            return solve(self.problem)
        except KeyboardInterrupt:
            return self.stopped(warm)

    def stopped(self, warm: WarmStart | None) -> Solution:
        """The best point so far as an interrupted solution; the first start if there is none.

        Args:
            warm: where the run was to start.

        Raises:
            KeyboardInterrupt: interrupted once more.
            NonFiniteError: never; values that are no number are returned as they are.
            EmptySetError: the linear limits contradict one another.
        """
        problem = self._watched
        linear = problem.linear.tightened()
        if self._best is not None:
            x = self._best[2]
        else:
            x = default_start(linear) if warm is None else warm.x
        if linear.worst_violation(x) > _INSIDE:
            x = project(x, 1.0 / linear.scale().square(), linear).x
        with torch.no_grad():
            objective, outcomes = problem.evaluate(x)
            base, _ = problem.evaluate(
                linear.lower if problem.baseline is None else problem.baseline
            )
        budgets = sum(layer.limit.numel() for layer in linear.budgets)
        rows = problem.rows.limit.numel()
        nothing = torch.zeros(budgets + rows, dtype=x.dtype)
        lent = None if warm is None else warm.multipliers
        lift = float(objective - base)
        return Solution(
            status="interrupted",
            message="interrupted",
            x=x,
            objective=float(objective),
            outcomes=outcomes,
            lift=lift,
            yardstick=max(lift, 1e-300),
            violation=max(self._watched.rows.worst(outcomes), linear.worst_violation(x)),
            budget_prices=nothing[:budgets],
            row_prices=nothing[budgets:],
            certificate=Certificate(float("nan"), float("inf"), float("nan")),
            warm=WarmStart(x, nothing if lent is None else lent),
            counter=Counter(),
            iterations=0,
            elastic=torch.zeros(rows, dtype=torch.bool),
        )
