"""Where the certainty of an effect comes from: from trials, from history, or from priors.

At the fit the precision of all parameters is a sum, ``H = history + priors + trials``. Seen along
the direction ``x = H^-1 v / (v' H^-1 v)`` in which an effect with derivatives ``v`` is least known,

    1 / variance = x' H x = x' history x + x' priors x + x' trials x,

so that the three shares of an effect's certainty add up to 1. It is what a refit with one of the
three left out, or a prior made wider, would take away, to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import Linearised
from dagcast_core.model._flat import pieces
from dagcast_core.model._precision import VAGUE, Precision
from dagcast_core.model._unit import Unit

# Standard deviations to either side over which terms on parameters are differenced.
_STEP = 1e-3


@final
@dataclass(frozen=True)
class Certainty:
    """Shares of the precision of one effect; they add up to 1.

    Attributes:
        trials: by experiments, this and others.
        history: by own data of the models.
        priors: by what was believed beforehand, pooling over labels included.
    """

    trials: float
    history: float
    priors: float


@torch.no_grad()
def certainties(
    units: Sequence[Unit], precisions: Sequence[Precision], evidence: Evidence, found: Linearised
) -> tuple[Certainty | None, ...]:
    """Shares for the effect of every experiment; None where no parameter moves it.

    Args:
        units: fitted.
        precisions: of their own losses.
        evidence: settled.
        found: the effects' dependence on the parameters.
    """
    seen = torch.linalg.solve(evidence.covariance + found.spread, found.spread)
    # Covariance of the effects, and of parameters with effects, given everything.
    effects = found.spread - found.spread @ seen
    moves = [gain - gain @ seen for gain in found.gains]
    trials = (effects * torch.linalg.solve(evidence.covariance, effects)).sum(dim=0)
    variance = effects.diagonal()
    deviation = variance.clamp(min=0.0).sqrt()
    result: list[Certainty | None] = []
    for place in range(len(evidence)):
        if not float(deviation[place]) > 0.0:
            result.append(None)
            continue
        ahead = [move[:, place] / deviation[place] for move in moves]
        priors = sum(_squared(unit, step) for unit, step in zip(units, ahead, strict=True))
        measured = min(max(float(trials[place] / variance[place]), 0.0), 1.0)
        believed = min(max(float(priors), 0.0), 1.0 - measured)
        result.append(Certainty(measured, 1.0 - measured - believed, believed))
    return tuple(result)


def _squared(unit: Unit, step: torch.Tensor) -> float:
    """By how many squared standard deviations priors resist a step of the parameters."""
    found = float(step @ step) / VAGUE**2
    flat = unit.flat
    for parameter, ahead in zip(flat.parameters, pieces(step, flat.sizes), strict=True):
        terms = [
            term
            for part in unit.parts
            for term in part.priors
            if term.parameter.raw is parameter and term.weight
        ]
        if not terms:
            continue
        at, change = parameter.detach().clone(), _STEP * ahead.reshape(parameter.shape)
        ends = []
        for sign in (1.0, -1.0):
            parameter.copy_(at + sign * change)
            ends.append([term.standardised() for term in terms])
        parameter.copy_(at)
        for up, down in zip(*ends, strict=True):
            found += float((((up - down) / (2.0 * _STEP)) ** 2).sum())
    return found


__all__ = ["Certainty", "certainties"]
