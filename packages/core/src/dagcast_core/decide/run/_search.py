"""The search for the best decisions of a compiled problem, and what may be claimed of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, explain_non_finite
from dagcast_core.decide.read import explain_empty
from dagcast_core.solver import (
    Counter,
    DecisionError,
    EmptySetError,
    NonFiniteError,
    Options,
    Patience,
    PhaseOne,
    Progress,
    Solution,
    WarmStart,
    Watched,
    is_supported,
    phase_one,
    solve_globally,
    solve_slsqp,
    solve_smooth,
)

__all__ = ["Found", "looked_into", "search", "searched", "time_left"]

# Rounds of less and less smoothing of measures over draws.
_SHARPENED = 6
# They end where a round adds less than this share of the lift and proves no more than those before.
_NOTHING = 1e-6
# The solver is given up where the worst violation falls by less than this share within so many
# iterations; where limits can be kept it falls by orders of magnitude.
_FALLS, _WITHIN = 0.1, 15


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


def searched(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
    method: str,
) -> Found:
    """Solve; where measures over draws have kinks, with ever less smoothing."""
    begun = time.perf_counter()
    if method == "slsqp":
        return _by_slsqp(compiled, warm, options, starts, progress)
    if not compiled.smoothed:
        solution, concavity, tried = search(
            compiled, warm, options, starts=starts, progress=progress
        )
        solution = _kept_after_all(solution, options)
        return Found(solution, concavity, tried, solution.certificate.gap)
    rough = replace(options, gap=max(options.gap, 1e-3))
    solution, concavity, tried = search(compiled, warm, rough, starts=starts, progress=progress)
    # Until the cost of smoothing is known, nothing is claimed of the gap.
    best = Found(solution, concavity, tried, float("inf"))
    # Wide smoothing bounds the optimum well, narrow smoothing finds it: every round's bound is one
    # for all plans, so the best plan of any round is judged by the lowest bound of any, and its
    # prices are those that prove that bound.
    bound, proof = float("inf"), solution
    spent = Counter()
    try:
        for k in range(_SHARPENED):
            solution = _kept_after_all(solution, options)
            objective, gap, lift = _true_gap(compiled, solution)
            lower = objective + gap * lift < bound
            if lower:
                bound, proof = objective + gap * lift, solution
            if solution.status == "stalled" and best.solution.status == "feasible":
                # A round before converged, and this one began at its plan: what stalls is the
                # search for the last of it.
                solution = replace(solution, status="feasible", message="converged to rounding")
            found = Found(solution, concavity, tried, gap, objective=objective)
            before = best.objective
            if _better(found, best, options):
                best = found
            gap = max(bound - best.objective, 0.0) / best.solution.yardstick
            added = (best.objective - before) / best.solution.yardstick if k else None
            best = replace(best, gap=gap, added=added)
            left = None
            if options.time_limit is not None:
                left = options.time_limit - (time.perf_counter() - begun)
            if (
                solution.status in ("interrupted", "infeasible")
                or gap <= options.gap
                or (left is not None and left <= 0)
                or (added is not None and added <= _NOTHING and not lower)
            ):
                break
            spent.forward += solution.counter.forward
            spent.backward += solution.counter.backward
            compiled.sharpen(lift * 0.25**k, solution.row_prices)
            start = WarmStart(solution.x, solution.warm.multipliers)
            solution, _, _ = search(
                compiled, start, replace(options, time_limit=left), progress=progress
            )
    except KeyboardInterrupt:
        stopped = replace(best.solution, status="interrupted", message="interrupted")
        return replace(best, solution=stopped)
    if solution.status == "interrupted" and best.gap > options.gap:
        # The rounds before were more smoothed than was asked for: they do not count as an end.
        stopped = replace(best.solution, status="interrupted", message=solution.message)
        best = replace(best, solution=stopped)
    warm = replace(best.solution.warm, multipliers=proof.warm.multipliers)
    priced = replace(
        best.solution,
        budget_prices=proof.budget_prices,
        row_prices=proof.row_prices,
        certificate=proof.certificate,
        warm=warm,
    )
    best = replace(best, solution=priced)
    last = solution.counter
    spent.forward += last.forward - best.solution.counter.forward
    spent.backward += last.backward - best.solution.counter.backward
    return replace(best, before=spent)


def _by_slsqp(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
) -> Found:
    watched = Watched(compiled.smooth, options)
    try:
        solution = solve_slsqp(watched.problem, options, warm, progress)
    except KeyboardInterrupt:
        solution = watched.stopped(warm)
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise explain_empty(compiled, error) from error
    concavity = "unknown"
    if starts > 0 and solution.status != "interrupted":
        with contextlib.suppress(KeyboardInterrupt):
            concavity = _concavity(compiled, solution, options)
    if solution.status == "stalled" and solution.violation > options.violation:
        # SLSQP does not tell a conflict from a line search that failed; least violations do.
        solution = replace(solution, status="infeasible")
    return Found(solution, concavity, 1, solution.certificate.gap)


def time_left(options: Options, begun: float) -> Options:
    """The options with what is left of the time limit."""
    if options.time_limit is None:
        return options
    left = options.time_limit - (time.perf_counter() - begun)
    return replace(options, time_limit=max(left, 1e-9))


def looked_into(
    compiled: Compiled,
    found: Found,
    options: Options,
    progress: Callable[[Progress], None] | None,
) -> Found:
    """Minimise violations alone: either the conflict, or a point from which to solve after all."""
    begun = time.perf_counter()
    try:
        least = phase_one(compiled.smooth, found.solution.x, options)
        if not least.finished:
            return _unfinished(found, options)
        kept = least.keeps(options.violation)
        if not kept and not least.is_open:
            return replace(found, least=least)
        again, concavity, _ = search(
            compiled,
            WarmStart(least.x),
            time_left(options, begun),
            starts=1,
            progress=progress,
            patient=True,
        )
        again = _kept_after_all(again, options)
    except KeyboardInterrupt:
        return _unfinished(found, replace(options, time_limit=None))
    if again.status == "infeasible":
        message = "some plan keeps every limit, but the solver did not come back to one"
        if not kept:
            message = (
                "no plan that keeps every limit was found, but some come so near that there may "
                f"be one (the limits are missed by {float(least.violations.max()):.1e} of "
                "themselves). Relax them by more than that"
            )
        again = replace(again, status="stalled", message=message)
    return Found(again, concavity, found.tried + 1, again.certificate.gap)


def _unfinished(found: Found, options: Options) -> Found:
    """Stopped before it was clear whether the limits contradict one another."""
    message = "interrupted"
    if options.time_limit is not None:
        message = (
            "time limit reached before it was clear whether any plan keeps every limit; the plan "
            "is the best point found, and breaks some"
        )
    stopped = replace(found.solution, status="interrupted", message=message)
    return replace(found, solution=stopped)


def _kept_after_all(solution: Solution, options: Options) -> Solution:
    """Where the solver gave up rows that its best point keeps, the point counts."""
    if solution.status == "infeasible" and solution.violation <= options.violation:
        return replace(solution, status="feasible", message="converged")
    return solution


def _true_gap(compiled: Compiled, solution: Solution) -> tuple[float, float, float]:
    """Objective by the exact measure, gap relative to the lift with the cost of smoothing, lift."""
    with torch.no_grad():
        objective = float(compiled.exact(solution.x)[0])
    cost = compiled.smoothing_cost(solution.x, solution.row_prices)
    gap = solution.certificate.gap + cost / solution.yardstick
    return objective, gap, solution.yardstick


def _better(found: Found, best: Found, options: Options) -> bool:
    """Whether the plan of a round is better: one that keeps its limits, then by objective."""
    kept = found.solution.violation <= options.violation
    was = best.solution.violation <= options.violation
    if kept != was:
        return kept
    if not kept:
        return found.solution.violation < best.solution.violation
    return found.objective >= best.objective


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
    watched = Watched(compiled.smooth, options)
    patience = Patience(lambda state: state.violation, _FALLS, _WITHIN, options.violation, progress)
    try:
        try:
            solution = solve_smooth(
                watched.problem, options, warm, progress if patient else patience
            )
        except KeyboardInterrupt:
            solution = watched.stopped(warm)
        if patience.ended:
            # Whether some plan keeps every limit is then asked without the objective.
            solution = replace(solution, status="infeasible", message="rows cannot all be kept")
        if starts == 0:
            return solution, "declared" if compiled.problem.concave else "unknown", tried
        if solution.status == "interrupted":
            return solution, "unknown", tried
        try:
            concavity = _concavity(compiled, solution, options)
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
        except KeyboardInterrupt:
            return replace(solution, status="interrupted", message="interrupted"), "unknown", tried
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise explain_empty(compiled, error) from error
    return solution, concavity, tried


def _concavity(compiled: Compiled, solution: Solution, options: Options) -> Any:
    if not compiled.convex_measures:
        # A quantile of concave functions is not concave.
        return "refuted"
    if compiled.problem.concave:
        return "declared"
    if compiled.problem.concave is False:
        return "refuted"
    rows = compiled.smooth.rows
    weights = solution.row_prices * rows.sign
    held = is_supported(compiled.smooth, solution.x, weights, options.seed)
    return "tested" if held else "refuted"


def _known_points(compiled: Compiled) -> list[Tensor]:
    """The plan in force, where it covers the problem's hours."""
    current = compiled.problem.current
    if current is None or not all(name in current for name in compiled.space.slices):
        return []
    with contextlib.suppress(DecisionError):
        return [compiled.space.flat(current)]
    return []
