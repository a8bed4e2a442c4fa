"""Cholesky factors of banded matrices, for nets of cells: compiled, in place.

LAPACK's own would cost a call per net, several times what such a small factor takes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["factorise", "linked", "substitute"]

# Sums of products may be added up in any order, so that several are computed at once.
_SUMS = {"reassoc", "contract", "nsz"}


@njit(cache=True, fastmath=_SUMS)
def factorise(band: np.ndarray, n: int, width: int) -> None:
    """Cholesky factor of a banded matrix, in place.

    ``band[i, width - k]`` is entry (i, i - k); the factor's diagonal is kept inverted.
    """
    for i in range(n):
        first = max(0, i - width)
        for j in range(first, i):
            total = band[i, j - i + width]
            for k in range(first, j):
                total -= band[i, k - i + width] * band[j, k - j + width]
            band[i, j - i + width] = total * band[j, width]
        total = band[i, width]
        for k in range(first, i):
            total -= band[i, k - i + width] * band[i, k - i + width]
        band[i, width] = 1.0 / np.sqrt(max(total, 1e-300))


@njit(cache=True, fastmath=_SUMS)
def substitute(band: np.ndarray, n: int, width: int, b: np.ndarray) -> None:
    """Solve with the factor, in place."""
    for i in range(n):
        total = b[i]
        first = max(0, i - width)
        for k in range(first, i):
            total -= band[i, k - i + width] * b[k]
        b[i] = total * band[i, width]
    for i in range(n - 1, -1, -1):
        b[i] *= band[i, width]
        first = max(0, i - width)
        for k in range(first, i):
            b[k] -= band[i, k - i + width] * b[i]


@njit(cache=True)
def linked(
    band: np.ndarray,
    diagonal: np.ndarray,
    weight: np.ndarray,
    width: int,
    left: np.ndarray,
    right: np.ndarray,
) -> None:
    """Factorise diag + the Laplacian of links of these weights into ``band``.

    Args:
        band: out; shape (>= n, width + 1).
        diagonal: (n,).
        weight: (links,).
        width: largest distance right - left.
        left: (links,).
        right: (links,), ``right > left``.
    """
    n = diagonal.size
    for i in range(n):
        band[i, :width] = 0.0
        band[i, width] = diagonal[i]
    for e in range(left.size):
        i, j = left[e], right[e]
        band[i, width] += weight[e]
        band[j, width] += weight[e]
        band[j, i - j + width] -= weight[e]
    factorise(band, n, width)
