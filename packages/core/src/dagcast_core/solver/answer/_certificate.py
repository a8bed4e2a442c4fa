"""How far a point can be from the optimum: its Karush-Kuhn-Tucker residual and a bound of the gap.

For a concave objective and convex rows, weak duality bounds the optimum from one gradient of the
Lagrangian: no point of the linear set can gain more than the Lagrangian's linearisation allows, and
the multipliers of budgets and links turn that maximum into a sum over cells in closed form. The
bound is valid for *any* nonnegative multipliers, so an inexact solve widens it and never makes it
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.solver.problem import LinearSet
from dagcast_core.solver.separable import SeparableProgramme, linear_programme

__all__ = ["Certificate", "Certifier", "reduced_gradient"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """All relative to the lift of the point over the baseline.

    Attributes:
        residual: gain that projected gradient steps still promise, plus unused multipliers times
            slack.
        gap: upper bound on (optimum - objective), valid where the model is concave; inf where a
            cell is unbounded.
        slack: the part of ``gap`` that lies in multipliers of rows that are not at their limit.
    """

    residual: float
    gap: float
    slack: float


def reduced_gradient(gradient: Tensor, linear: LinearSet, multipliers: Tensor) -> Tensor:
    """Gradient of the minimised Lagrangian with the budgets' multipliers added, (cells,)."""
    reduced = gradient.clone()
    offset = 0
    for layer in linear.budgets:
        own = multipliers[offset : offset + layer.limit.numel()]
        offset += layer.limit.numel()
        pull = layer.coefficient * own[layer.group.clamp(min=0)]
        reduced += torch.where(layer.group >= 0, pull, torch.zeros_like(pull))
    return reduced


class Certifier:
    """Certificates over one linear set.

    Args:
        linear: tightened; its budgets make the cells' reach finite where bounds do not.
        programme: one that is laid out over the same cells and ramps, or None to lay one out.
    """

    def __init__(self, linear: LinearSet, programme: SeparableProgramme | None = None) -> None:
        self.linear = linear
        self.reach = linear.reach()
        self.chained: SeparableProgramme | None = None
        if linear.chains is not None:
            self.chained = programme or linear_programme(linear)
            self.reach = (
                LinearSet(linear.lower, self.reach, (), linear.chains, linear.more_chains)
                .tightened()
                .upper
            )

    def certify(
        self,
        x: Tensor,
        gradient: Tensor,
        metric: Tensor,
        multipliers: Tensor,
        row_values: Tensor,
        row_multipliers: Tensor,
        lift: float,
    ) -> Certificate:
        """Residual and gap bound at ``x``, in the scaled minimisation form of the solver.

        Args:
            x: (cells,) inside the linear set.
            gradient: (cells,) exact gradient of F + y'C at ``x``.
            metric: (cells,) curvature, used by the residual only.
            multipliers: (budgets,) nonnegative.
            row_values: (rows,) C(x), at most 0 where kept.
            row_multipliers: (rows,) nonnegative y.
            lift: what the result is relative to.
        """
        rho = reduced_gradient(gradient, self.linear, multipliers)
        slack = -float((row_multipliers * row_values).sum())
        offset = 0
        for layer in self.linear.budgets:
            own = multipliers[offset : offset + layer.limit.numel()]
            offset += layer.limit.numel()
            slack += float((own * (layer.limit - layer.sums(x))).sum())
        step = self._nearest(x - rho / metric, metric) - x
        residual = float(-(rho * step).sum()) + abs(slack)
        scale = max(lift, 1e-300)
        gain = self._largest_gain(x, rho, scale)
        return Certificate(residual / scale, (gain + slack) / scale, slack / scale)

    def _nearest(self, z: Tensor, metric: Tensor) -> Tensor:
        if self.chained is None:
            return z.clamp(self.linear.lower, self.linear.upper)
        return self.chained.nearest(z, metric, self.reach)

    def _largest_gain(self, x: Tensor, rho: Tensor, scale: float) -> float:
        """Upper bound of rho'(x - x') over all x' within bounds and chains.

        Called right after `_nearest`, whose links' multipliers serve where ramps close cycles.
        """
        if self.chained is not None and self.linear.more_chains:
            return self._netted_gain(x, rho)
        if self.chained is None or not bool(torch.isfinite(self.reach).all()):
            room = torch.where(rho > 0, x - self.linear.lower, self.reach - x).clamp(min=0)
            # 0 * inf: a cell at rest needs no bound.
            return float(torch.where(rho == 0, torch.zeros_like(rho), rho.abs() * room).sum())
        # The linear programme of the chains as the limit of their proximal step: a curvature so
        # weak that all of it over the whole set is negligible, and that little is added.
        room = self.reach - self.linear.lower
        # Fixed cells have no room; a curvature to match would drown that of all others.
        room = room.clamp(min=max(1e-6 * float(room.max()), 1e-12))
        weak = 1e-9 * scale / x.numel() / (room * room)
        best = self._nearest(x - rho / weak, weak)
        return float((rho * (x - best)).sum()) + 0.5e-9 * scale

    def _netted_gain(self, x: Tensor, rho: Tensor) -> float:
        """The bound with the multipliers of links from the last proximal step, as for budgets."""
        assert self.chained is not None
        early, late, limit, pull = self.chained.net_links
        rest = rho.index_add(0, late, pull).index_add(0, early, -pull)
        room = torch.where(rest > 0, x - self.linear.lower, self.reach - x).clamp(min=0)
        box = torch.where(rest == 0, torch.zeros_like(rest), rest.abs() * room)
        slack = limit * pull.abs() - pull * (x[late] - x[early])
        return float(box.sum() + slack.sum())
