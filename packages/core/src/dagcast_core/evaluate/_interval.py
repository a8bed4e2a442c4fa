"""The interval of a mean over few observations, such as the weeks of a backtest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and its interval by Student's t, for independent observations.

    Args:
        values: one per observation, such as the paired differences of two models by week.
        level: of the interval, e.g. 0.95.

    Returns:
        Mean, lower and upper end; the ends of a single observation are infinite.

    Raises:
        ValueError: no values, or a level outside (0, 1).

    Source: Student (1908), doi:10.1093/biomet/6.1.1
    """
    if not values or not 0 < level < 1:
        raise ValueError("an interval needs values, and a level between 0 and 1")
    # scipy.stats says the same, and takes a second to import.
    from scipy.special import stdtrit

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.5 + level / 2)) * error
    return mean, mean - half, mean + half
