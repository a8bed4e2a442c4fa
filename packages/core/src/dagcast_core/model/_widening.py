"""How much less an experiment says about today than its standard error claims."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import pandas as pd

from dagcast_core.contract import Experiment
from dagcast_core.model._errors import ModelError


@final
@dataclass(frozen=True)
class WideningFactors:
    """What is added to an experiment's variance, in units of that variance.

    Attributes:
        recency: for its age at the end of the history.
        dose: for arms far from what is done today.
        duration: for a run too short to show weekly rhythm and habits.
        form: for what no parameters of the models could say exactly; learned from all experiments
            together, see `Widening.form`.
        doubt: for the chance that it did not measure what it says; likewise.
    """

    recency: float = 0.0
    dose: float = 0.0
    duration: float = 0.0
    form: float = 0.0
    doubt: float = 0.0

    @property
    def total(self) -> float:
        """Factor on the variance: 1 plus what is added."""
        return 1.0 + self.recency + self.dose + self.duration + self.form + self.doubt


@final
@dataclass(frozen=True)
class Widening:
    """How the variance of an experiment grows with age, distance of dose and brevity.

    Attributes:
        half_life: weeks after which an experiment alone says half as much: adds
            ``2^(age / half_life) - 1``.
        dose: adds ``dose * ln(treated / today)^2``.
        duration: adds ``duration * ln(full_duration / hours)`` where that is positive.
        full_duration: hours that an experiment needs to show a whole weekly rhythm.
        form: what is believed, before any experiment, of the share of an effect that the models'
            form misses even where they know everything: the median of a log-normal belief. How far
            experiments lie from what all others lead to expect corrects it (random effects; 0 takes
            it to be exactly none). Without it, one precise experiment is extrapolated as if the
            models were the truth.

    Source: the additive form ``1 + spend + recency + duration`` from Google Meridian, "Set custom
    ROI priors using past experiments"; the terms are ours, see docs/design/calibration.md.
    """

    half_life: float = 104.0
    dose: float = 0.05
    duration: float = 0.1
    full_duration: float = 168.0
    form: float = 0.07
    doubt: float = 0.001

    def __post_init__(self) -> None:
        negative = min(self.dose, self.duration, self.form, self.doubt) < 0
        if not self.half_life > 0 or negative or self.full_duration <= 0:
            raise ModelError(
                f"{self} must have a positive half_life and full_duration and no negative factor."
            )

    @classmethod
    def none(cls) -> Widening:
        """Take every standard error at its word."""
        return cls(half_life=math.inf, dose=0.0, duration=0.0, form=0.0, doubt=0.0)

    def factors(
        self, experiment: Experiment, now: pd.Timestamp, treated: float, today: float
    ) -> WideningFactors:
        """The factors for one experiment.

        Args:
            experiment: says when it ran.
            now: end of the history.
            treated: mean of the lever under treatment.
            today: mean of the lever in recent weeks; 0 or NaN if unknown.
        """
        if experiment.design == "prior":
            # A belief from the literature has neither a date nor a length.
            return WideningFactors()
        start, end = pd.Timestamp(experiment.cells.start), pd.Timestamp(experiment.cells.end)
        age = max((now - end) / pd.Timedelta(weeks=1), 0.0)
        hours = (end - start) / pd.Timedelta(hours=1) + 1
        dose = 0.0
        if treated > 0 and today > 0:
            dose = self.dose * math.log(treated / today) ** 2
        return WideningFactors(
            recency=2.0 ** (age / self.half_life) - 1.0,
            dose=dose,
            duration=self.duration * max(math.log(self.full_duration / hours), 0.0),
        )
