"""What people should know before they rely on a plan."""

from __future__ import annotations

from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.read._exploding import first_exploding
from dagcast_core.solver import EmptySetError, NonFiniteError, Options, Solution, phase_one

__all__ = ["warnings_of"]

# Margin, relative to every limit, below which a feasible set is nearly empty.
_MARGIN = 1e-3
# A cell whose millionth part would move the objective by the whole lift.
_EXPLODES = 1e6


def warnings_of(
    compiled: Compiled, solution: Solution, status: str, options: Options
) -> tuple[str, ...]:
    """Remarks on a solved plan, none where all is well."""
    found: list[str] = []
    try:
        found += _exploding(compiled, solution)
        found += _unbounded(compiled, solution, options)
        if status in ("optimal", "feasible", "stalled"):
            found += _nearly_empty(compiled, solution, options)
        found += _few_draws(compiled)
    except KeyboardInterrupt:
        # The plan is found; what could be said about it may be missing.
        found.append(CUT_SHORT)
    return tuple(found)


def _exploding(compiled: Compiled, solution: Solution) -> list[str]:
    linear = compiled.smooth.linear
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, torch.ones_like(reach))
    for x, place in ((solution.x, "at the plan"), (linear.lower, "at the lower bounds")):
        leaf = x.detach().clone().requires_grad_(True)
        objective, _ = compiled.evaluate(leaf)
        if not objective.requires_grad:
            continue
        (slope,) = torch.autograd.grad(objective, leaf, materialize_grads=True)
        if not bool(torch.isfinite(slope).all()):
            # The solver never asked there; nothing hangs on it.
            continue
        size = slope.abs() * room
        if float(size.max()) <= _EXPLODES * max(solution.yardstick, 1e-300):
            continue
        cell = int(size.argmax())
        member, quantity = first_exploding(compiled, x, cell, float(room[cell]))
        return [
            f"the gradient explodes {place}: {float(slope[cell]):.1e} per unit at "
            f"{compiled.space.where(cell)}, first in {quantity!r} of {member!r}. Bound the lever "
            "away from there, or clamp the argument of its logarithm, power or division."
        ]
    return []


def _unbounded(compiled: Compiled, solution: Solution, options: Options) -> list[str]:
    """Cells that nothing holds back: twice as much there is no worse."""
    linear = compiled.smooth.linear
    above = solution.x - linear.lower
    endless = torch.isinf(linear.reach()) & (above > 0)
    if solution.message == "flat" or not bool(endless.any()):
        return []
    with torch.no_grad():
        objective, _ = compiled.evaluate(solution.x)
        more, further = compiled.evaluate(solution.x + torch.where(endless, above, 0.0 * above))
    rows = compiled.smooth.rows
    held = bool((rows.sign * (further - rows.limit) / rows.scale > options.violation).any())
    if held or not bool(more >= objective - 1e-9 * solution.yardstick):
        return []
    cell = compiled.space.where(int(torch.nonzero(endless)[0]))
    return [
        f"nothing holds back {int(endless.sum())} cell(s) such as {cell}: twice as much there is "
        "no worse, so the plan says only where the solver stopped. Give the lever an upper bound "
        "or a budget"
    ]


def _nearly_empty(compiled: Compiled, solution: Solution, options: Options) -> list[str]:
    found = []
    linear = compiled.smooth.linear
    offset = 0
    for layer in linear.budgets:
        room = layer.limit - layer.sums(linear.lower)
        for k in torch.nonzero(room <= _MARGIN * layer.limit).flatten().tolist():
            name = compiled.budgets[offset + k]
            if name.limit > 0:
                found.append(
                    f"{name} leaves {name.amount(float(room[k]), 4)} to decide about: bounds and "
                    "fixed cells take the rest"
                )
        offset += layer.limit.numel()
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
    closing = "; ".join(str(compiled.outcomes[k]) for k in order)
    return [
        *found,
        f"the feasible set is nearly empty: no plan keeps every limit with a margin of "
        f"{_MARGIN:.1%}, so small errors of the forecast break {closing}. Give them room before "
        "the plan is relied on",
    ]


def _few_draws(compiled: Compiled) -> list[str]:
    if compiled.scenarios is None:
        return []
    tails = [tail.tail for tail in (compiled.tail, *compiled.row_tails) if tail.measure != "mean"]
    count = compiled.scenarios.count
    if tails and min(tails) * count < 3:
        return [
            f"the worst {min(tails):.0%} of {count} draws are {min(tails) * count:.2g} draws: what "
            "the plan guards against rests on very few. Make more draws"
        ]
    return []


CUT_SHORT = "interrupted before the plan was looked over"
