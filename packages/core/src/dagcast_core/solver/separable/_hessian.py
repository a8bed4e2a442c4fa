"""The Hessian of the dual: added up from the blocks, and solved for a Newton step."""

from __future__ import annotations

from typing import final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

__all__ = ["DualHessian"]

# Above it sparse factors win, also because dense ones may start threads that wait for one another.
_DENSE_ROWS = 60


@final
class DualHessian:
    """Pattern of the dual Hessian, and what each entry of the blocks' Grams adds to.

    Args:
        rows: number of rows.
        entry_rows: row of every entry of the Grams; ``rows`` and beyond stand for none.
        entry_cols: its column.
    """

    def __init__(self, rows: int, entry_rows: np.ndarray, entry_cols: np.ndarray) -> None:
        self._rows = rows
        kept = (entry_rows < rows) & (entry_cols < rows)
        code = entry_rows[kept] * rows + entry_cols[kept]
        diagonal = np.arange(rows, dtype=np.int64) * (rows + 1)
        entries, where = np.unique(np.concatenate([code, diagonal]), return_inverse=True)
        self._kept = np.nonzero(kept)[0]
        self._entry = where[: code.size]
        self._diagonal = where[code.size :]
        self.row = entries // max(rows, 1)
        self.col = entries % max(rows, 1)

    def entries(self, gram: np.ndarray) -> np.ndarray:
        """Values at ``row`` and ``col``."""
        return np.bincount(self._entry, gram.reshape(-1)[self._kept], minlength=self.row.size)

    def diagonal(self, gram: np.ndarray) -> np.ndarray:
        """Diagonal, (rows,)."""
        return self.entries(gram)[self._diagonal]

    def newton_step(
        self,
        gram: np.ndarray,
        free: np.ndarray,
        slope: np.ndarray,
        ridge: np.ndarray,
        unit: np.ndarray,
    ) -> np.ndarray:
        """Solve (H + ridge) step = slope on the free rows; 0 elsewhere."""
        data = self.entries(gram)
        data[self._diagonal] += ridge
        # Rows differ in unit by many orders: solve in the unit of each.
        scale = 1.0 / np.sqrt(unit)
        data *= scale[self.row] * scale[self.col]
        step = np.zeros(self._rows)
        index = np.cumsum(free) - 1
        count = int(free.sum())
        kept = free[self.row] & free[self.col]
        row, col = index[self.row[kept]], index[self.col[kept]]
        right = (slope * scale)[free]
        if count <= _DENSE_ROWS:
            dense = np.zeros((count, count))
            dense[row, col] = data[kept]
            solution = np.linalg.solve(dense, right)
        else:
            matrix = sp.csc_matrix((data[kept], (row, col)), shape=(count, count))
            # A total over all cells is a dense row: an order for A + A' keeps its factors sparse.
            factors = splu(
                matrix,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            solution = factors.solve(right)
        step[free] = solution * scale[free]
        return step
