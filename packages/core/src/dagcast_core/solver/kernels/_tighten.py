"""Bounds that ramps imply, by two sweeps along every chain."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["tighten_chains"]


@njit(cache=True)
def tighten_chains(
    lower: np.ndarray, upper: np.ndarray, order: np.ndarray, limit: np.ndarray
) -> None:
    """Propagate bounds along |x_t - x_{t-1}| <= limit both ways along every chain, in place."""
    for c in range(order.shape[0]):
        for t in range(1, order.shape[1]):
            i = order[c, t]
            if i < 0:
                break
            j = order[c, t - 1]
            lower[i] = max(lower[i], lower[j] - limit[c, t])
            upper[i] = min(upper[i], upper[j] + limit[c, t])
        for t in range(order.shape[1] - 2, -1, -1):
            i = order[c, t + 1]
            if i < 0:
                continue
            j = order[c, t]
            lower[j] = max(lower[j], lower[i] - limit[c, t + 1])
            upper[j] = min(upper[j], upper[i] + limit[c, t + 1])
