"""Separable quadratic programmes in their dual: min sum D/2 (x - z)^2 over bounds, chains and rows.

The dual has one variable per row. For given multipliers the primal minimiser is exact and costs one
pass over the cells (`kernels`), so the dual is maximised by a semismooth Newton method with an
active set on the signs of the multipliers, a regularised Hessian and a line search on the concave
dual value. Every other step of the solver, the projection onto nested budgets included, is this one
programme with different rows.

Source: Qi & Sun (1993), doi:10.1007/BF01581275; Bertsekas (1982), doi:10.1137/0320018 (projected
    Newton).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from dagcast_core.solver.kernels import row_units
from dagcast_core.solver.problem import Chains
from dagcast_core.solver.separable._boxes import Boxes
from dagcast_core.solver.separable._chained import Chained
from dagcast_core.solver.separable._form import Form
from dagcast_core.solver.separable._hessian import DualHessian
from dagcast_core.solver.separable._netted import Netted
from dagcast_core.solver.separable._table import RowTable

__all__ = ["SeparableProgramme", "SeparableSolution"]

# Points tried along a Newton step, and how often rows that it sends out of bounds are held.
_LOOKS = 5
_HOLDS = 3


@dataclass(frozen=True, slots=True)
class SeparableSolution:
    """Minimiser of a separable programme.

    Attributes:
        x: (cells,).
        multipliers: (rows,) nonnegative; layers in order.
        links: (cells,) multiplier of the link to the previous cell of the chain, or None without
            chains.
        residual: largest relative error of the rows' complementarity.
        iterations: Newton steps.
    """

    x: Tensor
    multipliers: Tensor
    links: Tensor | None
    residual: float
    iterations: int


@final
class SeparableProgramme:
    """Rows and chains over a fixed set of cells, laid out once and solved many times.

    Args:
        lower: (cells,).
        upper: (cells,), may hold inf.
        groups: per layer (cells,) int64 number of the cell's row, -1 for none.
        total_rows: number of rows overall.
        chains: ramps, or None.
        more_chains: ramps whose links close cycles with those of ``chains``.
    """

    def __init__(
        self,
        lower: Tensor,
        upper: Tensor,
        groups: tuple[Tensor, ...],
        total_rows: int,
        chains: Chains | None = None,
        more_chains: tuple[Chains, ...] = (),
    ) -> None:
        self.table = RowTable(lower, upper, groups, total_rows)
        self.form: Form
        if chains is None:
            self.form = Boxes(self.table)
        elif more_chains:
            self.form = Netted(self.table, (chains, *more_chains))
        else:
            self.form = Chained(self.table, chains)
        self.hessian = DualHessian(total_rows, self.form.entry_rows, self.form.entry_cols)
        self._x = np.zeros(self.table.cells)
        self._sums = np.zeros(total_rows + 1)

    @property
    def links(self) -> Tensor | None:
        """Multipliers of the chains' links at the last solution, (cells,)."""
        return self.form.links if isinstance(self.form, Chained) else None

    @property
    def net_links(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `Netted`; for programmes whose ramps close cycles."""
        assert isinstance(self.form, Netted)
        return self.form.net_links

    def set_layer(self, layer: int, coefficient: Tensor) -> None:
        """Replace the coefficients of one layer, (cells,)."""
        self.table.coefficients[:, layer] = coefficient.numpy()

    def evaluate(
        self,
        z: np.ndarray,
        metric: np.ndarray,
        v: np.ndarray,
        with_gram: bool,
        upper: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Primal minimiser for the multipliers ``v``: its value, and the row sums there."""
        value = self.form.evaluate(
            z,
            metric,
            self.table.upper if upper is None else upper,
            np.append(v, 0.0),
            self._x,
            self._sums,
            with_gram,
        )
        return value, self._sums[: self.table.rows].copy()

    def nearest(self, z: Tensor, metric: Tensor, upper: Tensor) -> Tensor:
        """Minimiser without any row and with other upper bounds, (cells,).

        Args:
            z: (cells,).
            metric: (cells,) positive.
            upper: (cells,), tightened along the ramps.
        """
        none = np.zeros(self.table.rows)
        self.evaluate(z.numpy(), metric.numpy(), none, False, upper.numpy())
        return torch.from_numpy(self._x.copy())

    def solve(
        self,
        z: Tensor,
        metric: Tensor,
        limit: Tensor,
        start: Tensor | None = None,
        cap: Tensor | None = None,
        tolerance: float = 1e-12,
        iterations: int = 100,
    ) -> SeparableSolution:
        """Minimise sum metric/2 (x - z)^2 over the set with rows A x <= limit.

        Args:
            z: (cells,) unconstrained minimiser.
            metric: (cells,) positive.
            limit: (rows,).
            start: (rows,) multipliers to start from.
            cap: (rows,) upper bounds of the multipliers; a row at its cap is elastic. None is no
                cap.
            tolerance: stop where every row's error is below this share of its scale.
            iterations: at most so many Newton steps.
        """
        table, gram = self.table, self.form.gram
        zn, dn, b = z.numpy(), metric.numpy(), limit.numpy()
        v = np.zeros(table.rows) if start is None else start.numpy().copy()
        top = np.full(table.rows, np.inf) if cap is None else cap.numpy()
        v = np.clip(v, 0.0, top)
        value, sums = self.evaluate(zn, dn, v, True)
        dual = value + float(v @ (sums - b))
        # Rows are measured against what their cells add up to, so that a limit of 0 has a scale
        # too.
        unit, size = np.empty(table.rows + 1), np.empty(table.rows + 1)
        row_units(table.coefficients, table.pattern, table.pattern_rows, dn, self._x, unit, size)
        size = np.maximum(np.abs(b), np.maximum(size[: table.rows], 1e-300))
        unit = np.maximum(unit[: table.rows], 1e-300)
        # Of sums over all cells, whose errors grow like a random walk.
        rounding = 1e-15 * (10.0 + math.sqrt(table.cells))
        damping = 1e-10
        flat = 1e-3
        done = 0
        error = math.inf
        lowest, stale = math.inf, 0
        for _ in range(iterations):
            slope = sums - b
            blocked = ((v <= 0.0) & (slope <= 0.0)) | ((v >= top) & (slope >= 0.0))
            residual = np.where(blocked, 0.0, np.abs(slope)) / size
            error = float(residual.max(initial=0.0))
            stale = 0 if error < 0.7 * lowest else stale + 1
            lowest = min(lowest, error)
            # Rounding sets a floor to the error; below it further steps only cost time.
            if error <= tolerance or (stale >= 3 and error <= 1e-9) or stale >= 40:
                break
            free = ~blocked
            diagonal = self.hessian.diagonal(gram)
            # A row whose cells are all held has no curvature: it moves by its slope in its own
            # unit, further each time, because the price at which cells let go may be far.
            ridge = damping * np.maximum(diagonal, 0.1 * unit) + np.where(
                diagonal > 0, 0.0, flat * unit
            )
            direction = self.hessian.newton_step(gram, free, slope, ridge, unit)
            for _ in range(_HOLDS):
                # A row may want to leave its bound alone and yet be sent back by the others' moves.
                # Cut off only afterwards it would leave those moves, made for its sake, too long.
                back = free & (((v <= 0.0) & (direction < 0.0)) | ((v >= top) & (direction > 0.0)))
                if not back.any():
                    break
                free &= ~back
                direction = self.hessian.newton_step(gram, free, slope, ridge, unit)
            accepted = False
            length = 1.0
            for _ in range(_LOOKS):
                trial = np.clip(v + length * direction, 0.0, top)
                move = trial - v
                gain = float(slope @ move)
                value, sums_trial = self.evaluate(zn, dn, trial, True)
                dual_trial = value + float(trial @ (sums_trial - b))
                noise = rounding * (abs(dual) + abs(value) + float(np.abs(trial) @ np.abs(b)))
                if gain > -noise and dual_trial - dual >= 1e-4 * gain - noise:
                    accepted = True
                    break
                # The dual is concave along the step: its slope there points to where it turns.
                after = float((sums_trial - b) @ move)
                turn = gain / (gain - after) if gain > 0 and after < 0 else 0.4
                length *= min(max(turn, 0.1), 0.7)
            done += 1
            if accepted:
                damping = max(damping * 0.1, 1e-12) if length == 1.0 else damping
                flat = max(flat * 0.2, 1e-12) if length == 1.0 else min(flat * 5.0, 1e-3)
                v, dual, sums = trial, dual_trial, sums_trial
                continue
            if error <= 1e-9 or damping > 1e6:
                break
            # The direction was bad: the pieces changed too much. Damp it towards the gradient.
            damping = max(damping * 100.0, 1e-2)
            value, sums = self.evaluate(zn, dn, v, True)
        return SeparableSolution(
            torch.from_numpy(self._x.copy()), torch.from_numpy(v), self.links, error, done
        )
