"""What people should know before they rely on a plan."""

from __future__ import annotations

from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.read._exploding import exploding
from dagcast_core.solver import EmptySetError, NonFiniteError, Options, Solution, phase_one

__all__ = ["warnings_of"]

CUT_SHORT = "interrupted before the plan was looked over"

# Margin, relative to every limit, below which a feasible set is nearly empty.
_MARGIN = 1e-3


def warnings_of(
    compiled: Compiled, solution: Solution, status: str, options: Options
) -> tuple[str, ...]:
    """Remarks on a solved plan, none where all is well."""
    found: list[str] = []
    try:
        found += exploding(compiled, solution)
        found += _unbounded(compiled, solution, options)
        if status in ("optimal", "feasible", "stalled"):
            found += _nearly_empty(compiled, solution, options)
        if compiled.evaluation.scenarios is not None:
            found += compiled.tails.few_draws(compiled.evaluation.scenarios.count)
    except KeyboardInterrupt:
        # The plan is found; what could be said about it may be missing.
        found.append(CUT_SHORT)
    return tuple(found)


def _unbounded(compiled: Compiled, solution: Solution, options: Options) -> list[str]:
    """Cells that nothing holds back: twice as much there is no worse."""
    linear = compiled.smooth.linear
    above = solution.x - linear.lower
    endless = torch.isinf(linear.reach()) & (above > 0)
    if solution.message == "flat" or not bool(endless.any()):
        return []
    with torch.no_grad():
        objective, _ = compiled.smooth.evaluate(solution.x)
        more, further = compiled.smooth.evaluate(
            solution.x + torch.where(endless, above, 0.0 * above)
        )
    rows = compiled.smooth.rows
    held = bool((rows.excess(further) > options.violation).any())
    if held or not bool(more >= objective - 1e-9 * solution.yardstick):
        return []
    cell = compiled.space.where(int(torch.nonzero(endless)[0]))
    return [
        f"nothing holds back {int(endless.sum())} cell(s) such as {cell}: twice as much there is "
        "no worse, so the plan says only where the solver stopped. Give the lever an upper bound "
        "or a budget"
    ]


def _nearly_empty(compiled: Compiled, solution: Solution, options: Options) -> list[str]:
    found = compiled.linear.budgets.nearly_used_up(compiled.smooth.linear, _MARGIN)
    rows = compiled.smooth.rows
    room = rows.sign * (rows.limit - solution.outcomes) / rows.scale
    close = torch.nonzero(room <= _MARGIN).flatten()
    if not close.numel():
        return found
    tight = replace(rows, limit=rows.limit - rows.sign * _MARGIN * rows.scale)
    limited = 10.0 if options.time_limit is None else 0.25 * options.time_limit
    try:
        # Ends after a few passes where the limits leave room.
        margin = phase_one(
            replace(compiled.smooth, rows=tight),
            solution.x,
            replace(options, time_limit=limited),
            enough=lambda violations: float(violations.max()) <= 0.5 * _MARGIN,
        )
    except (EmptySetError, NonFiniteError):
        return found
    if margin.least <= 0.0:
        # Kept with some margin, or not proved that it cannot be.
        return found
    missing = torch.nonzero(margin.weights > 0).flatten().tolist()
    order = sorted(missing, key=lambda k: -float(margin.violations[k]))[:3]
    closing = "; ".join(str(compiled.outcomes.names[k]) for k in order)
    return [
        *found,
        f"the feasible set is nearly empty: no plan keeps every limit with a margin of "
        f"{_MARGIN:.1%}, so small errors of the forecast break {closing}. Give them room before "
        "the plan is relied on",
    ]
