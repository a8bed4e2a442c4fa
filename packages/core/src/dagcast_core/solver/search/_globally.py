"""Problems that are not concave: where to start, and which of the local solutions to keep.

A response with a threshold is convex below it: spend pays off in some cells and not in their
neighbours, and every choice of cells has its own local optimum. A local method cannot choose, so
the choice is made beforehand from a *table*: the gradient of the Lagrangian at a few levels of
spend in all cells at once, integrated along the level, says roughly what each cell gains by each
level. Buying the best level of every cell at prices that exhaust the budgets is the dual of that
separable problem, whose gap vanishes as cells grow many (Shapley-Folkman).

Nothing here is a proof: the best of several local solutions is the best *known* one.

Source: Bertsekas (1982), Constrained Optimization and Lagrange Multiplier Methods, section 5.6;
Aubin & Ekeland (1976), doi:10.1287/moor.1.3.225.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dagcast_core.solver.answer import Options, Progress, Solution, WarmStart
from dagcast_core.solver.methods.sqp import solve_smooth
from dagcast_core.solver.problem import (
    Counter,
    LinearSet,
    NonFiniteError,
    Oracle,
    SmoothProblem,
    default_start,
)

__all__ = ["Global", "beats", "plain_starts", "solve_globally", "tabulated_start"]

# Shares of a cell's reach at which gains are tabulated; thresholds lie low.
_LEVELS = (0.0, 0.02, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 1.0)
_PRICE_ROUNDS = 60
# A start that needs more is in a bad place.
_ITERATIONS = 60


@dataclass(frozen=True, slots=True)
class Global:
    """The best of several local solutions.

    Attributes:
        solution: feasible before infeasible, then by objective; its counter is its own.
        tried: number of starts.
        counter: calls of the model over all starts and tables.
    """

    solution: Solution
    tried: int
    counter: Counter


def solve_globally(
    problem: SmoothProblem,
    options: Options,
    starts: int,
    first: Solution | None = None,
    points: Sequence[Tensor] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Global:
    """Solve from several starts and keep the best.

    Args:
        problem: not concave, or not known to be.
        options: of every start; the time limit is of all together.
        starts: further starts after the first: from the table, from low spend, from ``points``,
            then from the rest of `plain_starts`.
        first: an ordinary solution, if there is one already.
        points: (cells,) starts that the caller knows, such as the plan in force.
        progress: called once per iteration.
    """
    begun = time.perf_counter()
    problem = replace(problem, concave=False)
    best = solve_smooth(problem, options, None, progress) if first is None else first
    counter = Counter()
    _add(counter, best.counter)
    tried = 1
    for number in range(starts):
        left = None
        if options.time_limit is not None:
            left = options.time_limit - (time.perf_counter() - begun)
        if best.status == "interrupted" or (left is not None and left <= 0):
            break
        capped = replace(options, time_limit=left, iterations=min(options.iterations, _ITERATIONS))
        try:
            warm = _start(problem, options, number, best, points, counter)
            other = solve_smooth(problem, capped, warm, progress)
        except NonFiniteError:
            # Where the model breaks down is no start; what was found stands.
            continue
        except KeyboardInterrupt:
            best = replace(best, status="interrupted", message="interrupted")
            break
        _add(counter, other.counter)
        tried += 1
        if beats(other, best, options):
            best = other
        elif other.status == "interrupted":
            best = replace(best, status="interrupted", message=other.message)
    return Global(best, tried, counter)


def beats(other: Solution, best: Solution, options: Options) -> bool:
    """Whether ``other`` is the better plan: feasible before infeasible, then by objective."""
    ours = best.violation <= options.violation
    theirs = other.violation <= options.violation
    if ours != theirs:
        return theirs
    return other.objective > best.objective if ours else other.violation < best.violation


def _start(
    problem: SmoothProblem,
    options: Options,
    number: int,
    best: Solution,
    points: Sequence[Tensor],
    counter: Counter,
) -> WarmStart:
    """The start of a number: the table, low spend, the caller's points, further plain ones."""
    if number == 0:
        return WarmStart(tabulated_start(problem, best, counter))
    if 2 <= number < 2 + len(points):
        return WarmStart(points[number - 2])
    plain = number if number == 1 else number - len(points)
    return WarmStart(plain_starts(problem.linear, plain, options.seed)[-1])


