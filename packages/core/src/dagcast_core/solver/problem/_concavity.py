"""Whether the certificate's linearisation bounds the Lagrangian elsewhere than at the optimum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dagcast_core.solver.problem._smooth import SmoothProblem

__all__ = ["is_supported"]

_POINTS = 12
# Shares of their room to which the cells of one part are moved alone.
_LEVELS = (0.0, 0.5, 1.0)
_TOLERANCE = 1e-7


def is_supported(
    problem: SmoothProblem,
    x: Tensor,
    weights: Tensor,
    seed: int,
    parts: Sequence[slice] = (),
) -> bool:
    """Test on points of the box that the Lagrangian lies below its linearisation at ``x``.

    This is what the bound of the gap rests on. It holds everywhere for concave models; one point
    where it fails refutes the bound.

    Args:
        problem: the flat problem.
        x: (cells,) the optimum.
        weights: (rows,) nonnegative, objective unit per unit of outcome.
        seed: of the points.
        parts: cells that belong together, such as those of one lever. Each is moved alone too: a
            fare that bends upwards is not seen where strongly concave bonuses move with it.
    """
    rows = problem.rows
    linear = problem.linear
    generator = torch.Generator().manual_seed(seed + 7)

    def lagrangian(point: Tensor) -> Tensor:
        objective, outcomes = problem.evaluate(point)
        if not rows.limit.numel():
            return objective
        return objective - (weights * rows.sign * (outcomes - rows.limit)).sum()

    leaf = x.detach().clone().requires_grad_(True)
    value = lagrangian(leaf)
    (slope,) = torch.autograd.grad(value, leaf)
    here = float(value.detach())
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, 2.0 * (x - linear.lower) + 1.0)
    scale = max(float((slope.abs() * room).sum()), 1e-300)

    def lies_above(point: Tensor, share: float) -> bool:
        excess = float(lagrangian(point)) - here - float(slope @ (point - x))
        return excess > _TOLERANCE * scale * share

    with torch.no_grad():
        for part in parts if len(parts) > 1 else ():
            for level in _LEVELS:
                point = x.clone()
                point[part] = (linear.lower + room * level)[part]
                if lies_above(point, 1.0):
                    return False
        for k in range(_POINTS):
            draw = torch.rand(x.shape, generator=generator, dtype=x.dtype)
            if k < 2:
                target = linear.lower + room * (0.0 if k == 0 else 1.0)
            elif k % 2 == 0:
                target = linear.lower + room * draw**3
            else:
                # Few cells moved far: what an all-over draw averages away.
                moved = torch.rand(x.shape, generator=generator, dtype=x.dtype) < 0.1
                target = torch.where(moved, linear.lower + room * draw, x)
            for share in (0.1, 1.0):
                if lies_above(x + share * (target - x), share):
                    return False
    return True
