"""Organic sessions: what riders do in usual weather and without coupons.

    organic = scale[region, hour] * (exp(season[region, hour]) + event[region] * local_event)
    scale   = exp(level[region] + trend[region] * weeks)
    season  = profile[region, hour_of_week], on holidays drawn towards the same hour of a Sunday

``weeks`` counts from the end of the history; after it the trend runs out, because a growth rate
seen over a few weeks says little about the months to come.

Evidence: none of these is a lever; they are fitted to observed sessions.
Left out: growth of the market by its own success, which this horizon does not need.
"""

from collections.abc import Sequence
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
    calendar_start,
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_sessions.contract import ORGANIC, REGION

_HOUR = pd.Timedelta(hours=1)
_EPOCH = pd.Timestamp(0, tz="UTC")
_WEEK = 168
_SUNDAY = 144


@dataclass(frozen=True)
class OrganicHyperparameters:
    """Choices of the organic part; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half; one number for level, trend
            and profile, so the level follows the last weeks.
        trend_horizon: weeks after which most of the trend has run out.
        trend_spread: weekly growth rates that are usual, 1/week.
        trend_apart: how far regions differ in them, 1/week.
        profile_spread: how far regions differ from the common profile, in logs.
        roughness: usual step of the profile from one hour to the next, in logs.
    """

    half_life: float = field(default=840.0, metadata={"range": (336.0, 2688.0), "unit": "h"})
    trend_horizon: float = field(default=2.0, metadata={"range": (0.5, 8.0), "unit": "week"})
    trend_spread: float = field(default=0.06, metadata={"range": (0.01, 0.3), "unit": "1/week"})
    trend_apart: float = field(default=0.01, metadata={"range": (0.002, 0.1), "unit": "1/week"})
    profile_spread: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})
    roughness: float = field(default=0.5, metadata={"range": (0.1, 2.0), "unit": "1"})


_DEFAULT = OrganicHyperparameters()


@final
class OrganicSessions(Model):
    """Predicts ``organic_sessions``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: choices of the form and of its priors.
    """

    contract = ORGANIC

    def __init__(
        self,
        regions: Sequence[str],
        hyperparameters: OrganicHyperparameters = _DEFAULT,
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        by_hour = {"region": regions, "hour_of_week": range(_WEEK)}
        # Logs of session/h; 1/week; logs.
        self.level = self.parameter(REGION, labels=regions, start=4.0)
        self.trend = self.parameter(REGION, labels=regions, start=0.0)
        self.profile = self.parameter(REGION, HOUR_OF_WEEK, labels=by_hour, start=0.0)
        # Shift of a holiday in logs, and how far its profile is a Sunday's, 0 to 1.
        self.holiday_shift = self.parameter(REGION, labels=regions, start=-0.1)
        self.holiday_sunday = self.parameter(start=0.5, transform="sigmoid")
        # Share of a typical hour that 10,000 visitors add.
        self.event = self.parameter(REGION, labels=regions, start=0.1, transform="softplus")
        # End of the history in hours since 1970; weeks are counted from it.
        self.anchor: torch.Tensor
        self.register_buffer("anchor", torch.zeros((), dtype=torch.float64))

    def forward(
        self, hour_of_week: IndexTensor, holiday: IndexTensor, local_event: IndexTensor
    ) -> IndexTensor:
        """Compute session/h from the calendar; dims (region, hour)."""
        usual = self.profile.sel(hour_of_week=hour_of_week)
        sunday = self.profile.sel(hour_of_week=hour_of_week % 24 + _SUNDAY)
        drawn = holiday * (self.holiday_sunday.value() * (sunday - usual))
        # Centred, so that the level means the same whatever the profile is.
        centre = self.profile.at(hour_of_week).mean("hour_of_week")
        season = usual - centre + drawn + self.holiday_shift * holiday
        scale = (self.level.at(season) + self.trend.at(season) * self._weeks(season)).exp()
        return scale * (season.exp() + self.event.at(season) * local_event)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; fitness to observed sessions is a term of the total."""
        chosen = self.hyperparameters
        return (
            PartialPooling(self.level, REGION, scale=1.5),
            Ridge(self.trend, toward=0.0, weight=chosen.trend_spread**-2),
            PartialPooling(self.trend, REGION, scale=chosen.trend_apart),
            PartialPooling(self.profile, REGION, scale=chosen.profile_spread),
            Smoothness(self.profile, HOUR_OF_WEEK, weight=chosen.roughness**-2, periodic=True),
            Ridge(self.profile, toward=0.0, weight=0.01),
            Ridge(self.holiday_shift, toward=-0.1, weight=0.3**-2),
            PartialPooling(self.holiday_shift, REGION, scale=0.1),
            Ridge(self.holiday_sunday, toward=0.5, weight=0.3**-2),
            Ridge(self.event, toward=0.1, weight=0.2**-2),
            PartialPooling(self.event, REGION, scale=0.5),
        )

    def warm_start(self, history: Panel) -> None:
        """Start from weighted means by region and hour of week of the observed sessions."""
        if "sessions" not in history or "hour_of_week" not in history:
            return
        sessions = history["sessions"]
        last = max(sessions.index("hour"))
        self.anchor.fill_((last - _EPOCH) / _HOUR)
        start = calendar_start(
            sessions, history["hour_of_week"], half_life=self.hyperparameters.half_life
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
