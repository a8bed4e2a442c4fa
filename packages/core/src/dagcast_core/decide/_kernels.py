"""Compiled inner loops of the separable subproblem: one pass over the cells each.

A pass reads every cell once and keeps nothing decision-sized but its output. The same work in
tensor operations needs about ten passes over memory, and the exact chain step has no vectorised
form whose cost is linear in the length of a chain, so these loops are compiled with numba. Arrays
are NumPy views of CPU tensors.

Vocabulary: a *row* is one scalar constraint; a cell touches at most one row per *layer*; cells of
one *pattern* touch the same rows; a *block* is a set of cells that is closed under chains, with its
own small list of rows; its cells fall into *groups* that no link joins: chains, or nets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = ["Layout", "box_pass", "row_units", "tighten_chains"]


class Layout(NamedTuple):
    """Cells sorted by block and group, and the rows that they touch.

    Attributes:
        cells: (cells,) sorted.
        group_start: (groups + 1,) first place of every chain or net.
        block_group: (blocks + 1,) first group of every block.
        pattern: (cells,) of each cell, not sorted.
        pattern_rows: (patterns, layers) rows; a number beyond the last stands for none.
        slot: (patterns, layers) place of the row in its block's list.
        block_size: (blocks,) rows of the list.
        gram_start: (blocks + 1,) first entry of every block's part of the dual Hessian.
        longest: cells of the largest group.
        largest: rows of the longest list.
    """

    cells: np.ndarray
    group_start: np.ndarray
    block_group: np.ndarray
    pattern: np.ndarray
    pattern_rows: np.ndarray
    slot: np.ndarray
    block_size: np.ndarray
    gram_start: np.ndarray
    longest: int
    largest: int


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
