"""The whole search: once, or in rounds of less and less smoothing of measures over draws."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled, explain_non_finite
from dagcast_core.decide.run._found import Found, kept_after_all
from dagcast_core.decide.run._search import concavity_of, search
from dagcast_core.solver import (
    Counter,
    EmptySetError,
    Method,
    NonFiniteError,
    Options,
    Progress,
    Solution,
    Stopping,
    TimeLimit,
    WarmStart,
    Watched,
    preferred,
)

__all__ = ["searched"]

# Rounds of less and less smoothing of measures over draws.
_SHARPENED = 6

# They end where a round adds less than this share of the lift and proves no more than those before.
_NOTHING = 1e-6


def searched(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
    method: Method,
) -> Found:
    """Solve; where measures over draws have kinks, with ever less smoothing.

    Args:
        compiled: the problem.
        warm: where to start, or None.
        options: tolerances, limits of time and iterations, seed.
        starts: for problems that are not concave.
        progress: called once per iteration.
        method: any but the preferred one solves the problem once as it stands, to compare with.
    """
    begun = time.perf_counter()
    if method is not preferred(compiled.smooth):
        return _once(compiled, warm, options, starts, progress, method)
    if not compiled.tails.smoothed:
        solution, concavity, tried = search(
            compiled, warm, options, starts=starts, progress=progress
        )
        solution = kept_after_all(solution, options)
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
            solution = kept_after_all(solution, options)
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


def _once(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
    method: Method,
) -> Found:
    try:
        stopping = Stopping(progress, (TimeLimit(options.time_limit),))
        solution = Watched(compiled.smooth, options).run(
            lambda problem: method.solve(problem, options, warm, stopping), warm
        )
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise compiled.linear.explained(error) from error
    concavity = "unknown"
    if starts > 0 and solution.status != "interrupted":
        with contextlib.suppress(KeyboardInterrupt):
            concavity = concavity_of(compiled, solution, options)
    return Found(solution, concavity, 1, solution.certificate.gap)


def _true_gap(compiled: Compiled, solution: Solution) -> tuple[float, float, float]:
    """Objective by the exact measure, gap relative to the lift with the cost of smoothing, lift."""
    with torch.no_grad():
        objective = float(compiled.evaluation.exact(solution.x)[0])
    cost = compiled.evaluation.smoothing_cost(solution.x, solution.row_prices)
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
