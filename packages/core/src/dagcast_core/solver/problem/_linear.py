"""The linear part of a decision problem: bounds, budgets, ramps, and projection onto them.

Decisions are one flat float64 vector of cells. A `RowLayer` is a family of linear rows that touch
disjoint cells (one budget per region, one total), so it costs one coefficient and one row number
per cell, whatever the number of rows. Ramps tie cells into chains: |x_t - x_{t-1}| <= limit along
each chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.solver.kernels import tighten_chains
from dagcast_core.solver.problem._errors import EmptySetError

__all__ = ["Chains", "LinearSet", "RowLayer"]


@dataclass(frozen=True, slots=True)
class RowLayer:
    """Rows sum_i coefficient[i] * x[i] over the cells of a group, at most ``limit`` each.

    Attributes:
        group: (cells,) int64 row of each cell within this layer, -1 for none.
        coefficient: (cells,) float64.
        limit: (rows,) float64; unit of the row.
    """

    group: Tensor
    coefficient: Tensor
    limit: Tensor

    def sums(self, x: Tensor) -> Tensor:
        """Left-hand sides, (rows,)."""
        inside = self.group >= 0
        out = torch.zeros_like(self.limit)
        return out.index_add_(0, self.group[inside], (self.coefficient * x)[inside])


@dataclass(frozen=True, slots=True)
class Chains:
    """Links between consecutive cells of each chain.

    Attributes:
        order: (chains, steps) int64 cells along each chain in order of time, -1 beyond its end.
        limit: (chains, steps) float64; ``limit[:, t]`` bounds the change from t-1 to t, column 0 is
            unused.
    """

    order: Tensor
    limit: Tensor


@dataclass(frozen=True, slots=True)
class LinearSet:
    """Bounds, budgets and chains over ``lower.numel()`` cells.

    Budgets must have nonnegative coefficients. ``more_chains`` are further ramps over cells that
    already are in ``chains``; their links close cycles (see `kernels`).

    With nonnegative coefficients the set is empty exactly if the bounds, tightened along the
    chains, cross or if their lower ends overspend a budget, so emptiness is decided before solving.
    """

    lower: Tensor
    upper: Tensor
    budgets: tuple[RowLayer, ...] = ()
    chains: Chains | None = None
    more_chains: tuple[Chains, ...] = ()

    @property
    def all_chains(self) -> tuple[Chains, ...]:
        """Every ramp."""
        return self.more_chains if self.chains is None else (self.chains, *self.more_chains)

    def tightened(self) -> LinearSet:
        """The same set with bounds propagated along the chains.

        Raises:
            EmptySetError: bounds cross, or the least spend exceeds a budget.
        """
        lower, upper = self.lower.clone(), self.upper.clone()
        # One sweep is enough for chains; ramps that close cycles hand bounds on to one another.
        for _ in range(self.size if self.more_chains else 1):
            before = (lower.clone(), upper.clone()) if self.more_chains else None
            for chains in self.all_chains:
                tighten_chains(
                    lower.numpy(), upper.numpy(), chains.order.numpy(), chains.limit.numpy()
                )
            if before is not None and torch.equal(torch.stack(before), torch.stack([lower, upper])):
                break
        crossed = torch.nonzero(lower > upper * (1 + 1e-12) + 1e-300).flatten()
        if crossed.numel():
            raise EmptySetError("bounds", tuple((int(cell),) for cell in crossed[:5]), ())
        upper = torch.maximum(lower, upper)
        for k, layer in enumerate(self.budgets):
            least = layer.sums(lower)
            over = torch.nonzero(least > layer.limit + 1e-9 * layer.limit.abs()).flatten()
            if over.numel():
                excess = (least - layer.limit)[over]
                rows = tuple((k, int(j)) for j in over[:5])
                raise EmptySetError("budgets", rows, tuple(excess[:5].tolist()))
        return LinearSet(lower, upper, self.budgets, self.chains, self.more_chains)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.lower.numel()

    def worst_violation(self, x: Tensor) -> float:
        """Largest relative violation of bounds, budgets and ramps at ``x``."""
        scale = self.scale()
        worst = max(
            float(((self.lower - x) / scale).max()),
            float(((x - self.upper) / scale).max()),
            0.0,
        )
        for layer in self.budgets:
            spent = layer.sums(x)
            worst = max(
                worst, float(((spent - layer.limit) / layer.limit.abs().clamp(min=1e-300)).max())
            )
        for chains in self.all_chains:
            order, limit = chains.order, chains.limit
            both = (order[:, 1:] >= 0) & (order[:, :-1] >= 0)
            change = (x[order[:, 1:].clamp(min=0)] - x[order[:, :-1].clamp(min=0)]).abs()
            excess = ((change - limit[:, 1:]) / limit[:, 1:].clamp(min=float(scale.min())))[both]
            if excess.numel():
                worst = max(worst, float(excess.max()))
        return worst

    def scale(self) -> Tensor:
        """Typical size of each cell, (cells,): its range, or its largest share of a budget."""
        reach = self.reach()
        width = reach - self.lower
        fallback = width[torch.isfinite(width) & (width > 0)]
        typical = fallback.median() if fallback.numel() else torch.ones((), dtype=width.dtype)
        return torch.where(torch.isfinite(width) & (width > 0), width, typical)

    def reach(self) -> Tensor:
        """Upper bounds, made finite by the budgets where they can be, (cells,)."""
        reach = self.upper.clone()
        for layer in self.budgets:
            inside = (layer.group >= 0) & (layer.coefficient > 0)
            room = layer.limit - layer.sums(self.lower)
            bound = torch.full_like(reach, float("inf"))
            group = layer.group[inside]
            bound[inside] = (
                self.lower[inside] + room[group].clamp(min=0) / layer.coefficient[inside]
            )
            reach = torch.minimum(reach, bound)
        return torch.maximum(reach, self.lower)
