"""Agreement with experiments, anchored at each model's own fit.

Minimised is the sum of the units' own losses and the experiments' misfit. Latent inputs of the own
losses are held (a *cut* posterior, as in Jacob et al. (2017), arXiv:1708.08719): confounded data
of one team cannot move another team's causal parameters, only an experiment can. The minimiser
starts from a Gauss-Newton curvature: the precision of each own fit, plus the experiments through
their derivatives, which are few. Where an experiment crosses teams, the model that is least
certain moves most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import Linearised, expectation, linearised
from dagcast_core.model._flat import FlatParameters, pieces
from dagcast_core.model._optimizer import Minimum, OptimizerSpec, minimise
from dagcast_core.model._precision import Precision
from dagcast_core.model._unit import Unit

# A curvature that is taken again where the first did not lead to the end.
_ATTEMPTS = 4
_SPEC = OptimizerSpec(max_iterations=40)


def fit_jointly(
    units: Sequence[Unit], precisions: Sequence[Precision], evidence: Evidence
) -> Minimum:
    """Minimise own losses plus the experiments' misfit; parameters are left at the minimum.

    How far the experiments scatter about the models is learned first, see `Evidence.settle`.

    Args:
        units: all units on a path, at their own fits.
        precisions: of their own fits.
        evidence: all experiments whose paths touch them.
    """
    flat = FlatParameters([parameter for unit in units for parameter in unit.flat.parameters])

    def objective() -> torch.Tensor:
        try:
            misfit = evidence.misfit()
        except ExperimentError:
            # A step so long that an effect is no number any more is a step too long.
            return torch.tensor(float("inf"), dtype=torch.float64)
        return misfit + sum((unit.loss() for unit in units), torch.zeros(()))

    # The effects at the start serve the settling and the first curvature: the parameters are those.
    around = linearised(units, precisions, evidence)
    evidence.settle(expectation(units, around))
    result: Minimum | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            around = linearised(units, precisions, evidence)
        covariance = posterior_covariance(precisions, evidence, around)
        found = minimise(objective, flat, _SPEC, covariance)
        result = (
            found
            if result is None
            else replace(
                found,
                loss_start=result.loss_start,
                iterations=result.iterations + found.iterations,
            )
        )
        if result.converged:
            break
    assert result is not None
    return result


def posterior_covariance(
    precisions: Sequence[Precision], evidence: Evidence, found: Linearised
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Covariance of all units' parameters given own data and experiments, times a vector.

    The Woodbury identity keeps the inverse in the space of the experiments.

    Args:
        precisions: of the units' own fits.
        evidence: the experiments.
        found: their effects, linearised where the curvature is wanted.
    """
    sizes = [precision.size for precision in precisions]
    innovation = evidence.covariance + found.spread
    gain = torch.cat(found.gains)  # (value, experiment)

    def times(vector: torch.Tensor) -> torch.Tensor:
        own = torch.cat(
            [
                precision.solve(part.unsqueeze(-1)).squeeze(-1)
                for precision, part in zip(precisions, pieces(vector, sizes), strict=True)
            ]
        )
        seen: torch.Tensor = torch.linalg.solve(innovation, gain.mT @ vector)
        return own - gain @ seen

    return times
