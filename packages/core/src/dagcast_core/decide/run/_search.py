"""The search for the best decisions of a compiled problem, and what may be claimed of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from dagcast_core.decide.compile import Compiled, explain_non_finite
from dagcast_core.solver import (
    DecisionError,
    EmptySetError,
    NonFiniteError,
    Options,
    Patience,
    Progress,
    Solution,
    Stopping,
    TimeLimit,
    WarmStart,
    Watched,
    is_supported,
    preferred,
    solve_globally,
)

__all__ = ["search"]

# The solver is given up where the worst violation falls by less than this share within so many
# iterations; where limits can be kept it falls by orders of magnitude.
_FALLS, _WITHIN = 0.1, 15


def search(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    *,
    starts: int = 0,
    progress: Callable[[Progress], None] | None = None,
    patient: bool = False,
) -> tuple[Solution, Any, int]:
    """Solve, and start again elsewhere where the problem turns out not to be concave.

    Args:
        compiled: the problem.
        warm: where to start, or None.
        options: of every start.
        progress: called once per iteration.
        starts: further starts; with 0 concavity is not tested.
        patient: go on where violations of limits no longer fall.

    Returns:
        The best solution, "declared", "tested", "refuted" or "unknown", and the number of starts.

    Raises:
        DecisionError: the model is not finite, or the linear limits contradict one another.
    """
    begun = time.perf_counter()
    tried = 1
    patience = Patience(lambda state: state.violation, _FALLS, _WITHIN, options.violation)
    stopping = Stopping(
        progress, (*(() if patient else (patience,)), TimeLimit(options.time_limit))
    )
    try:
        method = preferred(compiled.smooth)
        solution = Watched(compiled.smooth, options).run(
            lambda problem: method.solve(problem, options, warm, stopping), warm
        )
        if patience.ended:
            # Whether some plan keeps every limit is then asked without the objective.
            solution = replace(solution, status="infeasible", message="rows cannot all be kept")
        if starts == 0:
            return solution, "declared" if compiled.problem.concave else "unknown", tried
        if solution.status == "interrupted":
            return solution, "unknown", tried
        try:
            concavity = concavity_of(compiled, solution, options)
            if concavity != "refuted":
                return solution, concavity, tried
            left = None
            if options.time_limit is not None:
                left = max(options.time_limit - (time.perf_counter() - begun), 1e-9)
            # Where rows are not convex, another start may also keep limits that this one could not.
            found = solve_globally(
                compiled.smooth,
                replace(options, time_limit=left),
                starts,
                solution,
                _known_points(compiled),
                progress,
            )
            solution, tried = found.solution, found.tried
            if compiled.problem.concave is None and solution.status == "feasible":
                solution, concavity = _bounded_after_all(compiled, solution, options, stopping)
        except KeyboardInterrupt:
            return replace(solution, status="interrupted", message="interrupted"), "unknown", tried
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise compiled.linear.explained(error) from error
    return solution, concavity, tried


def concavity_of(compiled: Compiled, solution: Solution, options: Options) -> Any:
    """What may be said of the problem: "declared", "tested" or "refuted"."""
    if not compiled.tails.convex:
        # A quantile of concave functions is not concave.
        return "refuted"
    if compiled.problem.concave:
        return "declared"
    if compiled.problem.concave is False:
        return "refuted"
    rows = compiled.smooth.rows
    weights = solution.row_prices * rows.sign
    levers = tuple(compiled.space.slices.values())
    held = is_supported(compiled.smooth, solution.x, weights, options.seed, levers)
    return "tested" if held else "refuted"


def _bounded_after_all(
    compiled: Compiled, solution: Solution, options: Options, stopping: Stopping
) -> tuple[Solution, Any]:
    """Ask again at the best of several starts: a plan that was merely local refutes its own bound.

    From there the run goes on until the bound is proved: a start ends where steps gain no more.
    """
    concavity = concavity_of(compiled, solution, options)
    if concavity == "refuted" or solution.certificate.gap <= options.gap:
        return solution, concavity
    again = preferred(compiled.smooth).solve(compiled.smooth, options, solution.warm, stopping)
    if again.status != "feasible" or concavity_of(compiled, again, options) == "refuted":
        return solution, concavity
    return again, concavity


def _known_points(compiled: Compiled) -> list[Tensor]:
    """The plan in force, where it covers the problem's hours."""
    current = compiled.problem.current
    if current is None or not all(name in current for name in compiled.space.slices):
        return []
    with contextlib.suppress(DecisionError):
        return [compiled.space.flat(current)]
    return []
