"""Nearest points of a linear set, and the programme over its budgets and ramps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.solver.problem import LinearSet
from dagcast_core.solver.separable._programme import SeparableProgramme

__all__ = ["Projection", "linear_limits", "linear_programme", "project"]


@dataclass(frozen=True, slots=True)
class Projection:
    """A projected point with the multipliers of the budgets, layers in order, and of the links."""

    x: Tensor
    multipliers: Tensor
    links: Tensor | None


def project(
    z: Tensor, metric: Tensor, linear: LinearSet, start: Tensor | None = None
) -> Projection:
    """Nearest point of ``linear`` to ``z`` in the metric sum metric (x - z)^2 / 2.

    Args:
        z: (cells,).
        metric: (cells,) positive. A projected step must use the metric of the step.
        linear: bounds, budgets (nested or not) and chains.
        start: multipliers of an earlier projection.
    """
    programme = linear_programme(linear)
    solution = programme.solve(z, metric, linear_limits(linear), start, tolerance=1e-14)
    return Projection(solution.x, solution.multipliers, solution.links)


def linear_programme(
    linear: LinearSet, extra: tuple[Tensor, ...] = (), extra_rows: int = 0
) -> SeparableProgramme:
    """Lay out the budgets of ``linear``, then ``extra`` layers of rows (numbered from 0)."""
    groups: list[Tensor] = []
    offset = 0
    for layer in linear.budgets:
        groups.append(torch.where(layer.group >= 0, layer.group + offset, layer.group))
        offset += layer.limit.numel()
    groups += [torch.where(group >= 0, group + offset, group) for group in extra]
    programme = SeparableProgramme(
        linear.lower,
        linear.upper,
        tuple(groups),
        offset + extra_rows,
        linear.chains,
        linear.more_chains,
    )
    for k, layer in enumerate(linear.budgets):
        programme.set_layer(
            k, torch.where(layer.group >= 0, layer.coefficient, torch.zeros_like(layer.coefficient))
        )
    return programme


def linear_limits(linear: LinearSet) -> Tensor:
    """Limits of all budgets, layers in order."""
    parts = [layer.limit for layer in linear.budgets]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=linear.lower.dtype)
