"""Whether the certificate's linearisation bounds the Lagrangian elsewhere than at the optimum."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.solver.problem._smooth import SmoothProblem

__all__ = ["is_supported"]

_POINTS = 12
_TOLERANCE = 1e-7


def is_supported(problem: SmoothProblem, x: Tensor, weights: Tensor, seed: int) -> bool:
    """Test on points of the box that the Lagrangian lies below its linearisation at ``x``.

    This is what the bound of the gap rests on. It holds everywhere for concave models; one point
    where it fails refutes the bound.

    Args:
        problem: the flat problem.
        x: (cells,) the optimum.
        weights: (rows,) nonnegative, objective unit per unit of outcome.
        seed: of the points.
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
    with torch.no_grad():
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
                point = x + share * (target - x)
                excess = float(lagrangian(point)) - here - float(slope @ (point - x))
                if excess > _TOLERANCE * scale * share:
                    return False
    return True
