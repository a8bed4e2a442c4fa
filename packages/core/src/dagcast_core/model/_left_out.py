"""How sure models would be of an experiment's effect if they did not know that experiment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._fitting import prepared
from dagcast_core.model._model import Model
from dagcast_core.model._precision import precision_of
from dagcast_core.tensor import Panel


@final
@dataclass(frozen=True)
class LeftOutSpread:
    """Standard deviations where one experiment is left out.

    Attributes:
        effect: of the modelled effect, given own data, priors and all other experiments.
        difference: of the modelled effect minus the estimate; the estimate's error, widened, is in
            it, and so is what it shares with the errors of the others.
    """

    effect: float
    difference: float


def left_out_spreads(
    model: Model, history: Panel, experiments: ExperimentSet | Iterable[Experiment]
) -> dict[str, LeftOutSpread]:
    """Spreads of every experiment's effect with that experiment left out; by name.

    In closed form at the present parameters: one curvature serves all experiments, where draws
    would take a fit and a curvature for each. The normal approximation is that of Laplace draws.

    Args:
        model: fitted; it is left as it is.
        history: what it was fitted to.
        experiments: what it was fitted to.

    Raises:
        ExperimentError: an experiment does not fit the models or the history.
    """
    units, evidence = prepared(model, history, experiments)
    if not len(evidence):
        return {}
    _, slopes = evidence.linearised([unit.flat for unit in units])
    prior = torch.zeros_like(evidence.covariance)
    for unit, slope in zip(units, slopes, strict=True):
        prior += slope @ precision_of(unit).solve(slope.mT)
    prior = (prior + prior.mT) / 2
    total = prior + evidence.covariance
    spreads = {}
    for place, experiment in enumerate(evidence.experiments):
        others = [i for i in range(len(evidence)) if i != place]
        # What the fit without it makes of the others' estimates; their errors count, not its own.
        weights = torch.linalg.solve(total[others][:, others], prior[others, place])
        effect = prior[place, place] - weights @ prior[others, place]
        shared = weights @ evidence.covariance[others, place]
        difference = effect + evidence.covariance[place, place] - 2 * shared
        spreads[experiment.name] = LeftOutSpread(
            float(effect.clamp(min=0.0).sqrt()), float(difference.clamp(min=0.0).sqrt())
        )
    return spreads
