"""Cells that ramps join, sorted by block, and every block's own short list of rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dagcast_core.solver.kernels import Layout
from dagcast_core.solver.separable._table import RowTable

__all__ = ["Blocks", "lay_rows"]


class Blocks(NamedTuple):
    """Blocks of cells and their part of the dual Hessian.

    Attributes:
        layout: for the compiled passes.
        gram: entries of the dual Hessian, block by block, to be filled.
        entry_rows: row of every entry.
        entry_cols: its column.
    """

    layout: Layout
    gram: np.ndarray
    entry_rows: np.ndarray
    entry_cols: np.ndarray


def lay_rows(
    table: RowTable,
    order: np.ndarray,
    group_start: np.ndarray,
    block_group: np.ndarray,
    block_of: np.ndarray,
) -> Blocks:
    """Give every block its own short list of rows.

    Args:
        table: the cells' rows.
        order: see `Layout.cells`, as ``group_start`` and ``block_group``.
        group_start: likewise.
        block_group: likewise.
        block_of: (patterns,).
    """
    blocks = block_group.size - 1
    slot = np.zeros_like(table.pattern_rows)
    starts = [0]
    sizes = []
    row_parts: list[np.ndarray] = []
    col_parts: list[np.ndarray] = []
    members = np.argsort(block_of, kind="stable")
    bounds = np.searchsorted(block_of[members], np.arange(blocks + 1))
    for b in range(blocks):
        inside = members[bounds[b] : bounds[b + 1]]
        own = np.unique(table.pattern_rows[inside])
        slot[inside] = np.searchsorted(own, table.pattern_rows[inside])
        sizes.append(own.size)
        starts.append(starts[-1] + own.size**2)
        row_parts.append(np.repeat(own, own.size))
        col_parts.append(np.tile(own, own.size))
    layout = Layout(
        order,
        group_start,
        block_group,
        table.pattern,
        table.pattern_rows,
        slot,
        np.asarray(sizes, dtype=np.int64),
        np.asarray(starts, dtype=np.int64),
        int(np.diff(group_start).max()),
        max(sizes),
    )
    gram = np.zeros(starts[-1], dtype=np.float64)
    return Blocks(layout, gram, np.concatenate(row_parts), np.concatenate(col_parts))
