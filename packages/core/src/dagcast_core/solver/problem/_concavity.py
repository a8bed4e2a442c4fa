"""Whether what the certificate rests on holds elsewhere than at the optimum.

The bound of the gap is the largest value over the linear set of a linear function that is taken to
lie above the Lagrangian. Its slope is the gradient, which every concave Lagrangian lies below. A
cell that stands at a bound of its own, pushed against it, adds nothing to the bound with *any*
slope between the gradient and what the budgets take per unit; the gentlest of them asks the least
of the model, namely that no other place of that cell is worth more than this one. So a fare that
bends upwards and belongs at the end of its range is bounded like anything else (Lagrangian duality:
Bertsekas 1982, Constrained Optimization and Lagrange Multiplier Methods, section 5.6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dagcast_core.solver.problem._linear import LinearSet
from dagcast_core.solver.problem._smooth import SmoothProblem

__all__ = ["is_supported"]

_POINTS = 12
# Shares of their room to which the cells of one part are moved alone.
_LEVELS = (0.0, 0.5, 1.0)
_TOLERANCE = 1e-7
# Of its room: a cell so near to a bound stands at it.
_AT = 1e-9


def is_supported(
    problem: SmoothProblem,
    x: Tensor,
    weights: Tensor,
    seed: int,
    parts: Sequence[slice] = (),
    prices: Tensor | None = None,
) -> bool:
    """Test on points of the box that the Lagrangian lies below the bound's function from ``x``.

    This is what the bound of the gap rests on. It holds everywhere for concave models; one point
    where it fails refutes the bound.

    Args:
        problem: the flat problem.
        x: (cells,) the optimum.
        weights: (rows,) nonnegative, objective unit per unit of outcome.
        seed: of the points.
        parts: cells that belong together, such as those of one lever. Each is moved alone too: a
            fare that bends upwards is not seen where strongly concave bonuses move with it. Then
            those of its cells that seem to gain by the move are moved without the rest.
        prices: (budgets,) nonnegative, objective unit per unit of each budget; None for zero.
    """
    rows = problem.rows
    linear = problem.linear
    generator = torch.Generator().manual_seed(seed + 7)

    def lagrangian(point: Tensor) -> Tensor:
        objective, outcomes = problem.evaluate(point)
        if not rows.limit.numel():
            return objective
        return objective - (weights * rows.sign * (outcomes - rows.limit)).sum()

    def with_gradient(point: Tensor) -> tuple[float, Tensor]:
        leaf = point.detach().clone().requires_grad_(True)
        value = lagrangian(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient

    here, gradient = with_gradient(x)
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, 2.0 * (x - linear.lower) + 1.0)
    scale = max(float((gradient.abs() * room).sum()), 1e-300)
    slope = _gentlest(linear, x, gradient, room, prices)

    def lies_above(value: float, point: Tensor, share: float) -> bool:
        return value - here - float(slope @ (point - x)) > _TOLERANCE * scale * share

    def is_above(point: Tensor, share: float) -> bool:
        with torch.no_grad():
            return lies_above(float(lagrangian(point)), point, share)

    for part in parts or (slice(None),):
        for level in _LEVELS:
            point = x.clone()
            point[part] = (linear.lower + room * level)[part]
            value, there = with_gradient(point)
            if lies_above(value, point, 1.0):
                return False
            seems = (0.5 * (gradient + there) - slope) * (point - x) > 0
            if bool(seems.any()) and is_above(torch.where(seems, point, x), 1.0):
                return False
    return not any(
        is_above(x + share * (target - x), share)
        for target in _targets(linear, x, room, generator)
        for share in (0.1, 1.0)
    )


def _gentlest(
    linear: LinearSet, x: Tensor, gradient: Tensor, room: Tensor, prices: Tensor | None
) -> Tensor:
    """The slope of the bound's function: gentlest where a cell stands at a bound of its own."""
    pull = torch.zeros_like(x)
    offset = 0
    for layer in linear.budgets if prices is not None else ():
        assert prices is not None
        own = prices[offset : offset + layer.limit.numel()]
        offset += layer.limit.numel()
        inside = layer.group >= 0
        pull[inside] += (layer.coefficient * own[layer.group.clamp(min=0)])[inside]
    held = (x - linear.lower <= _AT * room) & (gradient < pull)
    held |= (linear.upper - x <= _AT * room) & (gradient > pull)
    for chains in linear.all_chains:
        held[chains.order[chains.order >= 0]] = False
    return torch.where(held, pull, gradient)


def _targets(
    linear: LinearSet, x: Tensor, room: Tensor, generator: torch.Generator
) -> Iterator[Tensor]:
    """Points with all cells low, all high, all drawn, or a tenth of them moved far."""
    for k in range(_POINTS):
        draw = torch.rand(x.shape, generator=generator, dtype=x.dtype)
        if k < 2:
            yield linear.lower + room * (0.0 if k == 0 else 1.0)
        elif k % 2 == 0:
            yield linear.lower + room * draw**3
        else:
            # Few cells moved far: what an all-over draw averages away.
            moved = torch.rand(x.shape, generator=generator, dtype=x.dtype) < 0.1
            yield torch.where(moved, linear.lower + room * draw, x)
