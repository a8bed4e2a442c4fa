"""What a search ends with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, final

from dagcast_core.solver import Counter, Options, PhaseOne, Solution

__all__ = ["Found", "kept_after_all"]


@final
@dataclass(frozen=True)
class Found:
    """A solution and what may be claimed of it.

    Attributes:
        solution: see `Solution`.
        concavity: see `Plan`.
        tried: number of starts.
        gap: bound on what a better plan could add, relative to the lift, smoothing included.
        before: calls of rounds with more smoothing.
        least: the decisions of least violation, where the problem is infeasible.
        objective: of the solution by the exact measure, maximised, where measures are smoothed.
        added: what the last round of less smoothing added to it, relative to the lift; None where
            there was but one.
    """

    solution: Solution
    concavity: Any
    tried: int
    gap: float
    before: Counter = field(default_factory=Counter)
    least: PhaseOne | None = None
    objective: float = float("-inf")
    added: float | None = None


def kept_after_all(solution: Solution, options: Options) -> Solution:
    """The solution, whose point counts where the solver gave up rows that it keeps."""
    if solution.status == "infeasible" and solution.violation <= options.violation:
        return replace(solution, status="feasible", message="converged")
    return solution
