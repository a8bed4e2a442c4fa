"""Which rows a cell touches: layers of rows, and cells that touch the same ones."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import Tensor

__all__ = ["RowTable"]


@final
class RowTable:
    """Cells with their bounds, and the rows and coefficients that they have in every layer.

    Args:
        lower: (cells,).
        upper: (cells,), may hold inf.
        groups: per layer (cells,) int64 number of the cell's row, -1 for none.
        rows: number of rows overall.

    Attributes:
        coefficients: (cells, layers).
        pattern: (cells,) number of the set of rows that a cell touches.
        pattern_rows: (patterns, layers) those rows; ``rows`` stands for none.
    """

    def __init__(self, lower: Tensor, upper: Tensor, groups: tuple[Tensor, ...], rows: int) -> None:
        self.cells = lower.numel()
        self.rows = rows
        self.layers = max(len(groups), 1)
        # Ramps tighten them in place.
        self.lower = lower.numpy().copy()
        self.upper = upper.numpy().copy()
        table = np.full((self.layers, self.cells), rows, dtype=np.int64)
        for k, group in enumerate(groups):
            ids = group.numpy()
            table[k] = np.where(ids >= 0, ids, rows)
        self.coefficients = np.zeros((self.cells, self.layers))
        self.pattern, self.pattern_rows = _patterns(table)


def _patterns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct columns of ``table`` (layers, cells): pattern of each cell, rows of each pattern."""
    code = np.zeros(table.shape[1], dtype=np.int64)
    for k in range(table.shape[0]):
        _, own = np.unique(table[k], return_inverse=True)
        _, code = np.unique(code * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    count = int(code.max(initial=-1)) + 1
    representative = np.zeros(count, dtype=np.int64)
    representative[code] = np.arange(table.shape[1])
    return code, np.ascontiguousarray(table[:, representative].T)
