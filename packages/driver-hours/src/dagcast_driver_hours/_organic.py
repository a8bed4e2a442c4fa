"""Driver hours per region and hour: organic by calendar and earnings, plus what bonuses gain.

    organic_driver_hours = earnings_pull
                           * exp(level[region] + trend[region] * weeks + season[region, hour])
    driver_hours         = organic_driver_hours + gained_driver_hours, never below 0

``season`` is a profile over the local hours of the week, on holidays drawn towards the same hour of
a Sunday. ``weeks`` counts from the end of the history; after it the trend runs out.
``earnings_pull`` is 1 at usual earnings; see ``_earnings``.

Evidence: the organic part is fitted to observed hours less those gained by bonuses, as the
incentives team's model, calibrated by experiments, and `CrossingDrivers` say, each hour at the pull
of its earnings.
Left out: weather, and earnings of the same hour, which depend on its driver hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import pandas as pd
import torch

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    SquaredError,
    calendar_start,
    since_opening,
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_driver_hours.contract import DRIVER_HOURS, DRIVER_HOURS_CONTRACT, REGION

_HOUR = pd.Timedelta(hours=1)
_EPOCH = pd.Timestamp(0, tz="UTC")
_WEEK = 168
_SUNDAY = 144
# Width of the bend that keeps hours positive, as a share of the organic hours; it moves a usual
# value by a ten-thousandth.
_BEND = 0.02


@dataclass(frozen=True)
class DriverHoursHyperparameters:
    """Choices of the model; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        trend_horizon: weeks after which most of the trend has run out.
        trend_spread: weekly growth rates that are usual, 1/week.
        trend_apart: how far regions differ in them, 1/week.
        profile_spread: how far regions differ from the common profile, in logs.
        roughness: usual step of the profile from one hour to the next, in logs.
        independence: weight of an hour; below 1 because a shift spans several hours.
    """

    half_life: float = field(default=840.0, metadata={"range": (336.0, 2688.0), "unit": "h"})
    trend_horizon: float = field(default=2.0, metadata={"range": (0.5, 8.0), "unit": "week"})
    trend_spread: float = field(default=0.06, metadata={"range": (0.01, 0.3), "unit": "1/week"})
    trend_apart: float = field(default=0.01, metadata={"range": (0.002, 0.1), "unit": "1/week"})
    profile_spread: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})
    roughness: float = field(default=0.5, metadata={"range": (0.1, 2.0), "unit": "1"})
    independence: float = field(default=0.25, metadata={"range": (0.05, 1.0), "unit": "1"})


_DEFAULT = DriverHoursHyperparameters()


@final
class DriverHours(Model):
    """Predicts ``organic_driver_hours`` and ``driver_hours``; see the module docstring.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: choices of the form and of its priors.
    """

    contract = DRIVER_HOURS_CONTRACT
    sums = ("driver_hours",)

    def __init__(
        self,
        regions: Sequence[str],
        hyperparameters: DriverHoursHyperparameters = _DEFAULT,
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        by_hour = {"region": regions, "hour_of_week": range(_WEEK)}
        # Logs of driver-hour/h; 1/week; logs.
        self.level = self.parameter(REGION, labels=regions, start=3.0)
        self.trend = self.parameter(REGION, labels=regions, start=0.0)
        self.profile = self.parameter(REGION, HOUR_OF_WEEK, labels=by_hour, start=0.0)
        # Shift of a holiday in logs, and how far its profile is a Sunday's, 0 to 1.
        self.holiday_shift = self.parameter(REGION, labels=regions, start=-0.1)
        self.holiday_sunday = self.parameter(start=0.5, transform="sigmoid")
        # End of the history in hours since 1970; weeks are counted from it.
        self.anchor: torch.Tensor
        self.register_buffer("anchor", torch.zeros((), dtype=torch.float64))

    def forward(
        self,
        hour_of_week: IndexTensor,
        holiday: IndexTensor,
        earnings_pull: IndexTensor,
        gained_driver_hours: IndexTensor,
    ) -> Mapping[str, IndexTensor]:
        """Compute driver-hour/h; dims (region, hour)."""
        usual = self.profile.sel(hour_of_week=hour_of_week)
        sunday = self.profile.sel(hour_of_week=hour_of_week % 24 + _SUNDAY)
        drawn = holiday * (self.holiday_sunday.value() * (sunday - usual))
        # Centred, so that the level means the same whatever the profile is.
        centre = self.profile.at(hour_of_week).mean("hour_of_week")
        season = usual - centre + drawn + self.holiday_shift * holiday
        trend = self.trend.at(season) * self._weeks(season)
        organic = earnings_pull.clamp(min=0.0) * (season + self.level.at(season) + trend).exp()
        total = organic + gained_driver_hours
        # A hyperbola instead of a corner at 0: hours moved away can never exceed the hours there.
        positive = 0.5 * (total + (total.square() + (_BEND * organic).square()).sqrt())
        return {"organic_driver_hours": organic, "driver_hours": positive}

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Errors of log hours: shocks are shares, and hours are far smoother than counts.

        Hours that bonuses gain are held at their prediction.
        """
        chosen = self.hyperparameters
        return (
            SquaredError(
                DRIVER_HOURS,
                log=True,
                weight=chosen.independence,
                half_life=chosen.half_life,
                weights=_since_opening,
            ),
            PartialPooling(self.level, REGION, scale=1.5),
            Ridge(self.trend, toward=0.0, weight=chosen.trend_spread**-2),
            PartialPooling(self.trend, REGION, scale=chosen.trend_apart),
            PartialPooling(self.profile, REGION, scale=chosen.profile_spread),
            Smoothness(self.profile, HOUR_OF_WEEK, weight=chosen.roughness**-2, periodic=True),
            Ridge(self.profile, toward=0.0, weight=0.01),
            Ridge(self.holiday_shift, toward=-0.1, weight=0.3**-2),
            PartialPooling(self.holiday_shift, REGION, scale=0.1),
            Ridge(self.holiday_sunday, toward=0.5, weight=0.3**-2),
        )

    def warm_start(self, history: Panel) -> None:
        """Start from weighted means by region and hour of week of the observed hours."""
        if "driver_hours" not in history or "hour_of_week" not in history:
            return
        observed = history["driver_hours"]
        self.anchor.fill_((max(observed.index("hour")) - _EPOCH) / _HOUR)
        if "gained_driver_hours" in history:
            gained = history["gained_driver_hours"].detach()
            observed = (observed - gained).maximum(0.1 * observed)
        if "earnings_pull" in history:
            observed = observed / history["earnings_pull"].detach()
        start = calendar_start(
            observed, history["hour_of_week"], half_life=self.hyperparameters.half_life
        )
        start.assign(self.level, self.trend, self.profile)

    def _weeks(self, like: IndexTensor) -> IndexTensor:
        index = pd.DatetimeIndex(like.index("hour"))
        hours = torch.tensor(((index - _EPOCH) / _HOUR).to_numpy(dtype="float64"))
        weeks = (hours - self.anchor) / _WEEK
        horizon = self.hyperparameters.trend_horizon
        after = weeks.clamp(min=0.0)
        weeks = weeks.clamp(max=0.0) + horizon * -torch.expm1(-after / horizon)
        return IndexTensor(weeks, {"hour": index}, "weeks")


def _since_opening(history: Panel) -> IndexTensor:
    return since_opening(history["driver_hours"])


__all__ = ["DriverHours", "DriverHoursHyperparameters"]
