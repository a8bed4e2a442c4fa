"""The separable model of a problem around one point.

It has the Lagrangian's gradient, a diagonal curvature and linearised outcome rows; its minimiser
over bounds, budgets and chains is exact (`SeparableProgramme`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dagcast_core.solver.problem import Oracle, SmoothProblem, equal_shares, typical_size
from dagcast_core.solver.separable import SeparableProgramme, linear_limits, linear_programme

__all__ = ["LocalModel", "State", "Step", "merit", "violation"]

# A second-order correction is itself off by some share of what it corrects.
_INSIDE = 0.1


@dataclass(slots=True)
class State:
    """The current point with its derivatives, in scaled minimisation form."""

    x: Tensor
    f: float
    c: Tensor
    multipliers: Tensor  # budgets, then rows
    gradient: Tensor | None = None  # of F, consistent with the Jacobian in use
    metric: Tensor | None = None
    boost: float = 1.0
    weights: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))


@dataclass(frozen=True, slots=True)
class Step:
    """Minimiser of the model.

    Attributes:
        target: (cells,).
        multipliers: (budgets + rows,).
        error: largest relative error of the rows' complementarity.
    """

    target: Tensor
    multipliers: Tensor
    error: float


class LocalModel:
    """Jacobian in use, scales and the separable programme of one problem.

    Args:
        problem: with a tightened linear set.
        oracle: of the same problem.
        elastic: cap of the multipliers in units of `row_unit`.
    """

    def __init__(self, problem: SmoothProblem, oracle: Oracle, elastic: float) -> None:
        linear = problem.linear
        self.problem = problem
        self.oracle = oracle
        self.elastic = elastic
        self.rows = problem.rows.limit.numel()
        self.budgets = sum(layer.limit.numel() for layer in linear.budgets)
        groups = tuple(family.group for family in problem.rows.families)
        self.programme: SeparableProgramme = linear_programme(linear, groups, self.rows)
        self.first_layer = len(linear.budgets)
        self.budget_limit = linear_limits(linear)
        self.jacobian: tuple[Tensor, ...] = ()
        self.row_unit = torch.ones(self.rows, dtype=torch.float64)
        self.jx = torch.zeros(self.rows, dtype=torch.float64)
        self.size = typical_size(linear.lower, linear.upper, equal_shares(linear))

    def set_rows(self, jacobian: Sequence[Tensor]) -> None:
        """Use these gradients of the rows, one (cells,) per family."""
        for k, coefficient in enumerate(jacobian):
            self.programme.set_layer(self.first_layer + k, coefficient)
        # Views: the coefficients of all rows are kept once.
        table = torch.from_numpy(self.programme.table.coefficients)
        self.jacobian = tuple(table[:, self.first_layer + k] for k in range(len(jacobian)))

    def refresh_rows(self) -> None:
        """Take the gradients of all rows at the oracle's point: one backward per family."""
        self.set_rows([self.oracle.row_gradients(family) for family in self.problem.rows.families])

    def measure_rows(self, gradient: Tensor) -> None:
        """Exchange rate of the objective for each row over its cells: the unit of multipliers."""
        self.row_unit = torch.ones(self.rows, dtype=gradient.dtype)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            index = family.group.clamp(min=0)
            inside = (family.group >= 0).to(gradient.dtype)
            ours = torch.zeros_like(self.row_unit).index_add_(
                0, index, coefficient.abs() * self.size
            )
            goal = torch.zeros_like(self.row_unit).index_add_(
                0, index, gradient.abs() * self.size * inside
            )
            rows = family.rows
            self.row_unit[rows] = torch.where(
                ours[rows] > 0, goal[rows] / ours[rows].clamp(min=1e-300), self.row_unit[rows]
            )

    def rows_times(self, x: Tensor) -> Tensor:
        """J x with the Jacobian in use, (rows,)."""
        out = torch.zeros(self.rows, dtype=x.dtype)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            inside = family.group.clamp(min=0)
            out.index_add_(0, inside, coefficient * x)
        return out

    def transposed_rows(self, y: Tensor) -> Tensor:
        """J'y with the Jacobian in use, (cells,)."""
        out = torch.zeros_like(self.problem.linear.lower)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            out += coefficient * y[family.group.clamp(min=0)]
        return out

    def step(self, state: State, c: Tensor, tolerance: float = 1e-12) -> Step:
        """Minimise the model over the linear set with rows J (x - x_k) + c <= 0."""
        assert state.gradient is not None
        assert state.metric is not None
        metric = state.metric * state.boost
        z = state.x - state.gradient / metric
        limit = torch.cat([self.budget_limit, self.jx - c])
        cap = torch.cat(
            [torch.full((self.budgets,), math.inf, dtype=limit.dtype), self.elastic * self.row_unit]
        )
        solution = self.programme.solve(z, metric, limit, state.multipliers, cap, tolerance)
        return Step(solution.x, solution.multipliers, solution.residual)

    def corrected(self, state: State, step: Step, c: Tensor) -> Step:
        """Second-order correction: the same step with rows that were ``c`` at its end.

        It aims a little inside, because the correction curves too.
        """
        linear = state.c + self.rows_times(step.target - state.x)
        excess = c - linear
        return self.step(state, state.c + excess + _INSIDE * excess.clamp(min=0))

    def promised(self, state: State, target: Tensor, weights: Tensor) -> float:
        """Decrease of the merit function that the quadratic model promises at ``target``."""
        assert state.gradient is not None
        assert state.metric is not None
        step = target - state.x
        linearised = state.c + self.rows_times(step)
        return (
            -float((state.gradient * step).sum())
            - 0.5 * float((state.metric * state.boost * step * step).sum())
            + float((weights * (state.c.clamp(min=0) - linearised.clamp(min=0))).sum())
        )


def merit(f: float, c: Tensor, weights: Tensor) -> float:
    """F plus the weighted violations."""
    return f + float((weights * c.clamp(min=0)).sum())


def violation(c: Tensor) -> float:
    """Largest violation of the rows."""
    return float(c.max().clamp(min=0)) if c.numel() else 0.0
