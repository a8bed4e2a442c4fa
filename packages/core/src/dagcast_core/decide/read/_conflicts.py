"""Why a problem has no plan, or a model no value: named rows, labels, amounts and cells."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.solver import Options, PhaseOne, phase_one

# Slopes in the proof of rows that are broken, and of limits that hold others back.
_BROKEN = 0.999
_HOLDS = 1e-3
_HAIR = 1e-3
# So many rows are tried without, one by one.
_LOOKED_AT = 8

__all__ = ["explain_infeasible"]


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
        name = compiled.outcomes.names[k]
        out.append(
            f"{name} is missed by {name.amount(float(excess[k]), 4)} (relax it to "
            f"{name.amount(float(found.outcomes[k]))})"
        )
    needed = [] if cut_short else _needed(compiled, found, broken, options)
    held = [str(compiled.outcomes.names[k]) for k in needed]
    # The budget that holds most back: raising it is the alternative to relaxing a row.
    budget = compiled.linear.budgets.holding(found.budget_weights, _HOLDS)
    if budget is not None:
        held.append(budget)
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
    dropped = torch.zeros(len(compiled.outcomes.names), dtype=torch.bool)
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
