"""What models expect of experiments by their own data and priors alone, linearised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._evidence import Evidence
from dagcast_core.model._precision import Precision
from dagcast_core.model._space import Expectation
from dagcast_core.model._unit import Unit


@final
@dataclass(frozen=True)
class Linearised:
    """Units at their present parameters, seen from the experiments.

    Attributes:
        residuals: modelled effect minus estimate at the present parameters; (experiment,).
        slopes: derivatives of the effects by each unit's parameters; (experiment, value).
        gains: covariance of each unit's parameters, by own data and priors, with the effects;
            (value, experiment).
        spread: covariance of the effects by own data and priors; (experiment, experiment).
    """

    residuals: torch.Tensor
    slopes: tuple[torch.Tensor, ...]
    gains: tuple[torch.Tensor, ...]
    spread: torch.Tensor


def linearised(
    units: Sequence[Unit], precisions: Sequence[Precision], evidence: Evidence
) -> Linearised:
    """The effects' dependence on the units' parameters, at the present ones."""
    residuals, slopes = evidence.linearised([unit.flat for unit in units])
    gains = tuple(p.solve(slope.mT) for p, slope in zip(precisions, slopes, strict=True))
    spread = torch.zeros((len(evidence), len(evidence)), dtype=torch.float64)
    for slope, gain in zip(slopes, gains, strict=True):
        spread += slope @ gain
    return Linearised(residuals, slopes, gains, (spread + spread.mT) / 2)


def expectation(units: Sequence[Unit], found: Linearised) -> Expectation:
    """What the effects would be at the minima of the units' own losses.

    One Newton step from the present parameters: where the experiments have pulled them, the own
    losses pull back by their gradients.
    """
    residuals = found.residuals.clone()
    for unit, gain in zip(units, found.gains, strict=True):
        with torch.enable_grad():
            pull = unit.flat.gradient(unit.loss())
        residuals -= gain.mT @ pull
    return Expectation(residuals, found.spread)
