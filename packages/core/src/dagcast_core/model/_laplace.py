"""Laplace draws: normal around the fit, corrected by the experiments."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import Linearised, expectation, linearised
from dagcast_core.model._flat import pieces
from dagcast_core.model._model import Model
from dagcast_core.model._precision import Precision, precision_of
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
        moves = _corrected(units, precisions, evidence, moves, generator)
    states: dict[str, torch.Tensor] = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for unit, move in zip(units, moves, strict=True):
        drawn = (unit.flat.read().unsqueeze(-1) + move).mT  # (draw, value)
        for parameter, part in zip(
            unit.flat.parameters, pieces(drawn, unit.flat.sizes, dim=1), strict=True
        ):
            states[names[id(parameter)]] = part.reshape(n, *parameter.shape).contiguous()
    return ParameterDraws(states, "laplace", seed)


def _corrected(
    units: Sequence[Unit],
    precisions: Sequence[Precision],
    evidence: Evidence,
    moves: Sequence[torch.Tensor],
    generator: torch.Generator,
) -> list[torch.Tensor]:
    """Moves from own data and priors, corrected by the experiments; (value, draw) by unit.

    Each draw has scales of the experiments' errors and a dispersion of its own (`Evidence.drawn`).
    What it is then asked for is the effect in weeks and places to come, which scatter about the
    mean as those of the experiments do: its dispersion moves the parameters once more, as far as
    they can follow.
    """
    found = linearised(units, precisions, evidence)
    evidence.settle(expectation(units, found))
    count = moves[0].shape[1] if moves else 0
    covariances, levels = evidence.drawn(count, generator)
    noise = torch.randn((count, len(evidence), 1), generator=generator, dtype=torch.float64)
    errors = (torch.linalg.cholesky(covariances) @ noise).squeeze(-1)  # (draw, experiment)
    # Where own losses alone would be: there each draw begins, as if nothing had been measured.
    home = torch.linalg.solve(evidence.covariance, found.residuals)
    expected = found.residuals + found.spread @ home
    for slope, move in zip(found.slopes, moves, strict=True):
        expected = expected + (slope @ move).mT
    weights = torch.linalg.solve(found.spread + covariances, expected - errors)
    weights = _refined(units, evidence, moves, found, covariances, errors, weights, home)
    further = _scattered(evidence, found, levels, generator)
    pulls = home - weights + further  # (draw, experiment)
    return [move + gain @ pulls.mT for move, gain in zip(moves, found.gains, strict=True)]


def _scattered(
    evidence: Evidence, found: Linearised, levels: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Weights that move effects as they differ between settings; (draw, experiment).

    Half of the dispersion's variance is common to all effects of the same levers, half each
    experiment's own. Where parameters cannot follow, the smoothest compromise is taken.
    """
    count, size = len(levels), len(evidence)
    levers = list(dict.fromkeys(e.levers for e in evidence.experiments))
    common = torch.randn((count, len(levers)), generator=generator, dtype=torch.float64)
    own = torch.randn((count, size), generator=generator, dtype=torch.float64)
    places = torch.tensor([levers.index(e.levers) for e in evidence.experiments])
    deviates = (common[:, places] + own) / 2.0**0.5
    scatter = levels.unsqueeze(-1) * evidence.sizes
    tiny = 1e-9 * found.spread.diagonal().mean().clamp(min=1e-12)
    total = found.spread + torch.diag_embed(scatter.square() + tiny)
    weights: torch.Tensor = torch.linalg.solve(total, scatter * deviates)
    return weights


def _refined(
    units: Sequence[Unit],
    evidence: Evidence,
    moves: Sequence[torch.Tensor],
    found: Linearised,
    covariances: torch.Tensor,
    errors: torch.Tensor,
    weights: torch.Tensor,
    home: torch.Tensor,
) -> torch.Tensor:
    """Corrections by the experiments with each draw's own effects; (draw, experiment).

    Solved for ``v`` is ``r(fit + move + gain (home - v)) - error = S v``, by steps with the matrix
    of the linear case, halved where they lead away.
    """
    flats = [unit.flat for unit in units]
    homes = [flat.read().unsqueeze(-1) for flat in flats]
    innovations = found.spread + covariances
    every = evidence.under_many()

    def gap(draws: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is left, (draw, experiment), and its size in variances, (draw,)."""
        values = [
            start + move[:, draws] + gain @ (home - weight).mT
            for start, move, gain in zip(homes, moves, found.gains, strict=True)
        ]
        residuals = every.under(flats, values) - evidence.estimates
        left = residuals - errors[draws] - (covariances[draws] @ weight.unsqueeze(-1)).squeeze(-1)
        step = torch.linalg.solve(innovations[draws], left)
        size = (left * step).sum(dim=-1)
        # An effect that is no number any more is a draw that cannot be refined.
        return left, torch.where(torch.isfinite(left).all(dim=-1), size, torch.inf)

    refined = weights.clone()
    left, size = gap(torch.arange(len(weights)), refined)
    length = torch.ones_like(size)
    for _ in range(_REFINEMENTS):
        open_ = ((size >= _CLOSE) & torch.isfinite(size)).nonzero().squeeze(-1)
        if not len(open_):
            break
        step = torch.linalg.solve(innovations[open_], left[open_])
        trial = refined[open_] + length[open_].unsqueeze(-1) * step
        trial_left, trial_size = gap(open_, trial)
        better = trial_size < size[open_]
        taken = open_[better]
        refined[taken], left[taken] = trial[better], trial_left[better]
        size[taken] = trial_size[better]
        length[open_] = torch.where(better, 1.0, length[open_] / 3)
    return refined
