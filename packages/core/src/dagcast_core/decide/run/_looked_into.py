"""Problems that look infeasible: either the conflict, or a plan after all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.run._found import Found, kept_after_all
from dagcast_core.decide.run._search import search
from dagcast_core.solver import Options, Progress, WarmStart, phase_one

__all__ = ["looked_into", "time_left"]


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
        again = kept_after_all(again, options)
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
