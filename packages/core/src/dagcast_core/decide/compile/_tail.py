"""How a plan weighs draws of the parameters: mean, tail mean (CVaR), quantile.

The tail mean of values v over equally likely draws is the least of ``sum q v`` over weights
``0 <= q <= 1 / (tail draws)`` that sum to 1. It is concave in v, and kinked where draws change
places. Adding ``mu / 2 (sum q^2 - s)``, with s the sum of squares of extreme weights, smooths the
kinks: the smooth value is never above the true one, and equal to it where no draw is at the edge
of the tail. Its gradient is that of ``sum q v`` with the weights held, which for *any* weights
bounds the true value from above: the certificate of the smooth problem, plus ``sum q v`` less the
true value, is therefore one for the true problem.

Source: Rockafellar & Uryasev (2000), doi:10.21314/JOR.2000.038; Nesterov (2005),
    doi:10.1007/s10107-004-0552-5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Tensor

__all__ = ["Tail", "chance_tail", "tail_mean"]


@final
@dataclass(frozen=True)
class Tail:
    """A smooth measure of the values of many draws, of the low side.

    Attributes:
        measure: see `Risk`.
        tail: share of the draws.
        width: distance from the edge of the tail within which draws count in part, by column.
    """

    measure: Literal["mean", "cvar", "quantile"]
    tail: float
    width: Tensor

    def narrowed(self, width: Tensor) -> Tail:
        """The same with a width of at most ``width``, by no more than tenfold at once."""
        return replace(self, width=torch.minimum(self.width, torch.maximum(width, self.width / 10)))

    def smooth(self, values: Tensor) -> Tensor:
        """Differentiable measure of (draws, ...) along the draws; at most the tail mean."""
        if self.measure == "mean":
            return values.mean(0)
        if self.measure == "cvar":
            return tail_mean(values, self.tail, self.width)
        inner, outer = _ranks(values.shape[0], self.tail)
        high = tail_mean(values, outer, self.width)
        if inner <= 0:
            return high
        low = tail_mean(values, inner, self.width)
        return (outer * high - inner * low) / (outer - inner)

    def exact(self, values: Tensor) -> Tensor:
        """The measure itself: what is reported."""
        if self.measure == "mean":
            return values.mean(0)
        ordered = values.sort(0).values
        count = values.shape[0]
        if self.measure == "quantile":
            return ordered[min(math.floor(self.tail * count + 1e-9), count - 1)]
        share = torch.full((count,), 1.0 / (self.tail * count), dtype=values.dtype)
        left = (1.0 - share.cumsum(0) + share).clamp(min=0)
        share = torch.minimum(share, left)
        return (share.view(-1, *[1] * (values.ndim - 1)) * ordered).sum(0)

    def weighted(self, values: Tensor) -> Tensor:
        """``sum q v`` at the smooth measure's weights: at least the exact measure, if concave."""
        if self.measure == "mean":
            return values.mean(0)
        leaf = values.detach().clone().requires_grad_(True)
        (weights,) = torch.autograd.grad(self.smooth(leaf).sum(), leaf)
        return (weights * values).sum(0)


def chance_tail(tail: float, draws: int) -> float:
    """Smallest share whose worst draws contain one more than may break a limit."""
    return (math.floor(tail * draws + 1e-9) + 1) / draws


def _ranks(draws: int, tail: float) -> tuple[float, float]:
    """Shares between which lie the worst draw that has to be kept and the one before it.

    Their mean is on the cautious side of the quantile, and smooth where the two change places.
    """
    outer = chance_tail(tail, draws)
    return max(outer - 2.0 / draws, 0.0), outer


def tail_mean(values: Tensor, tail: float, width: Tensor) -> Tensor:
    """Smooth mean of the lowest ``tail`` of the draws, a lower bound of the true one.

    Args:
        values: (draws, ...).
        tail: share of the draws, at least one of them.
        width: (...) positive; draws within it of the edge count in part.
    """
    draws = values.shape[0]
    cap = 1.0 / (tail * draws)
    if cap <= 1.0 / draws + 1e-12:
        return values.mean(0)
    held = values.detach()
    # Widths below the rounding of the values would leave no draw with a weight at all.
    width = torch.maximum(width, 1e-12 * held.abs().amax(0)).clamp(min=1e-300)
    mu = width / cap
    # Weights are clip((edge - v) / mu, 0, cap), so their sum grows with the edge, piecewise
    # linearly between 2 draws breakpoints: the edge is where it is 1.
    points = torch.cat([held, held + mu * cap]).sort(0).values  # (2 draws, ...)
    sums = ((points.unsqueeze(1) - held.unsqueeze(0)) / mu).clamp(0.0, cap).sum(1)
    after = (sums < 1.0).sum(0).clamp(max=2 * draws - 1).unsqueeze(0)
    before = (after - 1).clamp(min=0)
    low, high = points.gather(0, before), points.gather(0, after)
    at_low, at_high = sums.gather(0, before), sums.gather(0, after)
    share = ((1.0 - at_low) / (at_high - at_low).clamp(min=1e-300)).clamp(0.0, 1.0)
    edge = (low + share * (high - low)).squeeze(0)
    raw = (edge - held) / mu
    full, part = raw >= cap, (raw > 0) & (raw < cap)
    # The same edge again, now as a function of the draws in part: second derivatives need it.
    count = part.sum(0)
    rest = 1.0 - cap * full.sum(0).to(values.dtype)
    inside = torch.where(part, values, torch.zeros_like(values)).sum(0)
    solved = (mu * rest + inside) / count.clamp(min=1)
    weight = torch.where(
        part,
        (solved - values) / mu,
        torch.where(full, torch.full_like(values, cap), torch.zeros_like(values)),
    )
    # Where no draw is in part the weights are whole, and rounding must not leave a rest.
    weight = weight / weight.sum(0).detach().clamp(min=1e-300)
    whole = math.floor(tail * draws + 1e-9)
    extreme = whole * cap * cap + max(1.0 - whole * cap, 0.0) ** 2
    return (weight * values).sum(0) + 0.5 * mu * ((weight * weight).sum(0) - extreme)
