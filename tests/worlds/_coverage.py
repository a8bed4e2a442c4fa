"""Whether intervals hold what they promise, and what is wrong with them where they do not.

A share inside alone does not tell intervals that are too narrow from those that lie beside the
truth, and wide ones can hide a bias. So three things are told apart: too narrow, too wide, shifted.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

# Mean distance from the figure, in standard deviations, that is no shift yet.
SHIFT = 0.25


@dataclass(frozen=True)
class Coverage:
    """Intervals of one kind against what was true.

    Attributes:
        inside: share of truths inside.
        below: share of truths below the interval.
        above: share above.
        shift: mean of (truth - figure) in standard deviations of the interval.
        count: number of intervals.
    """

    inside: float
    below: float
    above: float
    shift: float
    count: int


def coverage(
    truth: ArrayLike, figure: ArrayLike, low: ArrayLike, high: ArrayLike, level: float
) -> Coverage:
    """Compare intervals with truths; places where any of them is no number are left out.

    Args:
        truth: what came out.
        figure: the figure that was shown.
        low: lower end of its interval.
        high: upper end.
        level: that the intervals promise; says how many standard deviations their width is.

    Raises:
        ValueError: nothing can be compared, or an interval ends before it begins.
    """
    found = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in
                                  (truth, figure, low, high)))  # fmt: skip
    seen = np.isfinite(np.stack(found)).all(axis=0)
    true, mid, lower, upper = (part[seen] for part in found)
    if not len(true) or (lower > upper).any():
        raise ValueError(
            f"{len(true)} intervals to compare with truths, {int((lower > upper).sum())} of them "
            "end before they begin"
        )
    spread = (upper - lower) / (2 * norm.ppf((1 + level) / 2))
    known = spread > 0
    shift = float(np.mean((true - mid)[known] / spread[known])) if known.any() else 0.0
    below, above = float(np.mean(true < lower)), float(np.mean(true > upper))
    return Coverage(1 - below - above, below, above, shift, len(true))


def faults(
    found: Sequence[Coverage], *, at_least: float, at_most: float, shift: float = SHIFT
) -> tuple[str, ...]:
    """What is wrong with intervals over several worlds: none, or some of three words.

    Args:
        found: one per world.
        at_least: share inside below which intervals are ``too narrow``.
        at_most: share inside above which they are ``too wide``.
        shift: mean distance in standard deviations beyond which they are ``shifted``, as far as
            the number of worlds and intervals can tell.
    """
    inside = statistics.fmean(item.inside for item in found)
    mean = statistics.fmean(item.shift for item in found)
    if len(found) > 1:
        error = statistics.stdev(item.shift for item in found) / len(found) ** 0.5
    else:
        error = found[0].count ** -0.5
    words = []
    if inside < at_least:
        words.append("too narrow")
    if inside > at_most:
        words.append("too wide")
    if abs(mean) > shift and abs(mean) > 2 * error:
        words.append("shifted")
    return tuple(words)
