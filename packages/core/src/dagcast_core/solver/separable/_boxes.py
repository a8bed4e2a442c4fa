"""The primal step where bounds alone hold cells: a clip."""

from __future__ import annotations

from typing import final

import numpy as np

from dagcast_core.solver.kernels import box_pass
from dagcast_core.solver.separable._table import RowTable

__all__ = ["Boxes"]


@final
class Boxes:
    """Cells sorted by pattern; see `Form`."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._order = np.argsort(table.pattern, kind="stable")
        count = table.pattern_rows.shape[0]
        self._block_start = np.searchsorted(table.pattern[self._order], np.arange(count + 1))
        self.gram: np.ndarray = np.zeros((count, table.layers, table.layers))
        rows = table.pattern_rows
        self.entry_rows = np.broadcast_to(rows[:, :, None], self.gram.shape).reshape(-1)
        self.entry_cols = np.broadcast_to(rows[:, None, :], self.gram.shape).reshape(-1)

    def evaluate(
        self,
        z: np.ndarray,
        metric: np.ndarray,
        upper: np.ndarray,
        multipliers: np.ndarray,
        x: np.ndarray,
        sums: np.ndarray,
        with_gram: bool,
    ) -> float:
        """One pass over the cells; see `Form`."""
        table = self._table
        value: float = box_pass(
            z,
            metric,
            table.lower,
            upper,
            table.coefficients,
            self._order,
            self._block_start,
            table.pattern_rows,
            multipliers,
            x,
            sums,
            self.gram,
            with_gram,
        )
        return value
