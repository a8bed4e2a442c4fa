"""A smooth decision problem as the solver sees it: flat cells, an objective, outcome rows.

The model is a black box that maps decisions to one objective and a vector of outcomes. Its
structure is data beside it: which outcome rows touch disjoint cells, so that one backward pass of
their sum gives all their gradients, and which directions probe the curvature exactly. Wrong
structure costs iterations, never a wrong answer, because every iteration takes the exact gradient
of the Lagrangian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dagcast_core.solver.problem._linear import LinearSet

__all__ = ["Evaluate", "OutcomeRows", "RowFamily", "SmoothProblem"]

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class RowFamily:
    """Outcome rows that touch disjoint cells.

    Attributes:
        rows: (k,) int64 numbers of the rows.
        group: (cells,) int64 number of the row that the cell belongs to, -1 for none.
    """

    rows: Tensor
    group: Tensor


@dataclass(frozen=True, slots=True)
class OutcomeRows:
    """Rows sign * (outcome - limit) <= 0.

    Attributes:
        limit: (rows,), unit of the outcome.
        sign: (rows,), +1 for at most, -1 for at least.
        scale: (rows,) positive; a violation is relative to it.
        families: every row is in exactly one family.
    """

    limit: Tensor
    sign: Tensor
    scale: Tensor
    families: tuple[RowFamily, ...]

    def excess(self, outcomes: Tensor) -> Tensor:
        """How far outcomes are beyond their limits, relative, (..., rows); negative inside."""
        return self.sign * (outcomes - self.limit) / self.scale

    def worst(self, outcomes: Tensor) -> float:
        """Largest relative violation, at least 0."""
        return float(self.excess(outcomes).max().clamp(min=0)) if self.limit.numel() else 0.0

    @classmethod
    def none(cls) -> OutcomeRows:
        """No outcome rows."""
        empty = torch.zeros(0, dtype=torch.float64)
        return cls(empty, empty, empty, ())


@dataclass(frozen=True, slots=True)
class SmoothProblem:
    """Maximise the first value of ``evaluate`` over ``linear`` subject to ``rows`` on the second.

    Attributes:
        evaluate: decisions (cells,) -> (objective, outcomes (rows,)), differentiable by torch.
        linear: bounds, budgets, chains.
        rows: outcome rows.
        probes: (k, cells) masks for Hessian-vector products; exact where no two cells of one mask
            interact.
        baseline: (cells,) decisions that the lift is measured from; None is the lower bounds.
        concave: the modeller's claim that objective and feasible set are concave and convex; None
            is unknown.
    """

    evaluate: Evaluate
    linear: LinearSet
    rows: OutcomeRows = field(default_factory=OutcomeRows.none)
    probes: Tensor | None = None
    baseline: Tensor | None = None
    concave: bool | None = None
