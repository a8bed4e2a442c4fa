"""What holds of a point and its prices, whoever found them.

Nothing here is taken from a run: values and gradients are asked of the model anew, sums and links
are added up from the linear set, and with ramps the largest gain comes from a linear programme of
scipy's. For a concave problem the bound is valid for *any* prices of the right sign; for any
problem it is the first-order residual, 0 where the conditions of Karush, Kuhn and Tucker hold.

Source: Boyd & Vandenberghe (2004), Convex Optimization, sections 5.1.3 and 5.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp
import torch
from scipy.optimize import linprog
from torch import Tensor

from dagcast_core.solver.problem import LinearSet, SmoothProblem

__all__ = ["Checked", "Optimality", "check_point"]


@final
@dataclass(frozen=True)
class Optimality:
    """How far prices are from proving that a point is best, in the objective's unit.

    Attributes:
        stationarity: what moving within bounds and ramps would still gain, to first order.
        complementarity: prices times the room that their limits leave.
        wrong_sign: the largest price of a wrong sign, times the size of its limit; such a price
            counts as 0 in the others.
        lift: objective above the baseline's.
    """

    stationarity: float
    complementarity: float
    wrong_sign: float
    lift: float

    @property
    def gap(self) -> float:
        """What a better point could add: a proof where the problem is concave."""
        return self.stationarity + self.complementarity


@final
@dataclass(frozen=True)
class Checked:
    """A point, judged.

    Attributes:
        objective: maximised, in the caller's unit.
        outcomes: (rows,) in the caller's units.
        bounds: largest violation of a bound, relative to the size of a cell; at least 0.
        budgets: (budgets,) what is spent beyond the limit, relative to it; negative inside.
        ramps: largest change beyond a ramp's limit, relative to the limit or to the smallest cell,
            whichever is larger; at least 0.
        rows: (rows,) how far outcomes are beyond their limits, relative; negative inside.
        optimality: where prices were given.
    """

    objective: float
    outcomes: Tensor
    bounds: float
    budgets: Tensor
    ramps: float
    rows: Tensor
    optimality: Optimality | None

    @property
    def linear(self) -> float:
        """Largest relative violation of bounds, budgets and ramps."""
        over = float(self.budgets.max()) if self.budgets.numel() else 0.0
        return max(self.bounds, over, self.ramps, 0.0)

    @property
    def violation(self) -> float:
        """Largest relative violation of any limit."""
        beyond = float(self.rows.max()) if self.rows.numel() else 0.0
        return max(self.linear, beyond)

    def failures(self, violation: float = 1e-6, gap: float = 1e-5) -> tuple[str, ...]:
        """What is wrong with the point as an answer, in words; nothing where it is one.

        Args:
            violation: largest relative violation that counts as keeping a limit.
            gap: largest gap, relative to the lift; not asked where no prices were given.
        """
        found = [
            f"{name} broken by {by:.1e}"
            for name, by in (("bounds", self.bounds), ("ramps", self.ramps))
            if by > violation
        ]
        for name, values in (("budget", self.budgets), ("row", self.rows)):
            found += [
                f"{name} {k} broken by {float(values[k]):.1e}"
                for k in torch.nonzero(values > violation).flatten().tolist()
            ]
        if self.optimality is not None:
            size = max(abs(self.optimality.lift), 1e-9 * abs(self.objective), 1e-300)
            found += [
                f"{name} of {by / size:.1e} of the lift"
                for name, by in (
                    ("prices of the wrong sign", self.optimality.wrong_sign),
                    ("a gap", self.optimality.gap),
                )
                if not by <= gap * size
            ]
        return tuple(found)


def check_point(
    problem: SmoothProblem,
    x: Tensor,
    budget_prices: Tensor | None = None,
    row_prices: Tensor | None = None,
    values: tuple[Tensor, Tensor] | None = None,
) -> Checked:
    """Judge a point, and the prices that are to prove it, by the problem alone.

    Args:
        problem: that the point is to answer.
        x: (cells,).
        budget_prices: (budgets,) objective per unit of limit, at least 0. Without prices only
            limits are looked at.
        row_prices: (rows,) d objective / d limit: positive for upper limits, negative for floors.
        values: objective and outcomes at ``x``, where they are measured in another way than the
            solver's; asked of the model by default.
    """
    linear, rows = problem.linear, problem.rows
    optimality = None
    if budget_prices is not None and row_prices is not None:
        optimality = _optimality(problem, x, budget_prices, row_prices)
    if values is None:
        with torch.no_grad():
            values = problem.evaluate(x)
    objective, outcomes = values[0].detach(), values[1].detach()
    over = [
        (layer.sums(x) - layer.limit) / layer.limit.abs().clamp(min=1e-300)
        for layer in linear.budgets
    ]
    size = linear.scale()
    outside = torch.maximum(linear.lower - x, x - linear.upper) / size
    early, late, limit = _links(linear)
    steep = ((x[late] - x[early]).abs() - limit) / limit.clamp(min=float(size.min()))
    return Checked(
        float(objective),
        outcomes,
        max(float(outside.max()), 0.0),
        torch.cat(over) if over else torch.zeros(0, dtype=x.dtype),
        max(float(steep.max()), 0.0) if steep.numel() else 0.0,
        rows.excess(outcomes),
        optimality,
    )


def _optimality(
    problem: SmoothProblem, x: Tensor, budget_prices: Tensor, row_prices: Tensor
) -> Optimality:
    linear, rows = problem.linear, problem.rows
    limits = [layer.limit for layer in linear.budgets]
    budget = torch.cat(limits) if limits else torch.zeros(0, dtype=x.dtype)
    wrong = torch.cat([-budget_prices * budget.abs(), -row_prices * rows.sign * rows.scale])
    y = budget_prices.clamp(min=0)
    prices = (row_prices * rows.sign).clamp(min=0) * rows.sign
    leaf = x.detach().clone().requires_grad_(True)
    objective, outcomes = problem.evaluate(leaf)
    sums = [layer.sums(leaf) for layer in linear.budgets]
    spent = torch.cat(sums) if sums else torch.zeros(0, dtype=x.dtype)
    room = (prices * (rows.limit - outcomes)).sum() + (y * (budget - spent)).sum()
    lagrangian = objective + room
    if lagrangian.requires_grad:
        (slope,) = torch.autograd.grad(lagrangian, leaf, materialize_grads=True)
    else:
        slope = torch.zeros_like(x)
    with torch.no_grad():
        least = linear.lower if problem.baseline is None else problem.baseline
        base, _ = problem.evaluate(least)
    return Optimality(
        _largest_gain(linear, x.detach(), slope),
        float(room.detach()),
        max(float(wrong.max()), 0.0) if wrong.numel() else 0.0,
        float(objective.detach() - base),
    )


def _largest_gain(linear: LinearSet, x: Tensor, slope: Tensor) -> float:
    """Largest slope'(x' - x) over x' within bounds and ramps; what budgets allow is their reach."""
    top = linear.reach()
    early, late, limit = _links(linear)
    if not early.numel():
        room = torch.where(slope > 0, top - x, x - linear.lower).clamp(min=0)
        # 0 * inf: a cell that nothing pulls needs no bound.
        return float(torch.where(slope == 0, torch.zeros_like(slope), slope.abs() * room).sum())
    count = early.numel()
    number = np.arange(count)
    sides = sp.coo_matrix(
        (
            np.concatenate([np.ones(count), -np.ones(count)]),
            (np.concatenate([number, number]), np.concatenate([late.numpy(), early.numpy()])),
        ),
        shape=(count, x.numel()),
    ).tocsr()
    # In the size of cells and slopes, which may differ by many orders from 1.
    size = float(linear.scale().median())
    unit = max(float(slope.abs().max()), 1e-300)
    ends = np.stack([linear.lower.numpy(), np.maximum(top.numpy(), linear.lower.numpy())], 1)
    found = linprog(
        -slope.numpy() / unit,
        A_ub=sp.vstack([sides, -sides]),
        b_ub=np.concatenate([limit.numpy(), limit.numpy()]) / size,
        bounds=ends / size,
        method="highs",
    )
    if found.status == 3:
        return float("inf")
    if found.status != 0:
        raise ArithmeticError(f"the linear programme of ramps was not solved: {found.message}")
    return float(-found.fun * unit * size - slope @ x)


def _links(linear: LinearSet) -> tuple[Tensor, Tensor, Tensor]:
    """Earlier and later cell of every link, and its limit."""
    found = []
    for chains in linear.all_chains:
        before, after = chains.order[:, :-1], chains.order[:, 1:]
        both = (before >= 0) & (after >= 0)
        found.append((before[both], after[both], chains.limit[:, 1:][both]))
    if not found:
        none = torch.zeros(0, dtype=torch.int64)
        return none, none, torch.zeros(0, dtype=linear.lower.dtype)
    early, late, limit = (torch.cat(parts) for parts in zip(*found, strict=True))
    return early, late, limit
