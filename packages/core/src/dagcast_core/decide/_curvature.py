"""Diagonal curvature of the Lagrangian: from Hessian-vector products and from secants."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["first_metric", "floored", "secant_update", "typical_size"]

_FLOOR = 1e-3
_LARGEST_CHANGE = 4.0


def typical_size(lower: Tensor, upper: Tensor, shares: Tensor) -> Tensor:
    """Step that is neither negligible nor absurd, (cells,).

    The equal share of the tightest budget, or the range.
    """
    width = torch.minimum(upper - lower, shares)
    usable = torch.isfinite(width) & (width > 0)
    fallback = width[usable].median() if bool(usable.any()) else torch.ones((), dtype=width.dtype)
    return torch.where(usable, width, fallback)


def first_metric(gradient: Tensor, size: Tensor) -> Tensor:
    """Metric before anything is known.

    A step along the gradient moves every cell by about its typical size.
    """
    slope = gradient.abs()
    positive = slope[slope > 0]
    floor = float(positive.median()) * _FLOOR if positive.numel() else 1.0
    return slope.clamp(min=floor) / size


def floored(diagonal: Tensor, size: Tensor) -> Tensor:
    """Positive metric from a measured Hessian diagonal, floored relative to its median.

    The floor holds for the curvature per typical step, D size^2, since cells may differ in unit.
    """
    scaled = diagonal.abs() * size * size
    positive = scaled[scaled > 0]
    floor = float(positive.median()) * _FLOOR if positive.numel() else 1.0
    return scaled.clamp(min=floor) / (size * size)


def secant_update(metric: Tensor, step: Tensor, change: Tensor, size: Tensor) -> Tensor:
    """Geometric mean of the metric and the element-wise secant ``change / step``.

    By at most a factor.

    Args:
        metric: (cells,) current.
        step: (cells,) x+ - x.
        change: (cells,) gradient at x+ minus gradient at x, same multipliers.
        size: (cells,) typical size; steps far below it carry rounding, not curvature.
    """
    usable = step.abs() > 1e-9 * size
    ratio = change / torch.where(usable, step, torch.ones_like(step))
    bounded = torch.minimum(
        torch.maximum(ratio, metric / _LARGEST_CHANGE), metric * _LARGEST_CHANGE
    )
    return torch.where(usable, torch.sqrt(metric * bounded), metric)
