"""Agreement with experiments, anchored at each model's own fit.

Minimised is the sum of the units' own losses and the experiments' misfit. Latent inputs of the own
losses are held (a *cut* posterior, as in Jacob et al. (2017), arXiv:1708.08719): confounded data
of one team cannot move another team's causal parameters, only an experiment can. Each step is a
Gauss-Newton step: own losses enter with their gradient and the precision of the own fit, the
experiments, which are few, with their derivatives, so that a step is solved in the space of the
experiments. Where an experiment crosses teams, the model that is least certain moves most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._precision import Precision
from dagcast_core.model._unit import Unit

_STEPS = 40
_TOLERANCE = 0.01


@final
@dataclass(frozen=True)
class JointResult:
    """Where the fit with experiments ended.

    Attributes:
        converged: whether the last step was negligible.
        iterations: Gauss-Newton steps taken.
        expected_gain: how much further the sum could fall, to second order, nats.
        gradient_norm: of the sum, nats per unit of raw parameter.
    """

    converged: bool
    iterations: int
    expected_gain: float
    gradient_norm: float


def fit_jointly(
    units: Sequence[Unit], precisions: Sequence[Precision], evidence: Evidence
) -> JointResult:
    """Minimise own losses plus the experiments' misfit; parameters are left at the minimum.

    Args:
        units: all units on a path, at their own fits.
        precisions: of their own fits.
        evidence: all experiments whose paths touch them.
    """
    at = [unit.flat.read() for unit in units]
    merit = _merit(units, at, evidence)
    gain, norm, steps = math.inf, math.inf, 0
    converged = False
    while not converged and steps < _STEPS:
        steps += 1
        _write(units, at)
        residuals, slopes = evidence.linearised([unit.flat for unit in units])
        pulls = [
            unit.flat.value_and_gradient(unit.loss, here)[1]
            for unit, here in zip(units, at, strict=True)
        ]
        move, gain = _gauss_newton(precisions, evidence.covariance, residuals, slopes, pulls)
        whitened = torch.linalg.solve(evidence.covariance, residuals)
        norm = math.sqrt(
            sum(
                float((g + s.mT @ whitened).square().sum())
                for g, s in zip(pulls, slopes, strict=True)
            )
        )
        at, fell, merit = _search(units, at, move, merit, evidence)
        converged = gain <= _TOLERANCE or (fell <= _TOLERANCE and gain <= 10 * _TOLERANCE)
    _write(units, at)
    return JointResult(converged, steps, gain, norm)


def _gauss_newton(
    precisions: Sequence[Precision],
    covariance: torch.Tensor,
    residuals: torch.Tensor,
    slopes: Sequence[torch.Tensor],
    pulls: Sequence[torch.Tensor],
) -> tuple[list[torch.Tensor], float]:
    """Minimum of the second-order model, and the fall to it that the model expects."""
    free = [
        -precision.solve(pull.unsqueeze(-1)).squeeze(-1)
        for precision, pull in zip(precisions, pulls, strict=True)
    ]
    gains = [p.solve(slope.mT) for p, slope in zip(precisions, slopes, strict=True)]
    innovation, expected = covariance.clone(), residuals.clone()
    for gain, slope, home in zip(gains, slopes, free, strict=True):
        innovation += slope @ gain
        expected += slope @ home
    weights = torch.linalg.solve(innovation, expected)
    moves = [home - gain @ weights for home, gain in zip(free, gains, strict=True)]
    after = residuals + sum(slope @ move for slope, move in zip(slopes, moves, strict=True))
    fall = 0.5 * float(residuals @ torch.linalg.solve(covariance, residuals))
    fall -= 0.5 * float(after @ torch.linalg.solve(covariance, after))
    for precision, pull, move in zip(precisions, pulls, moves, strict=True):
        fall -= float(pull @ move) + 0.5 * float(move @ precision.times(move))
    return moves, max(fall, 0.0)


def _search(
    units: Sequence[Unit],
    at: list[torch.Tensor],
    moves: Sequence[torch.Tensor],
    merit: float,
    evidence: Evidence,
) -> tuple[list[torch.Tensor], float, float]:
    """Take the step, halved while the sum does not fall."""
    length = 1.0
    while length > 1e-3:
        trial = [here + length * move for here, move in zip(at, moves, strict=True)]
        found = _merit(units, trial, evidence)
        if found <= merit and math.isfinite(found):
            return trial, merit - found, found
        length /= 2
    return at, 0.0, merit


def _merit(units: Sequence[Unit], at: Sequence[torch.Tensor], evidence: Evidence) -> float:
    _write(units, at)
    try:
        with torch.no_grad():
            return float(evidence.misfit()) + sum(float(unit.loss()) for unit in units)
    except ExperimentError:
        # A step so long that an effect is no number any more is a step too long.
        return math.inf


def _write(units: Sequence[Unit], at: Sequence[torch.Tensor]) -> None:
    for unit, here in zip(units, at, strict=True):
        unit.flat.write(here)
