"""How far a point can be from the optimum: the Karush-Kuhn-Tucker residual and an upper bound of the gap.

For a concave objective and convex rows, weak duality bounds the optimum from one gradient of the Lagrangian: no
point of the linear set can gain more than the Lagrangian's linearisation allows, and the multipliers of budgets and
links turn that maximum into a sum over cells in closed form. The bound is valid for *any* nonnegative multipliers,
so an inexact solve widens it and never makes it wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.decide._linear import LinearSet

__all__ = ["Certificate", "certify", "reduced_gradient"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """All relative to the lift of the point over the baseline.

    Attributes:
        residual: gain that projected gradient steps still promise, plus unused multipliers times slack.
        gap: upper bound on (optimum - objective), valid where the model is concave; inf where a cell is unbounded.
        slack: the part of ``gap`` that lies in multipliers of rows that are not at their limit.
    """

    residual: float
    gap: float
    slack: float


def reduced_gradient(
    gradient: Tensor, linear: LinearSet, budget_multipliers: Tensor, links: Tensor | None
) -> Tensor:
    """Gradient of the minimised Lagrangian with the multipliers of budgets and links added, (cells,)."""
    reduced = gradient.clone()
    offset = 0
    for layer in linear.budgets:
        own = budget_multipliers[offset : offset + layer.limit.numel()]
        offset += layer.limit.numel()
        pull = layer.coefficient * own[layer.group.clamp(min=0)]
        reduced += torch.where(layer.group >= 0, pull, torch.zeros_like(pull))
    if linear.chains is not None and links is not None:
        order = linear.chains.order
        valid = order >= 0
        along = torch.where(valid, links[order.clamp(min=0)], torch.zeros((), dtype=links.dtype))
        along[:, 0] = 0.0
        following = torch.cat([along[:, 1:], torch.zeros_like(along[:, :1])], dim=1)
        reduced.index_add_(0, order[valid], (along - following)[valid])
    return reduced


def certify(
    x: Tensor,
    gradient: Tensor,
    metric: Tensor,
    linear: LinearSet,
    budget_multipliers: Tensor,
    links: Tensor | None,
    row_values: Tensor,
    row_multipliers: Tensor,
    lift: float,
) -> Certificate:
    """Residual and gap bound at ``x``, in the scaled minimisation form of the solver.

    Args:
        gradient: exact gradient of F + y'C at ``x``.
        metric: (cells,) curvature, used by the residual only.
        row_values: (rows,) C(x), at most 0 where kept.
        lift: F(baseline) - F(x).
    """
    rho = reduced_gradient(gradient, linear, budget_multipliers, links)
    reach = linear.reach()
    slack = -float((row_multipliers * row_values).sum())
    offset = 0
    for layer in linear.budgets:
        own = budget_multipliers[offset : offset + layer.limit.numel()]
        offset += layer.limit.numel()
        slack += float((own * (layer.limit - layer.sums(x))).sum())
    if linear.chains is not None and links is not None:
        order, limit = linear.chains.order, linear.chains.limit
        both = (order[:, 1:] >= 0) & (order[:, :-1] >= 0)
        here, before = order[:, 1:].clamp(min=0), order[:, :-1].clamp(min=0)
        link = torch.where(both, links[here], torch.zeros((), dtype=links.dtype))
        slack += float((link.abs() * limit[:, 1:] - link * (x[here] - x[before])).sum())
    room = torch.where(rho > 0, x - linear.lower, reach - x).clamp(min=0)
    # 0 * inf: a cell at rest needs no bound.
    gain = torch.where(rho == 0, torch.zeros_like(rho), rho.abs() * room)
    step = (x - rho / metric).clamp(linear.lower, linear.upper) - x
    residual = float((rho * step).abs().sum()) + max(slack, 0.0)
    scale = max(lift, 1e-300)
    return Certificate(residual / scale, (float(gain.sum()) + slack) / scale, slack / scale)
