"""How far a cell goes: its share of the budgets, and the size of a typical step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dagcast_core.solver.problem._linear import LinearSet

__all__ = ["equal_shares", "typical_size"]


def equal_shares(linear: LinearSet) -> Tensor:
    """Each cell's equal share of its tightest budget above the lower bounds, (cells,), or inf."""
    share = torch.full_like(linear.lower, math.inf)
    for layer in linear.budgets:
        inside = (layer.group >= 0) & (layer.coefficient > 0)
        group = layer.group[inside]
        weight = torch.zeros_like(layer.limit).index_add_(0, group, layer.coefficient[inside])
        room = (layer.limit - layer.sums(linear.lower)).clamp(min=0)
        own = torch.full_like(share, math.inf)
        own[inside] = (room / weight.clamp(min=1e-300))[group]
        share = torch.minimum(share, own)
    return share


def typical_size(lower: Tensor, upper: Tensor, shares: Tensor) -> Tensor:
    """Step that is neither negligible nor absurd, (cells,).

    The equal share of the tightest budget, or the range.
    """
    width = torch.minimum(upper - lower, shares)
    usable = torch.isfinite(width) & (width > 0)
    fallback = width[usable].median() if bool(usable.any()) else torch.ones((), dtype=width.dtype)
    return torch.where(usable, width, fallback)
