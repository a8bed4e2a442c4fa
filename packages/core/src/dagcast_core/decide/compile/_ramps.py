"""Ramps: there as chains of cells and bounds of the first steps, back as pairs too far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._bounds import Bounds, and_more
from dagcast_core.decide.declare import DecisionProblem, Ramp, Space
from dagcast_core.solver import Chains, DecisionError, LinearSet

__all__ = ["Ramps"]


@final
@dataclass(frozen=True)
class Ramps:
    """Links between cells, and the bounds that the plan in force leaves to the first of them.

    Attributes:
        space: the cells.
        chains: ramps of different cells are one; further ones close cycles.
        lower: (cells,).
        upper: (cells,).
    """

    space: Space
    chains: tuple[Chains, ...]
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, problem: DecisionProblem, bounds: Bounds) -> Ramps:
        """Chains of a problem's ramps.

        Raises:
            DecisionError: no ramp leads from the plan in force to a cell within its bounds.
        """
        space = bounds.space
        lower, upper = bounds.lower.clone(), bounds.upper.clone()
        found = []
        for item in problem.constraints:
            if isinstance(item, Ramp):
                _bound_first(problem, space, item, lower, upper)
                found.append(_chains(space, item))
        return cls(space, tuple(_joined(found)), lower, upper)

    def broken(self, linear: LinearSet, x: Tensor, tolerance: float) -> list[str]:
        """The worst pair of cells of each ramp that differ too much, and how many.

        Args:
            linear: gives the cells' sizes.
            x: (cells,) decisions.
            tolerance: relative to the ramp's limit.
        """
        found = []
        size, where = linear.scale(), self.space.where
        for chains in self.chains:
            before, after = chains.order[:, :-1], chains.order[:, 1:]
            change = (x[after.clamp(min=0)] - x[before.clamp(min=0)]).abs()
            limit = chains.limit[:, 1:]
            excess = (change - limit) / limit.clamp(min=float(size.min()))
            excess = torch.where((before >= 0) & (after >= 0), excess, torch.zeros_like(excess))
            bad = torch.nonzero(excess.reshape(-1) > tolerance).flatten()
            if bad.numel():
                link = int(excess.reshape(-1).argmax())
                cells = [int(end.reshape(-1)[link]) for end in (before, after)]
                found.append(
                    f"{where(cells[0])} and {where(cells[1])} differ by "
                    f"{float(change.reshape(-1)[link]):g}, the ramp allows "
                    f"{float(limit.reshape(-1)[link]):g}{and_more(bad, 'pair')}"
                )
        return found


def _chains(space: Space, ramp: Ramp) -> Chains:
    template = space.templates[ramp.lever]
    part = space.slices[ramp.lever]
    axis = template.dims.index(ramp.dim)
    cells = torch.arange(part.start, part.stop).view(tuple(template.shape)).movedim(axis, -1)
    steps = cells.shape[-1]
    length = -(-steps // ramp.step)
    padded = torch.full((*cells.shape[:-1], length * ramp.step), -1)
    padded[..., :steps] = cells
    order = padded.view(*cells.shape[:-1], length, ramp.step).transpose(-1, -2)
    limit = torch.full((cells.numel() // steps * ramp.step, length), float(ramp.limit))
    return Chains(order.reshape(-1, length).contiguous(), limit.double())


def _bound_first(
    problem: DecisionProblem, space: Space, ramp: Ramp, lower: Tensor, upper: Tensor
) -> None:
    """Bound the first steps, in place, by the plan in force before them, where it is known."""
    current = problem.current
    if current is None or ramp.lever not in current:
        return
    template = space.templates[ramp.lever]
    given = current[ramp.lever]
    if ramp.dim not in given.dims:
        return
    index, known = template.index(ramp.dim), given.index(ramp.dim)
    earlier = known[known < index[0]]
    if not len(earlier):
        return
    part = space.slices[ramp.lever]
    shape = tuple(template.shape)
    axis = template.dims.index(ramp.dim)
    low = lower[part].view(shape).movedim(axis, -1)
    high = upper[part].view(shape).movedim(axis, -1)
    wanted = {dim: template.index(dim) for dim in template.dims if dim != ramp.dim}
    history = given.double().reindex(wanted, fill=float("nan"))
    before = history.sel({ramp.dim: earlier}).values(
        *[dim for dim in template.dims if dim != ramp.dim], ramp.dim
    )
    for t in range(min(ramp.step, len(index))):
        back = before.shape[-1] - ramp.step + t
        if back < 0:
            continue
        value = before[..., back]
        seen = torch.isfinite(value)
        low[..., t] = torch.where(seen, torch.maximum(low[..., t], value - ramp.limit), low[..., t])
        high[..., t] = torch.where(
            seen, torch.minimum(high[..., t], value + ramp.limit), high[..., t]
        )
        apart = torch.nonzero((low[..., t] > high[..., t]).reshape(-1)).flatten()
        if apart.numel():
            cells = torch.arange(part.start, part.stop).view(shape).movedim(axis, -1)
            cell = int(cells[..., t].reshape(-1)[apart[0]])
            raise DecisionError(
                f"{space.where(cell)} cannot be reached: the plan in force {ramp.step} "
                f"step(s) before is {float(value.reshape(-1)[apart[0]]):g}, the ramp allows a "
                f"change of {ramp.limit:g}, and bounds or fixed cells leave no such value "
                f"({apart.numel()} cell(s) at that time). Widen the ramp or the bounds, or "
                "correct the current plan."
            )


def _joined(ramps: Sequence[Chains]) -> list[Chains]:
    """Ramps of different cells as one: only those that share cells close cycles."""
    out: list[Chains] = []
    for ramp in ramps:
        cells = ramp.order[ramp.order >= 0]
        for k, other in enumerate(out):
            if not bool(torch.isin(cells, other.order).any()):
                steps = max(ramp.order.shape[1], other.order.shape[1])
                parts = (other, ramp)
                out[k] = Chains(
                    torch.cat([_widened(part.order, steps, -1) for part in parts]),
                    torch.cat([_widened(part.limit, steps, 0.0) for part in parts]),
                )
                break
        else:
            out.append(ramp)
    return out


def _widened(table: Tensor, steps: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(table, (0, steps - table.shape[1]), value=fill)
