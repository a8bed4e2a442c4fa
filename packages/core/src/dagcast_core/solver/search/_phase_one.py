"""The decisions that break outcome limits least, and the proof that some have to be broken.

The sum of relative violations, rounded off near zero, is minimised over bounds, budgets and ramps.
Where rows are convex its least value is either zero, at a point that keeps every limit, or bounded
away from zero by the certificate. The slopes at the minimum are multipliers of that proof: rows
with slope 1 are broken, rows with a slope between are kept only just and may stand in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.solver.answer import Options, Solution, WarmStart
from dagcast_core.solver.methods.sqp import solve_smooth
from dagcast_core.solver.problem import OutcomeRows, SmoothProblem
from dagcast_core.solver.stopping import Patience

__all__ = ["PhaseOne", "phase_one"]

# Violations below it are rounded off; the last is far below what people would call a violation.
_ROUNDED = (1e-2, 1e-3, 1e-4)
_GAP = 1e-6
# The first round proves that something is broken, and goes on as long as that becomes surer. The
# others find out by how much: they end where violations fall by less than this share within so many
# iterations, because on kinks the last per mille costs as much as all before it.
_FALLS, _WITHIN = 1e-3, 8
# Below it, a plan that keeps every limit may be near, and is worth the search.
_NEAR = 1e-3


@final
@dataclass(frozen=True)
class PhaseOne:
    """The least violation.

    Attributes:
        x: (cells,).
        outcomes: (rows,) at ``x``.
        violations: (rows,) relative, at least 0; 0 for dropped rows.
        weights: (rows,) slope of each row in the proof, 0 to 1.
        budget_weights: (budgets,) the same for budgets: relative change of the sum of violations
            for a relative change of the budget.
        least: lower bound on the sum of violations of any decisions, where rows are convex.
        finished: whether it was searched to its end; otherwise time ran out, or somebody stopped
            it, and violations may be larger than they need to be.
    """

    x: Tensor
    outcomes: Tensor
    violations: Tensor
    weights: Tensor
    budget_weights: Tensor
    least: float
    finished: bool = True

    def keeps(self, tolerance: float) -> bool:
        """Whether every row is kept."""
        return not self.violations.numel() or float(self.violations.max()) <= tolerance

    @property
    def is_open(self) -> bool:
        """Whether violations are so small that nothing is proved by them."""
        return self.least <= 0.0 and self.keeps(_ROUNDED[-1])


class _EnoughError(Exception):
    """The decisions are as good as was asked for."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


def phase_one(
    problem: SmoothProblem,
    start: Tensor,
    options: Options,
    dropped: Tensor | None = None,
    enough: Callable[[Tensor], bool] | None = None,
) -> PhaseOne:
    """Minimise the sum of relative violations of the outcome rows.

    Args:
        problem: its objective is not asked.
        start: (cells,).
        options: seed, iterations and time limit, which is of all rounds together.
        dropped: (rows,) bool; rows that need not be kept.
        enough: stop where this holds of the violations, (rows,) with 0 for dropped ones. Only which
            violations are large is then of interest, and the minimum is taken roughly.

    Raises:
        NonFiniteError: as the solver does.
        EmptySetError: as the solver does.
    """
    begun = time.perf_counter()
    rows = problem.rows

    def violations(x: Tensor) -> tuple[Tensor, Tensor]:
        _, outcomes = problem.evaluate(x)
        found = rows.excess(outcomes).clamp(min=0)
        return found if dropped is None else torch.where(dropped, 0.0 * found, found), outcomes

    x = start
    rounded = _ROUNDED[-1]
    solution: Solution | None = None
    least = 0.0
    finished = True
    rounds: tuple[float, ...] = _ROUNDED
    gap, most = _GAP, 120
    if enough is not None:
        # Margins are small beside the violation at the lower bounds, which gaps are relative to.
        rounds, gap, most = _ROUNDED[1:2], 1e-5 if dropped is None else 1e-3, 25
    for rounded in rounds:
        left = None
        if options.time_limit is not None:
            left = options.time_limit - (time.perf_counter() - begun)
            if left <= 0:
                finished = False
                break

        def evaluate(x: Tensor, width: float = rounded) -> tuple[Tensor, Tensor]:
            found, _ = violations(x)
            if enough is not None and enough(found.detach()):
                raise _EnoughError(x.detach())
            near = found * found / (2.0 * width)
            total = torch.where(found < width, near, found - 0.5 * width).sum()
            return -total, torch.zeros(0, dtype=x.dtype)

        relaxed = SmoothProblem(
            evaluate, problem.linear, OutcomeRows.none(), problem.probes, problem.baseline, True
        )
        patience = Patience(
            lambda state: -state.objective,
            _FALLS,
            most if rounded == _ROUNDED[0] else _WITHIN,
            until=_NEAR,
        )
        try:
            solution = solve_smooth(
                relaxed,
                replace(options, gap=gap, iterations=most, time_limit=left),
                WarmStart(x),
                rules=(patience,),
            )
        except _EnoughError as stopped:
            x, solution = stopped.x, None
            break
        x = solution.x
        # What is rounded off is never more than the violation, so that every round bounds it.
        gap_left = solution.certificate.gap * solution.yardstick
        least = max(least, -solution.objective - gap_left)
        finished = patience.ended or solution.status != "interrupted"
        if -solution.objective <= 0.0 or not finished:
            break
    with torch.no_grad():
        found, outcomes = violations(x)
    limits = [layer.limit for layer in problem.linear.budgets]
    limit = torch.cat(limits) if limits else torch.zeros(0, dtype=x.dtype)
    return PhaseOne(
        x.detach(),
        outcomes,
        found,
        (found / rounded).clamp(max=1.0),
        torch.zeros_like(limit) if solution is None else solution.budget_prices * limit,
        least,
        finished,
    )
