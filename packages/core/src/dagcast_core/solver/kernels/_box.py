"""The pass over cells that only bounds hold, and the units of rows."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["box_pass", "row_units"]


@njit(cache=True, fastmath=False)
def box_pass(
    z: np.ndarray,
    metric: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    coefficients: np.ndarray,
    cells: np.ndarray,
    block_start: np.ndarray,
    block_rows: np.ndarray,
    multipliers: np.ndarray,
    x: np.ndarray,
    row_sums: np.ndarray,
    gram: np.ndarray,
    with_gram: bool,
) -> float:
    """Proximal step under bounds for given multipliers, with row sums and the dual Hessian.

    x = clip(z - A'v / D, lower, upper);  row_sums = A x;  gram[b] = sum over free cells of a a'
    / D.

    Returns:
        sum of D / 2 * (x - z)^2.
    """
    layers = coefficients.shape[1]
    row_sums[:] = 0.0
    if with_gram:
        gram[:] = 0.0
    value = 0.0
    sums = np.zeros(layers)
    for b in range(block_start.size - 1):
        for k in range(layers):
            sums[k] = 0.0
        for p in range(block_start[b], block_start[b + 1]):
            i = cells[p]
            pull = 0.0
            for k in range(layers):
                pull += coefficients[i, k] * multipliers[block_rows[b, k]]
            d = metric[i]
            point = z[i] - pull / d
            free = True
            if point <= lower[i]:
                free = False
                point = lower[i]
            elif point >= upper[i]:
                free = False
                point = upper[i]
            x[i] = point
            step = point - z[i]
            value += 0.5 * d * step * step
            for k in range(layers):
                a = coefficients[i, k]
                sums[k] += a * point
                if with_gram and free and a != 0.0:
                    w = a / d
                    for j in range(k + 1):
                        gram[b, k, j] += w * coefficients[i, j]
        for k in range(layers):
            row_sums[block_rows[b, k]] += sums[k]
        if with_gram:
            for k in range(layers):
                for j in range(k):
                    gram[b, j, k] = gram[b, k, j]
    return value


@njit(cache=True)
def row_units(
    coefficients: np.ndarray,
    pattern: np.ndarray,
    pattern_rows: np.ndarray,
    metric: np.ndarray,
    x: np.ndarray,
    curvature: np.ndarray,
    size: np.ndarray,
) -> None:
    """Add up per row a^2 / D, the dual Hessian's diagonal if no cell were held, and |a x|."""
    curvature[:] = 0.0
    size[:] = 0.0
    for i in range(pattern.size):
        for k in range(coefficients.shape[1]):
            a = coefficients[i, k]
            if a != 0.0:
                r = pattern_rows[pattern[i], k]
                curvature[r] += a * a / metric[i]
                size[r] += abs(a * x[i])
