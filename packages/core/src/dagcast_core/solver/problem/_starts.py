"""Where to start."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.solver.problem._linear import LinearSet
from dagcast_core.solver.problem._sizes import equal_shares

__all__ = ["default_start"]


def default_start(linear: LinearSet) -> Tensor:
    """Half the equal shares above the lower bounds: inside, where responses bend."""
    share = equal_shares(linear)
    reach = torch.minimum(share, linear.reach() - linear.lower)
    reach = torch.where(torch.isfinite(reach), reach, torch.ones_like(reach))
    return linear.lower + 0.7 * reach
