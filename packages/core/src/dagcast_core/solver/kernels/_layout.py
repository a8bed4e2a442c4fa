"""How cells and rows are laid out for the compiled passes of the separable programme.

A pass reads every cell once and keeps nothing decision-sized but its output. The same work in
tensor operations needs about ten passes over memory, and the exact chain step has no vectorised
form whose cost is linear in the length of a chain, so these loops are compiled with numba. Arrays
are NumPy views of CPU tensors.

Vocabulary: a *row* is one scalar constraint; a cell touches at most one row per *layer*; cells of
one *pattern* touch the same rows; a *block* is a set of cells that is closed under chains, with its
own small list of rows; its cells fall into *groups* that no link joins: chains, or nets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Layout"]


class Layout(NamedTuple):
    """Cells sorted by block and group, and the rows that they touch.

    Attributes:
        cells: (cells,) sorted.
        group_start: (groups + 1,) first place of every chain or net.
        block_group: (blocks + 1,) first group of every block.
        pattern: (cells,) of each cell, not sorted.
        pattern_rows: (patterns, layers) rows; a number beyond the last stands for none.
        slot: (patterns, layers) place of the row in its block's list.
        block_size: (blocks,) rows of the list.
        gram_start: (blocks + 1,) first entry of every block's part of the dual Hessian.
        longest: cells of the largest group.
        largest: rows of the longest list.
    """

    cells: np.ndarray
    group_start: np.ndarray
    block_group: np.ndarray
    pattern: np.ndarray
    pattern_rows: np.ndarray
    slot: np.ndarray
    block_size: np.ndarray
    gram_start: np.ndarray
    longest: int
    largest: int
