"""The primal step where a ramp ties cells into chains: a dynamic programme along each."""

from __future__ import annotations

from typing import final

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from dagcast_core.solver.kernels import chain_pass, tighten_chains
from dagcast_core.solver.problem import Chains
from dagcast_core.solver.separable._blocks import lay_rows
from dagcast_core.solver.separable._table import RowTable

__all__ = ["Chained"]


@final
class Chained:
    """Cells sorted by block and chain; see `Form`.

    Args:
        table: whose bounds are tightened along the chains.
        chains: the ramp.
    """

    def __init__(self, table: RowTable, chains: Chains) -> None:
        self._table = table
        order = chains.order.numpy()
        patterns = table.pattern_rows.shape[0]
        valid = order >= 0
        lengths = valid.sum(1)
        chained = np.zeros(table.cells, dtype=bool)
        chained[order[valid]] = True
        alone = np.nonzero(~chained)[0]
        # Patterns that share a chain belong to one block.
        left = table.pattern[np.where(valid[:, :-1], order[:, :-1], 0)]
        right = table.pattern[np.where(valid[:, 1:], order[:, 1:], 0)]
        both = valid[:, 1:] & valid[:, :-1] & (left != right)
        graph = sp.coo_matrix(
            (np.ones(int(both.sum())), (left[both], right[both])), shape=(patterns, patterns)
        )
        blocks, block_of = connected_components(graph, directed=False)
        first = np.concatenate([order[:, 0], alone])
        chain_block = block_of[table.pattern[first]]
        by_block = np.argsort(chain_block, kind="stable")
        length = np.concatenate([lengths, np.ones(alone.size, dtype=lengths.dtype)])[by_block]
        chain_start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        padded = np.full((first.size, order.shape[1]), -1, dtype=np.int64)
        padded[: order.shape[0]] = order
        padded[order.shape[0] :, 0] = alone
        padded = padded[by_block]
        block_chain = np.searchsorted(chain_block[by_block], np.arange(blocks + 1))
        self._limit = np.zeros(table.cells)
        self._limit[order[valid]] = chains.limit.numpy()[valid]
        self._link = np.zeros(table.cells)
        tighten_chains(table.lower, table.upper, order, chains.limit.numpy())
        found = lay_rows(table, padded[padded >= 0], chain_start, block_chain, block_of)
        self._layout, self.gram, self.entry_rows, self.entry_cols = found

    @property
    def links(self) -> Tensor:
        """Multiplier of the link to the previous cell at the last pass, (cells,)."""
        return torch.from_numpy(self._link.copy())

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
        """One pass over the chains; see `Form`."""
        value: float = chain_pass(
            self._layout,
            z,
            metric,
            self._table.lower,
            upper,
            self._limit,
            self._table.coefficients,
            multipliers,
            x,
            sums,
            self.gram,
            self._link,
            with_gram,
        )
        return value
