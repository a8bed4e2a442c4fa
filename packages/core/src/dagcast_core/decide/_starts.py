"""Where to start."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dagcast_core.decide._linear import LinearSet

__all__ = ["default_start", "equal_shares"]


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


def default_start(linear: LinearSet) -> Tensor:
    """Half the equal shares above the lower bounds: inside, where responses bend."""
    share = equal_shares(linear)
    reach = torch.minimum(share, linear.reach() - linear.lower)
    reach = torch.where(torch.isfinite(reach), reach, torch.ones_like(reach))
    return linear.lower + 0.7 * reach
