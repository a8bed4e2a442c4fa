"""The primal step where several ramps tie cells into nets: a banded programme for each net."""

from __future__ import annotations

from typing import final

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from torch import Tensor

from dagcast_core.solver.kernels import net_pass
from dagcast_core.solver.problem import Chains
from dagcast_core.solver.separable._blocks import lay_rows
from dagcast_core.solver.separable._table import RowTable

__all__ = ["Netted"]


@final
class Netted:
    """Cells sorted by block and net, and links by net; see `Form`.

    Args:
        table: with bounds that are tightened along the ramps.
        ramps: whose links close cycles.
    """

    def __init__(self, table: RowTable, ramps: tuple[Chains, ...]) -> None:
        self._table = table
        links = []
        for chains in ramps:
            order, limit = chains.order.numpy(), chains.limit.numpy()
            both = (order[:, 1:] >= 0) & (order[:, :-1] >= 0)
            links.append((order[:, :-1][both], order[:, 1:][both], limit[:, 1:][both]))
        early, late, limits = (np.concatenate(part) for part in zip(*links, strict=True))
        patterns, cells = table.pattern_rows.shape[0], table.cells
        graph = sp.coo_matrix((np.ones(early.size), (early, late)), shape=(cells, cells))
        nets, net_of = connected_components(graph, directed=False)
        apart = sp.coo_matrix(
            (np.ones(early.size), (table.pattern[early], table.pattern[late])),
            shape=(patterns, patterns),
        )
        blocks, block_of = connected_components(apart, directed=False)
        net_block = np.zeros(nets, dtype=np.int64)
        net_block[net_of] = block_of[table.pattern]
        by_block = np.argsort(net_block, kind="stable")
        rank = np.empty(nets, dtype=np.int64)
        rank[by_block] = np.arange(nets)
        # Neighbours close to one another: the cost of a net grows with the square of the distance.
        near = np.empty(cells, dtype=np.int64)
        near[reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)] = np.arange(
            cells
        )
        order = np.lexsort((near, rank[net_of]))
        net_start = np.searchsorted(rank[net_of][order], np.arange(nets + 1))
        block_net = np.searchsorted(net_block[by_block], np.arange(blocks + 1))
        place = np.empty(cells, dtype=np.int64)
        place[order] = np.arange(cells)
        own = rank[net_of[early]]
        ends = np.stack([place[early], place[late]]) - net_start[own]
        sorting = np.argsort(own, kind="stable")
        self._link_start = np.searchsorted(own[sorting], np.arange(nets + 1))
        self._left = ends.min(0)[sorting]
        self._right = ends.max(0)[sorting]
        self._limit = limits[sorting].astype(np.float64)
        self._ends = (early[sorting], late[sorting])
        turned = (ends[0] > ends[1])[sorting]
        self._turned = np.where(turned, -1.0, 1.0)
        self._pull = np.zeros(early.size)
        # What held every net at the last pass, which is tried first at the next.
        self._glued = np.zeros(early.size, dtype=np.int8)
        self._held = np.zeros(cells, dtype=np.int8)
        self._width = int((self._right - self._left).max(initial=1))
        found = lay_rows(table, order, net_start, block_net, block_of)
        self._layout, self.gram, self.entry_rows, self.entry_cols = found

    @property
    def net_links(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Earlier and later cell, limit and multiplier of every link at the last pass.

        A multiplier is positive where the later cell is held down.
        """
        early, late = (torch.from_numpy(end) for end in self._ends)
        pull = torch.from_numpy(self._turned * self._pull)
        return early, late, torch.from_numpy(self._limit), pull

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
        """One pass over the nets; see `Form`."""
        value: float = net_pass(
            self._layout,
            z,
            metric,
            self._table.lower,
            upper,
            self._table.coefficients,
            self._link_start,
            self._left,
            self._right,
            self._limit,
            self._width,
            multipliers,
            x,
            sums,
            self.gram,
            self._pull,
            self._glued,
            self._held,
            with_gram,
        )
        return value
