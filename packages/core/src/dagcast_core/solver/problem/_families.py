"""Which outcome rows touch disjoint cells: by labels, checked by probes.

One backward pass of a sum of rows gives all their gradients only where the rows touch disjoint
cells. Labels say who should touch what: a region's mean ETA depends on that region's spend. Two
backward passes for every binary digit of the row numbers prove or refute it. Where models leak, as
between neighbouring regions, rows that share a cell get different colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dagcast_core.solver.problem._oracle import Counter, Oracle
from dagcast_core.solver.problem._smooth import RowFamily, SmoothProblem

__all__ = ["families_of"]

_MOST_ROWS_ONE_BY_ONE = 400


def families_of(
    problem: SmoothProblem, candidates: Sequence[tuple[Tensor, Tensor]]
) -> tuple[RowFamily, ...]:
    """Families of rows for which one backward pass each suffices.

    Args:
        problem: with its rows' limits and signs; families are not read.
        candidates: per family (rows, group of each cell by label, -1 for none).
    """
    linear = problem.linear
    generator = torch.Generator().manual_seed(20)
    reach = linear.reach()
    width = torch.where(torch.isfinite(reach), reach - linear.lower, torch.ones_like(reach))
    draw = torch.rand(width.shape, generator=generator, dtype=width.dtype)
    x = linear.lower + width * (0.1 + 0.5 * draw)
    bare = replace(problem, rows=replace(problem.rows, families=()))
    oracle = Oracle(bare, Counter())
    oracle.forward(x)
    size = torch.where(width > 0, width, torch.ones_like(width))
    out: list[RowFamily] = []
    for rows, group in candidates:
        if rows.numel() == 1:
            out.append(RowFamily(rows, torch.full_like(group, int(rows[0]))))
        elif _separate(oracle, rows, group, size):
            out.append(RowFamily(rows, group))
        elif rows.numel() <= _MOST_ROWS_ONE_BY_ONE:
            out += _coloured(oracle, rows, size)
        else:
            # Too many to look at one by one: labels are the best guess, and the solver's exact
            # gradient of the Lagrangian keeps its fixed point right.
            out.append(RowFamily(rows, group))
    return tuple(out)


def _rows_gradient(oracle: Oracle, weights: Tensor) -> Tensor:
    assert oracle._x is not None
    assert oracle._c is not None
    (gradient,) = torch.autograd.grad(
        (weights * oracle._c).sum(), oracle._x, retain_graph=True, materialize_grads=True
    )
    return gradient.detach()


def _separate(oracle: Oracle, rows: Tensor, group: Tensor, size: Tensor) -> bool:
    assert oracle._c is not None
    local = torch.arange(rows.numel())
    number = torch.where(group >= 0, group - rows[0], group)
    digits = max(1, (rows.numel() - 1).bit_length())
    for digit in range(digits):
        for value in (0, 1):
            chosen = (local >> digit) & 1 == value
            weights = torch.zeros_like(oracle._c)
            weights[rows[chosen]] = 1.0
            gradient = _rows_gradient(oracle, weights) * size
            mine = (number >= 0) & ((number.clamp(min=0) >> digit) & 1 == value)
            outside = gradient[~mine].abs()
            largest = gradient.abs().max()
            if outside.numel() and float(outside.max()) > 1e-9 * float(largest):
                return False
    return True


def _coloured(oracle: Oracle, rows: Tensor, size: Tensor) -> list[RowFamily]:
    """One backward pass per row finds what it touches.

    Greedy colours keep rows of one family disjoint.
    """
    assert oracle._c is not None
    assert oracle._x is not None
    colours: list[tuple[list[int], Tensor]] = []
    for row in rows.tolist():
        weights = torch.zeros_like(oracle._c)
        weights[row] = 1.0
        gradient = (_rows_gradient(oracle, weights) * size).abs()
        touched = gradient > 1e-7 * gradient.max().clamp(min=1e-300)
        for members, group in colours:
            if not bool((group[touched] >= 0).any()):
                members.append(row)
                group[touched] = row
                break
        else:
            group = torch.full((touched.numel(),), -1)
            group[touched] = row
            colours.append(([row], group))
    return [RowFamily(torch.tensor(members), group) for members, group in colours]
