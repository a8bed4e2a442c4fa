"""Full-batch L-BFGS with a strong Wolfe line search.

Own code where libraries exist, for a measured reason: `torch.optim` imports torch's compiler on
first use (seconds of CPU in every short-lived process), and scipy's routine waits for BLAS threads
in each of its tiny factorisations (7 s instead of 0.07 s for 600 calls on two busy cores).

Source: Nocedal & Wright (2006), Numerical Optimization, algorithms 7.4, 3.5 and 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

Evaluate = Callable[[torch.Tensor], tuple[float, torch.Tensor]]
Precondition = Callable[[torch.Tensor], torch.Tensor]

_DECREASE = 1e-4
_CURVATURE = 0.9
_TRIALS = 25


@dataclass(frozen=True)
class Iterate:
    """A point with its value and gradient."""

    at: torch.Tensor
    value: float
    gradient: torch.Tensor


def lbfgs(
    evaluate: Evaluate, start: Iterate, memory: int, precondition: Precondition
) -> Iterator[Iterate]:
    """Improve a point for as long as the caller asks and the line search finds anything better.

    Args:
        evaluate: value and gradient at a point.
        start: the first point.
        memory: number of past steps kept.
        precondition: a first guess of the inverse Hessian, times a vector.

    Yields:
        Points of falling value.
    """
    now = start
    steps: list[tuple[torch.Tensor, torch.Tensor, float]] = []
    while True:
        direction = -_inverse_hessian_times(now.gradient, steps, precondition)
        slope = float(direction @ now.gradient)
        if not slope < 0:
            if not steps:
                return
            steps.clear()
            continue
        found = _line_search(evaluate, now, direction, slope)
        if found is None:
            if not steps:
                return
            # A stale memory can point nowhere useful; the gradient itself gets one more chance.
            steps.clear()
            continue
        step, change = found.at - now.at, found.gradient - now.gradient
        product = float(step @ change)
        if product > 1e-12 * float(step.norm() * change.norm()):
            steps = [*steps[-(memory - 1) :], (step, change, 1 / product)]
        now = found
        yield now


def _inverse_hessian_times(
    vector: torch.Tensor,
    steps: list[tuple[torch.Tensor, torch.Tensor, float]],
    precondition: Precondition,
) -> torch.Tensor:
    result = vector.clone()
    weights = []
    for step, change, rho in reversed(steps):
        weight = rho * float(step @ result)
        result -= weight * change
        weights.append(weight)
    result = precondition(result)
    for (step, change, rho), weight in zip(steps, reversed(weights), strict=True):
        result += step * (weight - rho * float(change @ result))
    return result


def _line_search(
    evaluate: Evaluate, now: Iterate, direction: torch.Tensor, slope: float
) -> Iterate | None:
    """A point that meets the strong Wolfe conditions, or the best that decreases enough."""
    before, before_value, before_slope = 0.0, now.value, slope
    length: float = 1.0
    best: Iterate | None = None
    for trial in range(_TRIALS):
        point = _at(evaluate, now, direction, length)
        point_slope = float(point.gradient @ direction)
        enough = point.value <= now.value + _DECREASE * length * slope
        if not enough or (trial and point.value >= before_value):
            low = (before, before_value, before_slope)
            high = (length, point.value, point_slope)
            return _zoom(evaluate, now, direction, slope, low, high, best)
        best = point
        if abs(point_slope) <= -_CURVATURE * slope:
            return point
        if point_slope >= 0:
            low = (length, point.value, point_slope)
            high = (before, before_value, before_slope)
            return _zoom(evaluate, now, direction, slope, low, high, best)
        before, before_value, before_slope = length, point.value, point_slope
        length *= 2.5
    return best


def _zoom(
    evaluate: Evaluate,
    now: Iterate,
    direction: torch.Tensor,
    slope: float,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    best: Iterate | None,
) -> Iterate | None:
    for _ in range(_TRIALS):
        length = _between(low, high)
        point = _at(evaluate, now, direction, length)
        point_slope = float(point.gradient @ direction)
        enough = point.value <= now.value + _DECREASE * length * slope
        if not enough or point.value >= low[1]:
            high = (length, point.value, point_slope)
        else:
            best = point
            if abs(point_slope) <= -_CURVATURE * slope:
                return point
            if point_slope * (high[0] - low[0]) >= 0:
                high = low
            low = (length, point.value, point_slope)
        if abs(high[0] - low[0]) * abs(slope) <= 1e-15 * max(abs(now.value), 1.0):
            break
    return best


def _between(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """Minimum of the cubic through two points, kept off their ends."""
    (a, fa, ga), (b, fb, gb) = low, high
    width = b - a
    middle = a + 0.5 * width
    bend = ga + gb - 3 * (fa - fb) / (a - b)
    root = bend * bend - ga * gb
    if not math.isfinite(root) or root < 0:
        return middle
    turn = math.copysign(math.sqrt(root), width)
    bottom = gb - ga + 2 * turn
    if not bottom:
        return middle
    length = b - width * (gb + turn - bend) / bottom
    share = (length - a) / width
    return length if 0.1 <= share <= 0.9 else a + min(max(share, 0.1), 0.9) * width


def _at(evaluate: Evaluate, now: Iterate, direction: torch.Tensor, length: float) -> Iterate:
    point = now.at + length * direction
    value, gradient = evaluate(point)
    return Iterate(point, value, gradient)
