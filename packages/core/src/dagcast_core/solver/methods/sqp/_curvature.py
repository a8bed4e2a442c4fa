"""Diagonal curvature of the Lagrangian: from Hessian-vector products and from secants."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["first_metric", "floored", "secant_update"]

_FLOOR = 1e-3
# Of the logarithm of curvature: for any step, per typical size, at most, and the extrapolation.
_ALWAYS = 0.05
_PER_SIZE = 1.5
_LARGEST_CHANGE = 1.386
_EXTRAPOLATE = 1.25


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
    """Curvature at the end of a step, extrapolated from the element-wise secant along it.

    A secant is the mean curvature *along* the step, so where curvature falls or grows steadily the
    end of the step is further on: log D moves by more than log(secant / D). What lies beside the
    diagonal disturbs the secant of a cell that hardly moves while its neighbours do. Both are dealt
    with by one assumption: over one typical size, curvature changes by a moderate factor. Its
    logarithm may move by `_ALWAYS` plus `_PER_SIZE` times the relative step, stretched by
    `_EXTRAPOLATE` (2 would be exact for curvature that is exponential along the step, and is too
    bold beside interactions).

    Args:
        metric: (cells,) at the start of the step.
        step: (cells,) x+ - x.
        change: (cells,) gradient at x+ minus gradient at x, same multipliers.
        size: (cells,) typical size; steps far below it carry rounding, not curvature.
    """
    usable = step.abs() > 1e-9 * size
    ratio = change / torch.where(usable, step * metric, torch.ones_like(step))
    most = (_ALWAYS + _PER_SIZE * step.abs() / size).clamp(max=_LARGEST_CHANGE)
    # A secant that is not positive says "as flat as is credible".
    moved = ratio.clamp(min=1e-30).log()
    moved = torch.maximum(torch.minimum(moved, most), -most)
    return torch.where(usable, metric * torch.exp(_EXTRAPOLATE * moved), metric)
