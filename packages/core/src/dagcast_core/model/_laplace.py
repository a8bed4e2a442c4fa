"""Laplace draws: normal around the fit, corrected by the experiments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._flat import pieces
from dagcast_core.model._model import Model
from dagcast_core.model._precision import precision_of
from dagcast_core.model._unit import Unit

# Most corrections of one draw, and the squared gap (in variances) that needs no further one.
_REFINEMENTS = 3
_CLOSE = 0.05


def laplace(
    model: Model, units: Sequence[Unit], evidence: Evidence, n: int, seed: int
) -> ParameterDraws:
    """Normal draws around the present parameters.

    Own data and priors are drawn from first, then each draw is corrected by the experiments with
    redrawn errors (Matheron's rule), which gives exactly the joint posterior where effects are
    linear. Where they are not, each draw's correction is repeated with its own effects, as
    randomised maximum likelihood does: Chen & Oliver (2012), doi:10.1007/s11004-011-9376-z.
    """
    generator = torch.Generator().manual_seed(seed)
    precisions = [precision_of(unit) for unit in units]
    moves = [precision.sample(n, generator) for precision in precisions]
    if len(evidence):
        _, slopes = evidence.linearised([unit.flat for unit in units])
        gains = [p.solve(slope.mT) for p, slope in zip(precisions, slopes, strict=True)]
        innovation, errors = evidence.covariance.clone(), evidence.errors(n, generator)
        seen = -errors
        for slope, gain, move in zip(slopes, gains, moves, strict=True):
            innovation += slope @ gain
            seen += slope @ move
        weights = torch.linalg.solve(innovation, seen)
        weights = _refined(units, evidence, moves, gains, innovation, errors, weights)
        moves = [move - gain @ weights for move, gain in zip(moves, gains, strict=True)]
    states: dict[str, torch.Tensor] = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for unit, move in zip(units, moves, strict=True):
        drawn = (unit.flat.read().unsqueeze(-1) + move).mT  # (draw, value)
        for parameter, part in zip(
            unit.flat.parameters, pieces(drawn, unit.flat.sizes, dim=1), strict=True
        ):
            states[names[id(parameter)]] = part.reshape(n, *parameter.shape).contiguous()
    return ParameterDraws(states, "laplace", seed)


def _refined(
    units: Sequence[Unit],
    evidence: Evidence,
    moves: Sequence[torch.Tensor],
    gains: Sequence[torch.Tensor],
    innovation: torch.Tensor,
    errors: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Corrections by the experiments with each draw's own effects; (experiment, draw).

    Solved for ``v`` is ``r(home + move - gain v) - r(home) - error = S v``, by steps with the
    matrix of the linear case, halved where they lead away.
    """
    homes = [unit.flat.read() for unit in units]
    with torch.no_grad():
        base = evidence.residuals()
    refined = weights.clone()

    def gap(draw: int, weight: torch.Tensor) -> tuple[torch.Tensor, float]:
        for unit, home, move, gain in zip(units, homes, moves, gains, strict=True):
            unit.flat.write(home + move[:, draw] - gain @ weight)
        try:
            with torch.no_grad():
                found = evidence.residuals()
        except ExperimentError:
            return base, float("inf")
        left = found - base - errors[:, draw] - evidence.covariance @ weight
        return left, float(left @ torch.linalg.solve(innovation, left))

    try:
        for draw in range(weights.shape[1]):
            weight = weights[:, draw]
            left, size = gap(draw, weight)
            length = 1.0
            for _ in range(_REFINEMENTS):
                if size < _CLOSE or not np.isfinite(size):
                    break
                trial = weight + length * torch.linalg.solve(innovation, left)
                trial_left, trial_size = gap(draw, trial)
                if trial_size < size:
                    weight, left, size, length = trial, trial_left, trial_size, 1.0
                else:
                    length /= 3
            refined[:, draw] = weight
    finally:
        for unit, home in zip(units, homes, strict=True):
            unit.flat.write(home)
    return refined
