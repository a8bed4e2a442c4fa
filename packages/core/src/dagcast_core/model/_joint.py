"""Joint agreement with experiments, anchored at each model's own fit.

The own loss of each unit is replaced by its second-order expansion around the own fit,
``g' d + d' H d / 2``, in which latent inputs are held (a *cut* posterior, as in Jacob et al.
(2017), arXiv:1708.08719): confounded data of one team cannot move another team's causal
parameters. To that the experiments are added, and the sum is minimised by Gauss-Newton steps in
the space of the experiments, which are few. Where an experiment crosses teams, the model that is
least certain moves most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._evidence import Evidence
from dagcast_core.model._flat import FlatParameters
from dagcast_core.model._precision import Precision

_STEPS = 25
_TOLERANCE = 1e-4


@final
@dataclass(frozen=True)
class Anchor:
    """The own fit of one unit, to second order.

    Attributes:
        flat: its parameters.
        center: their values at the own fit.
        gradient: of the own loss without experiments, at the center.
        precision: its Hessian there.
    """

    flat: FlatParameters
    center: torch.Tensor
    gradient: torch.Tensor
    precision: Precision


@final
@dataclass(frozen=True)
class JointResult:
    """Where the joint fit ended.

    Attributes:
        moves: displacement from the center, by unit.
        misfit: of the experiments, nats.
        converged: whether the last step was negligible.
        iterations: Gauss-Newton steps taken.
    """

    moves: tuple[torch.Tensor, ...]
    misfit: float
    converged: bool
    iterations: int


def fit_jointly(
    anchors: Sequence[Anchor], evidence: Evidence, start: Sequence[torch.Tensor] | None = None
) -> JointResult:
    """Minimise anchored own losses plus the experiments' misfit; parameters are left there.

    Args:
        anchors: own fits of all units on a path.
        evidence: all experiments whose paths touch them.
        start: displacements to begin with; 0 by default.
    """
    free = [
        -anchor.precision.solve(anchor.gradient.unsqueeze(-1)).squeeze(-1) for anchor in anchors
    ]
    moves = [torch.zeros_like(anchor.center) for anchor in anchors]
    if start is not None:
        moves = [move.clone() for move in start]
    _write(anchors, moves)
    merit = _merit(anchors, moves, evidence)
    converged, steps = False, 0
    while not converged and steps < _STEPS:
        steps += 1
        residuals, slopes = evidence.linearised([anchor.flat for anchor in anchors])
        gains = [a.precision.solve(g.mT) for a, g in zip(anchors, slopes, strict=True)]
        innovation = evidence.covariance.clone()
        expected = residuals.clone()
        for gain, slope, move, home in zip(gains, slopes, moves, free, strict=True):
            innovation += slope @ gain
            expected += slope @ (home - move)
        pull = torch.linalg.solve(innovation, expected)
        goals = [home - gain @ pull for home, gain in zip(free, gains, strict=True)]
        moves, fell, merit = _search(anchors, moves, goals, merit, evidence)
        converged = fell <= _TOLERANCE
    with torch.no_grad():
        misfit = float(evidence.misfit())
    return JointResult(tuple(moves), misfit, converged, steps)


def _search(
    anchors: Sequence[Anchor],
    moves: list[torch.Tensor],
    goals: list[torch.Tensor],
    merit: float,
    evidence: Evidence,
) -> tuple[list[torch.Tensor], float, float]:
    """Step towards the goal, halving while the true merit does not fall."""
    length = 1.0
    while length > 1e-3:
        trial = [m + length * (goal - m) for m, goal in zip(moves, goals, strict=True)]
        _write(anchors, trial)
        found = _merit(anchors, trial, evidence)
        if found <= merit:
            return trial, merit - found, found
        length /= 2
    _write(anchors, moves)
    return moves, 0.0, merit


def _merit(anchors: Sequence[Anchor], moves: Sequence[torch.Tensor], evidence: Evidence) -> float:
    with torch.no_grad():
        total = float(evidence.misfit())
    for anchor, move in zip(anchors, moves, strict=True):
        total += float(anchor.gradient @ move)
        total += 0.5 * float(move @ anchor.precision.times(move))
    return total


def _write(anchors: Sequence[Anchor], moves: Sequence[torch.Tensor]) -> None:
    for anchor, move in zip(anchors, moves, strict=True):
        anchor.flat.write(anchor.center + move)
