"""Why a problem has no plan, or a model no value: named rows, labels, amounts and cells."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.solver import DecisionError, EmptySetError, Options, PhaseOne, phase_one

# Slopes in the proof of rows that are broken, and of limits that hold others back.
_BROKEN = 0.999
_HOLDS = 1e-3
_HAIR = 1e-3
# So many rows are tried without, one by one.
_LOOKED_AT = 8

__all__ = ["broken_linear", "explain_empty", "explain_infeasible"]


def explain_empty(compiled: Compiled, error: EmptySetError) -> DecisionError:
    """Bounds, budgets and ramps that contradict one another, in labels and amounts."""
    if error.kind == "bounds":
        cells = [compiled.space.where(place[0]) for place in error.places]
        return DecisionError(
            f"no decision keeps bounds, fixed cells and ramps at {', '.join(cells)}, to begin "
            "with: the lower end is above the upper end once the ramp is applied. Widen the ramp "
            "there, or change the bounds or the fixed cells."
        )
    offsets = [0]
    for layer in compiled.smooth.linear.budgets:
        offsets.append(offsets[-1] + layer.limit.numel())
    parts = []
    for place, excess in zip(error.places, error.excess, strict=True):
        name = compiled.budgets[offsets[place[0]] + place[1]]
        parts.append(f"{name} is exceeded by {name.amount(excess)} even at the lower bounds")
    return DecisionError("; ".join(parts) + ". Raise the budget, or lower bounds or fixed cells.")


def explain_infeasible(
    compiled: Compiled, found: PhaseOne, options: Options, cut_short: bool = False
) -> tuple[str, ...]:
    """Rows that cannot all be kept, with the least relaxation of each in its own unit.

    Rows that the decisions of least violation break come first; then rows that are kept only just
    and without which a broken one could be kept (unless it is ``cut_short``, as each of them takes
    solving once more), and the budget that holds most back.
    """
    rows = compiled.smooth.rows
    excess = rows.sign * (found.outcomes - rows.limit)
    broken = [
        k
        for k in found.violations.argsort(descending=True).tolist()
        if float(found.violations[k]) > options.violation and float(found.weights[k]) >= _BROKEN
    ]
    out = []
    for k in broken:
        name = compiled.outcomes[k]
        out.append(
            f"{name} is missed by {name.amount(float(excess[k]), 4)} (relax it to "
            f"{name.amount(float(found.outcomes[k]))})"
        )
    needed = [] if cut_short else _needed(compiled, found, broken, options)
    held = [str(compiled.outcomes[k]) for k in needed]
    spends = [
        (float(weight), str(name))
        for weight, name in zip(found.budget_weights, compiled.budgets, strict=True)
        if float(weight) > _HOLDS
    ]
    if spends:
        # The budget that holds most back: raising it is the alternative to relaxing a row.
        held.append(max(spends)[1])
    return (*out, *(f"{name} stands in the way" for name in held))


def _needed(compiled: Compiled, found: PhaseOne, broken: list[int], options: Options) -> list[int]:
    """Rows that are kept only just and without which a broken row could be kept."""
    candidates = [
        k
        for k in found.weights.argsort(descending=True).tolist()
        if k not in broken and float(found.weights[k]) > _HOLDS
    ][:_LOOKED_AT]
    # What is broken by a hair could be kept without almost any other row.
    broken = [k for k in broken if float(found.violations[k]) > _HAIR] or broken
    if not broken:
        return []
    begun = time.perf_counter()
    needed = []
    # Where no broken row gains by dropping all of them together, none by dropping one of them.
    for tried in ([candidates] if len(candidates) > 1 else []) + [[k] for k in candidates]:
        limited = options
        if options.time_limit is not None:
            left = options.time_limit - (time.perf_counter() - begun)
            if left <= 0:
                break
            limited = replace(options, time_limit=left)
        helps = _helps(compiled, found, broken, tried, limited)
        if len(tried) > 1 and not helps:
            break
        if len(tried) == 1 and helps:
            needed += tried
    return needed


def _helps(
    compiled: Compiled, found: PhaseOne, broken: list[int], tried: list[int], options: Options
) -> bool:
    """Whether a broken row could be kept, at least half, without the tried ones."""
    dropped = torch.zeros(len(compiled.outcomes), dtype=torch.bool)
    dropped[tried] = True
    before = found.violations[broken]
    least = float(before.min())
    total = float(found.violations.sum())

    def enough(violations: torch.Tensor) -> bool:
        # At a point that is better as a whole; on the way there rows change places.
        better = float(violations.sum()) <= total - 0.4 * least
        return better and bool((violations[broken] <= 0.5 * before).any())

    without = phase_one(compiled.smooth, found.x, options, dropped, enough)
    return bool((without.violations[broken] <= 0.5 * before).any())


def broken_linear(compiled: Compiled, x: torch.Tensor, tolerance: float) -> tuple[str, ...]:
    """Bounds, fixed cells and ramps that decisions break: the worst of each kind, and how many.

    Args:
        compiled: the problem.
        x: (cells,) decisions.
        tolerance: relative to the size of a cell, or to the ramp's limit.
    """
    linear, where = compiled.smooth.linear, compiled.space.where
    size = linear.scale()
    found = []
    outside = torch.maximum(linear.lower - x, x - linear.upper) / size
    fixed = linear.lower == linear.upper
    for chosen, words in ((fixed, "is set to"), (~fixed, "may be")):
        bad = torch.nonzero((outside > tolerance) & chosen).flatten()
        if bad.numel():
            cell = int(bad[outside[bad].argmax()])
            ends = f"{float(linear.lower[cell]):g}"
            if not bool(fixed[cell]):
                ends += f" to {float(linear.upper[cell]):g}"
            found.append(f"{where(cell)} = {float(x[cell]):g} {words} {ends}{_more(bad, 'cell')}")
    for chains in linear.all_chains:
        before, after = chains.order[:, :-1], chains.order[:, 1:]
        change = (x[after.clamp(min=0)] - x[before.clamp(min=0)]).abs()
        limit = chains.limit[:, 1:]
        excess = (change - limit) / limit.clamp(min=float(size.min()))
        excess = torch.where((before >= 0) & (after >= 0), excess, torch.zeros_like(excess))
        bad = torch.nonzero(excess.reshape(-1) > tolerance).flatten()
        if bad.numel():
            link = int(excess.reshape(-1).argmax())
            cells = [int(end.reshape(-1)[link]) for end in (before, after)]
            found.append(
                f"{where(cells[0])} and {where(cells[1])} differ by "
                f"{float(change.reshape(-1)[link]):g}, the ramp allows "
                f"{float(limit.reshape(-1)[link]):g}{_more(bad, 'pair')}"
            )
    return tuple(found)


def _more(bad: torch.Tensor, noun: str) -> str:
    count = bad.numel() - 1
    return f" (and {count} more {noun}{'s' if count > 1 else ''})" if count else ""
