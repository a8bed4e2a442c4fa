"""The primal step for given multipliers: one form without ramps, one for chains, one for nets."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Form"]


class Form(Protocol):
    """Cells laid out for one kind of pass.

    Attributes:
        gram: entries of the dual Hessian, block by block, of the last pass that asked for it.
        entry_rows: row of every entry of ``gram``.
        entry_cols: its column.
    """

    gram: np.ndarray
    entry_rows: np.ndarray
    entry_cols: np.ndarray

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
        """Minimise sum D/2 (x - z)^2 + v'A x.

        Args:
            z: (cells,).
            metric: (cells,) positive.
            upper: (cells,), tightened along the ramps.
            multipliers: (rows + 1,); the last is 0 and stands for no row.
            x: out, (cells,).
            sums: out, (rows + 1,) A x.
            with_gram: whether ``gram`` is wanted.

        Returns:
            sum D/2 (x - z)^2.
        """
        ...