def plain_starts(linear: LinearSet, count: int, seed: int) -> list[Tensor]:
    """Starts that need no model: low spend, nothing, everything, then at random, mostly low."""
    reach = linear.reach()
    reach = torch.where(torch.isfinite(reach), reach, default_start(linear))
    room = reach - linear.lower
    points = [linear.lower + 0.05 * room, linear.lower.clone(), reach]
    generator = torch.Generator().manual_seed(seed)
    while len(points) < count:
        draw = torch.rand(reach.shape, generator=generator, dtype=reach.dtype)
        points.append(linear.lower + room * draw ** (1 + len(points) % 5))
    return points[:count]


def tabulated_start(problem: SmoothProblem, known: Solution, counter: Counter) -> Tensor:
    """The best level of every cell at prices that exhaust the budgets, (cells,).

    Args:
        problem: one that is not concave.
        known: a local solution; its row prices are part of what cells gain.
        counter: counts the table's calls, one forward and one backward per level.
    """
    linear = problem.linear.tightened()
    oracle = Oracle(problem, counter)
    reach = linear.reach()
    reach = torch.where(torch.isfinite(reach), reach, 2.0 * default_start(linear) + 1.0)
    room = reach - linear.lower
    rows = problem.rows
    y = known.row_prices * rows.sign * rows.scale
    levels = torch.tensor(_LEVELS, dtype=room.dtype)
    gains = torch.zeros(len(_LEVELS), linear.size, dtype=room.dtype)  # (level, cell)
    before: Tensor | None = None
    for k, level in enumerate(_LEVELS):
        oracle.forward(linear.lower + level * room)
        slope = -oracle.gradient(y, keep=False) * room
        if before is not None:
            gains[k] = gains[k - 1] + 0.5 * (slope + before) * (levels[k] - levels[k - 1])
        before = slope
    oracle.release()
    return linear.lower + room * _bought(gains, levels, room, linear)


def _bought(gains: Tensor, levels: Tensor, room: Tensor, linear: LinearSet) -> Tensor:
    """Levels bought at budget prices that rise where too much is bought, (cells,) of 0 to 1."""
    layers = linear.budgets
    free = [(layer.limit - layer.sums(linear.lower)).clamp(min=1e-300) for layer in layers]
    # Gain per unit of budget of what is best at no price at all.
    typical = float(gains.amax(0).clamp(min=0).sum())
    prices = [torch.full_like(limit, typical) / limit / max(len(layers), 1) for limit in free]
    for turn in range(_PRICE_ROUNDS):
        chosen, _ = _best_levels(gains, levels, room, linear, prices)
        step = 0.5 / (1.0 + 0.15 * turn)
        for k, layer in enumerate(layers):
            spent = layer.sums(chosen * room) / free[k]
            prices[k] = prices[k] * spent.clamp(0.1, 10.0) ** step
    # Cells alike flip together at their price: buy a little too much, then drop the least worth.
    chosen, gain = _best_levels(gains, levels, room, linear, [0.9 * price for price in prices])
    for layer, limit in zip(layers, free, strict=True):
        inside = torch.nonzero(layer.group >= 0).flatten()
        spent = (layer.coefficient * chosen * room)[inside]
        worth = gain[inside] / spent.clamp(min=1e-300)
        order = torch.argsort(worth, descending=True, stable=True)
        order = order[torch.argsort(layer.group[inside][order], stable=True)]
        group = layer.group[inside][order]
        running = spent[order].cumsum(0)
        total = torch.zeros_like(limit).index_add_(0, group, spent[order])
        before = total.cumsum(0) - total
        kept = running - before[group] <= limit[group] * (1 + 1e-12)
        chosen[inside[order[~kept]]] = 0.0
    return chosen


def _best_levels(
    gains: Tensor, levels: Tensor, room: Tensor, linear: LinearSet, prices: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Best level of every cell at given prices of the budgets, and its gain, both (cells,)."""
    cost = torch.zeros_like(room)
    for layer, price in zip(linear.budgets, prices, strict=True):
        pull = layer.coefficient * price[layer.group.clamp(min=0)]
        cost += torch.where(layer.group >= 0, pull, torch.zeros_like(pull))
    net = gains - cost * room * levels[:, None]
    which = net.argmax(0)
    return levels[which], gains.gather(0, which[None])[0]


def _add(total: Counter, part: Counter) -> None:
    total.forward += part.forward
    total.backward += part.backward
    total.seconds += part.seconds
