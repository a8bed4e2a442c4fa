"""Inference in the space of the experiments, where it has as many dimensions as there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch


@final
@dataclass(frozen=True)
class Expectation:
    """What models expect of experiments before these have been taken into account.

    Attributes:
        residuals: expected effect minus estimate; (experiment,).
        spread: covariance of the expected effects; (experiment, experiment).
    """

    residuals: torch.Tensor
    spread: torch.Tensor

    def after(self, covariance: torch.Tensor, seen: list[int] | None = None) -> torch.Tensor:
        """Residuals once experiments have been taken into account; (experiment,).

        Args:
            covariance: of the estimates' errors.
            seen: places of those taken into account; all by default.
        """
        places = list(range(len(self.residuals))) if seen is None else seen
        total = (self.spread + covariance)[places][:, places]
        weights: torch.Tensor = torch.linalg.solve(total, self.residuals[places])
        return self.residuals - self.spread[:, places] @ weights

    def foreseen(
        self, covariance: torch.Tensor, places: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What all other experiments leave open about some; their residuals, and the covariance.

        Args:
            covariance: of the estimates' errors; those of ``places`` share none with the others.
                (..., experiment, experiment), and so the results.
            places: of the experiments that are foreseen.
        """
        others = [i for i in range(len(self.residuals)) if i not in places]
        inside = self.spread[places][:, places]
        if not others:
            many = covariance.shape[:-2]
            return self.residuals[places].expand(*many, -1), inside.expand(*many, -1, -1)
        across = self.spread[others][:, places]
        total = (self.spread + covariance)[..., others, :][..., others]
        weights = torch.linalg.solve(total, across)
        return (
            self.residuals[places] - weights.mT @ self.residuals[others],
            inside - weights.mT @ across,
        )


def uncoupled(expected: Expectation, covariance: torch.Tensor, halvings: int = 4) -> torch.Tensor:
    """Factors on each experiment's correlations so that none is pushed away from its own estimate.

    What is asked: the effect modelled with an experiment lies nearer to its estimate, in the
    direction of it, than the effect modelled without. Correlated errors can break that: an
    estimate whose error is believed to follow another's is corrected before it counts. The
    correlations of an experiment for which it does not hold are halved, in the end dropped;
    without correlations it always holds.

    Returns:
        (experiment,) factors from 0 to 1; the correlation of a pair is multiplied by both.
    """
    count = len(expected.residuals)
    factors = torch.ones(count, dtype=torch.float64)
    coupled = (covariance - torch.diag(covariance.diagonal())).abs().sum(dim=1) > 0
    if not bool(coupled.any()):
        return factors
    left = [halvings if here else -1 for here in coupled.tolist()]
    # One experiment's correlations are another's too: whoever was right is asked again.
    while True:
        kept = with_factors(covariance, factors)
        together = expected.after(kept)
        wrong = []
        for place in range(count):
            if not float(factors[place]) or left[place] < 0:
                continue
            without = expected.after(kept, [i for i in range(count) if i != place])[place]
            # The estimate lies at residual 0.
            moved = float(together[place] - without)
            if moved * float(without) > 1e-9 * float(covariance[place, place]):
                wrong.append(place)
        if not wrong:
            return factors
        for place in wrong:
            factors[place] = factors[place] / 2 if left[place] else 0.0
            left[place] -= 1


def with_factors(covariance: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply each correlation by the factors of its pair; variances stay."""
    pairs = factors.unsqueeze(0) * factors.unsqueeze(1)
    return covariance * pairs.fill_diagonal_(1.0)
