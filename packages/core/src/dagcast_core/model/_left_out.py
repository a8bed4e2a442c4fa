"""What models would expect of an experiment if they did not know it, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, final

import torch

from dagcast_core.model._certainty import Certainty, certainties
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import Linearised, expectation, linearised
from dagcast_core.model._precision import Precision
from dagcast_core.model._student import UNLIKELY, Deviation
from dagcast_core.model._unit import Unit

# Moves below this many standard deviations are not worth a word.
_SEEN = 0.1
# Chance from which an experiment is said to be taken for a mistake.
_MISTAKEN = 0.5

Verdict: TypeAlias = Literal["agrees", "contradicts", "says little"]
"""What an experiment says of what everything else leads to expect of it."""


@final
@dataclass(frozen=True)
class LeftOut:
    """One experiment, and models that know own data, priors and all other experiments.

    Attributes:
        experiment: name.
        estimate: as measured.
        effect: expected without it, in the form of the experiment's scale.
        spread: standard deviation of that expectation.
        deviation: how expectation and estimate may differ by chance; the estimate's error, widened,
            is in it, and so is what it shares with the errors of the others.
        doubt: how likely the experiment did not measure what it says, see `Widening.doubt`.
        moved: by name of the models that are fitted together, how far the experiment moved their
            parameters, at most, in standard deviations of their own fits; filled in where it
            contradicts.
        certainty: where what is known of the effect, with the experiment, comes from; None where
            no parameter moves it.
    """

    experiment: str
    estimate: float
    effect: float
    spread: float
    deviation: Deviation
    doubt: float = 0.0
    moved: Mapping[str, float] = field(default_factory=dict)
    certainty: Certainty | None = None

    @property
    def difference(self) -> float:
        """Standard deviation of expectation minus estimate, error taken at its word."""
        return math.sqrt(self.deviation.error + self.deviation.known)

    @property
    def z(self) -> float:
        """Expected minus measured in standard errors; the normal deviate that is as unlikely."""
        return self.deviation.z(self.effect - self.estimate)

    @property
    def verdict(self) -> Verdict:
        """Whether expectation and measurement go together.

        ``contradicts``: more than 1.96 standard errors apart. ``says little``: not so, but an
        estimate of no effect, or of twice the expected one, would not have contradicted either.
        """
        if abs(self.z) > UNLIKELY:
            return "contradicts"
        return "says little" if self.deviation.reach > abs(self.effect) else "agrees"

    def __str__(self) -> str:
        found = (
            f"{self.experiment} measured {self.estimate:.4g}; everything else leads to expect "
            f"{self.effect:.4g} (sd {self.spread:.2g}): "
        )
        if self.verdict != "contradicts":
            return f"{found}{abs(self.z):.1f} standard errors apart, it {self.verdict}."
        other = ", with the other sign" if self.estimate * self.effect < 0 else ""
        moved = ", ".join(f"{name} by {sd:.1f} sd" for name, sd in self.moved.items())
        mistaken = "The fit takes it for a mistake: it" if self.doubt > _MISTAKEN else "It"
        return (
            f"{found}{abs(self.z):.1f} standard errors apart{other}. {mistaken} "
            f"moved {moved or 'nothing'}. Find out whether the trial or the models are wrong."
        )


def left_out_of(
    units: Sequence[Unit], precisions: Sequence[Precision], evidence: Evidence
) -> dict[str, LeftOut]:
    """What is expected of every experiment with that experiment left out; by name.

    In closed form at the present parameters: one curvature serves all experiments, where refits
    would take a fit and a curvature for each. The normal approximation is that of Laplace draws.
    The evidence is settled by it.

    Args:
        units: with their inputs and targets, fitted.
        precisions: of their own losses.
        evidence: the experiments that they were fitted to.
    """
    if not len(evidence):
        return {}
    found = linearised(units, precisions, evidence)
    prior = found.spread
    evidence.settle(expectation(units, found))
    pulls = torch.linalg.solve(evidence.covariance, found.residuals)
    # Where own losses alone would be, in the quadratic world in which the fit is the minimum.
    expected = found.residuals + prior @ pulls
    together = torch.linalg.solve(prior + evidence.covariance, expected)
    results = {}
    certain = certainties(units, precisions, evidence, found)
    for place, experiment in enumerate(evidence.experiments):
        others = [i for i in range(len(evidence)) if i != place]
        total = (prior + evidence.covariance)[others][:, others]
        # What the fit without it makes of the others' estimates; their errors count, not its own.
        weights = torch.linalg.solve(total, prior[others, place])
        apart = float(expected[place] - weights @ expected[others])
        effect = float(prior[place, place] - weights @ prior[others, place])
        shared = float(weights @ evidence.covariance[others, place])
        result = LeftOut(
            experiment.name,
            experiment.estimate,
            experiment.estimate + apart,
            math.sqrt(max(effect, 0.0)),
            evidence.deviation(place, effect - 2.0 * shared),
            evidence.doubt(place),
            certainty=certain[place],
        )
        if result.verdict == "contradicts":
            without = torch.zeros_like(together)
            without[others] = torch.linalg.solve(total, expected[others])
            result = replace(result, moved=_moved(units, precisions, found, without - together))
        results[experiment.name] = result
    return results


def _moved(
    units: Sequence[Unit],
    precisions: Sequence[Precision],
    found: Linearised,
    weights: torch.Tensor,
) -> dict[str, float]:
    """Moves of the units' parameters by a change of the experiments' weights, those seen at all."""
    moves = {}
    for unit, precision, gain in zip(units, precisions, found.gains, strict=True):
        deviations = precision.variances().clamp(min=1e-300).sqrt()
        size = float((gain @ weights / deviations).abs().max()) if len(gain) else 0.0
        if size >= _SEEN:
            moves[unit.name] = size
    return dict(sorted(moves.items(), key=lambda item: -item[1]))
