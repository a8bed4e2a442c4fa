"""Separable quadratic programmes in their dual: min sum D/2 (x - z)^2 over bounds, chains and rows.

The dual has one variable per row. For given multipliers the primal minimiser is exact and costs one
pass over the cells (`_kernels`), so the dual is maximised by a semismooth Newton method with an
active set on the signs of the multipliers, a regularised Hessian and a line search on the concave
dual value. Every other step of the solver, the projection onto nested budgets included, is this one
programme with different rows.

Source: Qi & Sun (1993), doi:10.1007/BF01581275; Bertsekas (1982), doi:10.1137/0320018 (projected
    Newton).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from scipy.sparse.linalg import splu
from torch import Tensor

from dagcast_core.solver.kernels import (
    Layout,
    box_pass,
    chain_pass,
    net_pass,
    row_units,
    tighten_chains,
)
from dagcast_core.solver.problem import Chains, LinearSet

__all__ = [
    "Projection",
    "SeparableProgramme",
    "SeparableSolution",
    "linear_limits",
    "linear_programme",
    "project",
]

# Above it sparse factors win, also because dense ones may start threads that wait for one another.
_DENSE_ROWS = 60
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


class SeparableProgramme:
    """Rows and chains over a fixed set of cells, laid out once and solved many times.

    Args:
        lower: (cells,).
        upper: (cells,), may hold inf.
        groups: per layer (cells,) int64 row of the cell within the layer, -1 for none.
        rows: number of rows per layer, or None where a layer's groups already are global row
            numbers.
        chains: ramps, or None.
        more_chains: ramps whose links close cycles with those of ``chains``.
        total_rows: number of rows overall.
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
        cells = lower.numel()
        self.cells = cells
        self.rows = total_rows
        self.layers = max(len(groups), 1)
        self.lower = lower.numpy().copy()
        self.upper = upper.numpy().copy()
        table = np.full((self.layers, cells), total_rows, dtype=np.int64)
        for k, group in enumerate(groups):
            ids = group.numpy()
            table[k] = np.where(ids >= 0, ids, total_rows)
        self.coefficients = np.zeros((cells, self.layers))
        pattern, pattern_rows = _patterns(table)
        self._pattern = pattern
        self._pattern_rows = pattern_rows
        self._chains = chains
        self._netted = chains is not None and bool(more_chains)
        if chains is not None and more_chains:
            rows, cols = self._lay_nets((chains, *more_chains))
        elif chains is None:
            order = np.argsort(pattern, kind="stable")
            self._order = order
            self._block_start = np.searchsorted(
                pattern[order], np.arange(pattern_rows.shape[0] + 1)
            )
            count = pattern_rows.shape[0]
            self._gram: np.ndarray = np.zeros((count, self.layers, self.layers))
            rows = np.broadcast_to(pattern_rows[:, :, None], self._gram.shape)
            cols = np.broadcast_to(pattern_rows[:, None, :], self._gram.shape)
        else:
            rows, cols = self._lay_chains(chains)
        self._scatter(rows.reshape(-1), cols.reshape(-1))
        self._x = np.zeros(cells)
        self._sums = np.zeros(total_rows + 1)

    def _lay_chains(self, chains: Chains) -> tuple[np.ndarray, np.ndarray]:
        order = chains.order.numpy()
        patterns = self._pattern_rows.shape[0]
        valid = order >= 0
        lengths = valid.sum(1)
        chained = np.zeros(self.cells, dtype=bool)
        chained[order[valid]] = True
        alone = np.nonzero(~chained)[0]
        # Patterns that share a chain belong to one block.
        left = self._pattern[np.where(valid[:, :-1], order[:, :-1], 0)]
        right = self._pattern[np.where(valid[:, 1:], order[:, 1:], 0)]
        both = valid[:, 1:] & valid[:, :-1] & (left != right)
        graph = sp.coo_matrix(
            (np.ones(int(both.sum())), (left[both], right[both])), shape=(patterns, patterns)
        )
        blocks, block_of = connected_components(graph, directed=False)
        first = np.concatenate([order[:, 0], alone])
        chain_block = block_of[self._pattern[first]]
        by_block = np.argsort(chain_block, kind="stable")
        length = np.concatenate([lengths, np.ones(alone.size, dtype=lengths.dtype)])[by_block]
        chain_start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        padded = np.full((first.size, order.shape[1]), -1, dtype=np.int64)
        padded[: order.shape[0]] = order
        padded[order.shape[0] :, 0] = alone
        padded = padded[by_block]
        block_chain = np.searchsorted(chain_block[by_block], np.arange(blocks + 1))
        self._limit = np.zeros(self.cells)
        self._limit[order[valid]] = chains.limit.numpy()[valid]
        self._link = np.zeros(self.cells)
        tighten_chains(self.lower, self.upper, order, chains.limit.numpy())
        return self._lay_rows(padded[padded >= 0], chain_start, block_chain, block_of)

    def _lay_nets(self, ramps: tuple[Chains, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Sort cells by block and net, and links by net."""
        links = []
        for chains in ramps:
            order, limit = chains.order.numpy(), chains.limit.numpy()
            both = (order[:, 1:] >= 0) & (order[:, :-1] >= 0)
            links.append((order[:, :-1][both], order[:, 1:][both], limit[:, 1:][both]))
        early, late, limits = (np.concatenate(part) for part in zip(*links, strict=True))
        patterns = self._pattern_rows.shape[0]
        graph = sp.coo_matrix((np.ones(early.size), (early, late)), shape=(self.cells, self.cells))
        nets, net_of = connected_components(graph, directed=False)
        apart = sp.coo_matrix(
            (np.ones(early.size), (self._pattern[early], self._pattern[late])),
            shape=(patterns, patterns),
        )
        blocks, block_of = connected_components(apart, directed=False)
        net_block = np.zeros(nets, dtype=np.int64)
        net_block[net_of] = block_of[self._pattern]
        by_block = np.argsort(net_block, kind="stable")
        rank = np.empty(nets, dtype=np.int64)
        rank[by_block] = np.arange(nets)
        # Neighbours close to one another: the cost of a net grows with the square of the distance.
        near = np.empty(self.cells, dtype=np.int64)
        near[reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)] = np.arange(
            self.cells
        )
        order = np.lexsort((near, rank[net_of]))
        net_start = np.searchsorted(rank[net_of][order], np.arange(nets + 1))
        block_net = np.searchsorted(net_block[by_block], np.arange(blocks + 1))
        place = np.empty(self.cells, dtype=np.int64)
        place[order] = np.arange(self.cells)
        own = rank[net_of[early]]
        ends = np.stack([place[early], place[late]]) - net_start[own]
        sorting = np.argsort(own, kind="stable")
        self._link_start = np.searchsorted(own[sorting], np.arange(nets + 1))
        self._left = ends.min(0)[sorting]
        self._right = ends.max(0)[sorting]
        self._link_limit = limits[sorting].astype(np.float64)
        self._ends = (early[sorting], late[sorting])
        turned = (ends[0] > ends[1])[sorting]
        self._turned = np.where(turned, -1.0, 1.0)
        self._net_pull = np.zeros(early.size)
        self._glued = np.zeros(early.size, dtype=np.int8)
        self._held = np.zeros(self.cells, dtype=np.int8)
        self._width = int((self._right - self._left).max(initial=1))
        return self._lay_rows(order, net_start, block_net, block_of)

    def _lay_rows(
        self,
        order: np.ndarray,
        group_start: np.ndarray,
        block_group: np.ndarray,
        block_of: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Every block's own short list of rows.

        Args:
            order: see `Layout.cells`, as ``group_start`` and ``block_group``.
            group_start: likewise.
            block_group: likewise.
            block_of: (patterns,).

        Returns:
            Row and column of every entry of the blocks' dual Hessians.
        """
        blocks = block_group.size - 1
        slot = np.zeros_like(self._pattern_rows)
        starts = [0]
        sizes = []
        row_parts: list[np.ndarray] = []
        col_parts: list[np.ndarray] = []
        members = np.argsort(block_of, kind="stable")
        bounds = np.searchsorted(block_of[members], np.arange(blocks + 1))
        for b in range(blocks):
            inside = members[bounds[b] : bounds[b + 1]]
            own = np.unique(self._pattern_rows[inside])
            slot[inside] = np.searchsorted(own, self._pattern_rows[inside])
            sizes.append(own.size)
            starts.append(starts[-1] + own.size**2)
            row_parts.append(np.repeat(own, own.size))
            col_parts.append(np.tile(own, own.size))
        self._layout = Layout(
            order,
            group_start,
            block_group,
            self._pattern,
            self._pattern_rows,
            slot,
            np.asarray(sizes, dtype=np.int64),
            np.asarray(starts, dtype=np.int64),
            int(np.diff(group_start).max()),
            max(sizes),
        )
        self._gram = np.zeros(starts[-1], dtype=np.float64)
        return np.concatenate(row_parts), np.concatenate(col_parts)

    def _scatter(self, rows: np.ndarray, cols: np.ndarray) -> None:
        """Pattern of the dual Hessian, and what each entry of the blocks' Grams adds to."""
        kept = (rows < self.rows) & (cols < self.rows)
        code = rows[kept] * self.rows + cols[kept]
        diagonal = np.arange(self.rows, dtype=np.int64) * (self.rows + 1)
        entries, where = np.unique(np.concatenate([code, diagonal]), return_inverse=True)
        self._gram_kept = np.nonzero(kept)[0]
        self._gram_entry = where[: code.size]
        self._hessian_diagonal = where[code.size :]
        self._hessian_row = entries // max(self.rows, 1)
        self._hessian_col = entries % max(self.rows, 1)

    @property
    def links(self) -> Tensor | None:
        """Multipliers of the chains' links at the last solution, (cells,)."""
        if self._chains is None or self._netted:
            return None
        return torch.from_numpy(self._link.copy())

    @property
    def net_links(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Earlier and later cell, limit and multiplier of every link at the last evaluation.

        For programmes whose ramps close cycles; a multiplier is positive where the later cell is
        held down.
        """
        early, late = (torch.from_numpy(end) for end in self._ends)
        pull = torch.from_numpy(self._turned * self._net_pull)
        return early, late, torch.from_numpy(self._link_limit), pull

    def set_layer(self, layer: int, coefficient: Tensor) -> None:
        """Replace the coefficients of one layer, (cells,)."""
        self.coefficients[:, layer] = coefficient.numpy()

    def _evaluate(
        self, z: np.ndarray, metric: np.ndarray, v: np.ndarray, with_gram: bool
    ) -> tuple[float, np.ndarray]:
        padded = np.append(v, 0.0)
        if self._netted:
            value = net_pass(
                self._layout,
                z,
                metric,
                self.lower,
                self.upper,
                self.coefficients,
                self._link_start,
                self._left,
                self._right,
                self._link_limit,
                self._width,
                padded,
                self._x,
                self._sums,
                self._gram,
                self._net_pull,
                self._glued,
                self._held,
                with_gram,
            )
        elif self._chains is None:
            value = box_pass(
                z,
                metric,
                self.lower,
                self.upper,
                self.coefficients,
                self._order,
                self._block_start,
                self._pattern_rows,
                padded,
                self._x,
                self._sums,
                self._gram,
                with_gram,
            )
        else:
            value = chain_pass(
                self._layout,
                z,
                metric,
                self.lower,
                self.upper,
                self._limit,
                self.coefficients,
                padded,
                self._x,
                self._sums,
                self._gram,
                self._link,
                with_gram,
            )
        return value, self._sums[: self.rows].copy()

    def _newton_step(
        self, free: np.ndarray, slope: np.ndarray, ridge: np.ndarray, unit: np.ndarray
    ) -> np.ndarray:
        """Solve (H + ridge) step = slope on the free rows; 0 elsewhere."""
        data = np.bincount(
            self._gram_entry,
            self._gram.reshape(-1)[self._gram_kept],
            minlength=self._hessian_row.size,
        )
        data[self._hessian_diagonal] += ridge
        # Rows differ in unit by many orders: solve in the unit of each.
        scale = 1.0 / np.sqrt(unit)
        data *= scale[self._hessian_row] * scale[self._hessian_col]
        step = np.zeros(self.rows)
        index = np.cumsum(free) - 1
        count = int(free.sum())
        kept = free[self._hessian_row] & free[self._hessian_col]
        row, col = index[self._hessian_row[kept]], index[self._hessian_col[kept]]
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

    def _hessian_diagonal_now(self) -> np.ndarray:
        data = np.bincount(
            self._gram_entry,
            self._gram.reshape(-1)[self._gram_kept],
            minlength=self._hessian_row.size,
        )
        return data[self._hessian_diagonal]

    def nearest(self, z: Tensor, metric: Tensor, upper: Tensor) -> Tensor:
        """Minimiser without any row and with other upper bounds, (cells,).

        Args:
            z: (cells,).
            metric: (cells,) positive.
            upper: (cells,), tightened along the ramps.
        """
        own, self.upper = self.upper, upper.numpy()
        self._evaluate(z.numpy(), metric.numpy(), np.zeros(self.rows), False)
        self.upper = own
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
        zn, dn, b = z.numpy(), metric.numpy(), limit.numpy()
        v = np.zeros(self.rows) if start is None else start.numpy().copy()
        top = np.full(self.rows, np.inf) if cap is None else cap.numpy()
        v = np.clip(v, 0.0, top)
        value, sums = self._evaluate(zn, dn, v, True)
        dual = value + float(v @ (sums - b))
        # Rows are measured against what their cells add up to, so that a limit of 0 has a scale
        # too.
        unit, size = np.empty(self.rows + 1), np.empty(self.rows + 1)
        row_units(self.coefficients, self._pattern, self._pattern_rows, dn, self._x, unit, size)
        size = np.maximum(np.abs(b), np.maximum(size[: self.rows], 1e-300))
        unit = np.maximum(unit[: self.rows], 1e-300)
        # Of sums over all cells, whose errors grow like a random walk.
        rounding = 1e-15 * (10.0 + math.sqrt(self.cells))
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
            diagonal = self._hessian_diagonal_now()
            # A row whose cells are all held has no curvature: it moves by its slope in its own
            # unit, further each time, because the price at which cells let go may be far.
            ridge = damping * np.maximum(diagonal, 0.1 * unit) + np.where(
                diagonal > 0, 0.0, flat * unit
            )
            direction = self._newton_step(free, slope, ridge, unit)
            for _ in range(_HOLDS):
                # A row may want to leave its bound alone and yet be sent back by the others' moves.
                # Cut off only afterwards it would leave those moves, made for its sake, too long.
                back = free & (((v <= 0.0) & (direction < 0.0)) | ((v >= top) & (direction > 0.0)))
                if not back.any():
                    break
                free &= ~back
                direction = self._newton_step(free, slope, ridge, unit)
            accepted = False
            length = 1.0
            for _ in range(_LOOKS):
                trial = np.clip(v + length * direction, 0.0, top)
                move = trial - v
                gain = float(slope @ move)
                value, sums_trial = self._evaluate(zn, dn, trial, True)
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
            value, sums = self._evaluate(zn, dn, v, True)
        return SeparableSolution(
            torch.from_numpy(self._x.copy()), torch.from_numpy(v), self.links, error, done
        )


@dataclass(frozen=True, slots=True)
class Projection:
    """A projected point with the multipliers of the budgets, layers in order, and of the links."""

    x: Tensor
    multipliers: Tensor
    links: Tensor | None


def project(
    z: Tensor, metric: Tensor, linear: LinearSet, start: Tensor | None = None
) -> Projection:
    """Nearest point of ``linear`` to ``z`` in the metric sum metric (x - z)^2 / 2.

    Args:
        z: (cells,).
        metric: (cells,) positive. A projected step must use the metric of the step.
        linear: bounds, budgets (nested or not) and chains.
        start: multipliers of an earlier projection.
    """
    programme = linear_programme(linear)
    solution = programme.solve(z, metric, linear_limits(linear), start, tolerance=1e-14)
    return Projection(solution.x, solution.multipliers, solution.links)


def linear_programme(
    linear: LinearSet, extra: tuple[Tensor, ...] = (), extra_rows: int = 0
) -> SeparableProgramme:
    """Lay out the budgets of ``linear``, then ``extra`` layers of rows (numbered from 0)."""
    groups: list[Tensor] = []
    offset = 0
    for layer in linear.budgets:
        groups.append(torch.where(layer.group >= 0, layer.group + offset, layer.group))
        offset += layer.limit.numel()
    groups += [torch.where(group >= 0, group + offset, group) for group in extra]
    programme = SeparableProgramme(
        linear.lower,
        linear.upper,
        tuple(groups),
        offset + extra_rows,
        linear.chains,
        linear.more_chains,
    )
    for k, layer in enumerate(linear.budgets):
        programme.set_layer(
            k, torch.where(layer.group >= 0, layer.coefficient, torch.zeros_like(layer.coefficient))
        )
    return programme


def linear_limits(linear: LinearSet) -> Tensor:
    """Limits of all budgets, layers in order."""
    parts = [layer.limit for layer in linear.budgets]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=linear.lower.dtype)


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
