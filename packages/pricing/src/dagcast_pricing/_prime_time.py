"""Prime time: the surcharge that balances demand and supply.

    prime_time = rise[region] * bend * softplus((log load - threshold[region, hour]) / bend)
    load       = sessions / driver_hours

Below the threshold the surcharge vanishes smoothly; above it, it rises with the logarithm of the
load. ``threshold`` is a region's own plus a profile over the hours of the week.

Evidence: the surcharge is set by a rule from the balance of the moment, so its dependence on the
load is not confounded; only its mean over an hour is modelled.
Left out: the spread of the surcharge within the hour, and a cap on it.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import pandas as pd

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    SquaredError,
    align,
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_pricing.contract import PRIME_TIME, PRIME_TIME_CONTRACT, REGION

# Sessions and driver hours of an hour that is asleep; their ratio must stay defined.
_FLOOR = 0.05


@final
class PrimeTime(Model):
    """Predicts ``prime_time``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
    """

    contract = PRIME_TIME_CONTRACT

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        # Share per log load; log load; log load; log load.
        self.rise = self.parameter(REGION, labels=regions, start=0.5, transform="exp")
        self.threshold = self.parameter(REGION, labels=regions, start=1.3)
        self.tilt = self.parameter(HOUR_OF_WEEK, labels=range(168), start=0.0)
        self.bend = self.parameter(start=0.3, transform="exp")

    def forward(
        self, sessions: IndexTensor, driver_hours: IndexTensor, hour_of_week: IndexTensor
    ) -> IndexTensor:
        """Compute the surcharge as a share; dims (region, hour)."""
        load = (sessions.clamp(min=0.0) + _FLOOR).log() - (
            driver_hours.clamp(min=0.0) + _FLOOR
        ).log()
        tilt = self.tilt.value()
        threshold = (tilt - tilt.mean()).sel(hour_of_week=hour_of_week) + self.threshold
        bend = self.bend.value()
        return self.rise.at(load) * (bend * ((load - threshold) / bend).softplus())

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Absolute errors weighted by sessions: a surcharge that nobody saw costs nothing."""
        return (
            SquaredError(PRIME_TIME, weight=0.3, weights="sessions", half_life=1344.0),
            Ridge(self.rise, 0.5, weight=1.0, unconstrained=True),
            PartialPooling(self.rise, REGION, scale=0.3),
            PartialPooling(self.threshold, REGION, scale=0.3),
            Ridge(self.tilt, 0.0, weight=0.2**-2),
            Smoothness(self.tilt, HOUR_OF_WEEK, weight=0.05**-2, periodic=True),
            Ridge(self.bend, 0.3, weight=1.0, unconstrained=True),
        )

    def warm_start(self, history: Panel) -> None:
        """Start the threshold above the load of three hours in four."""
        if "sessions" not in history or "driver_hours" not in history:
            return
        sessions, hours = align(
            history["sessions"].detach(), history["driver_hours"].detach(), join="inner"
        )
        riders, supply = (x.values("region", "hour").numpy() for x in (sessions, hours))
        load = np.log((riders + _FLOOR) / (supply + _FLOOR))
        # Hours without riders say nothing about a busy hour.
        load = np.where(riders > 0, load, np.nan)
        known = np.flatnonzero(np.isfinite(load).any(axis=1))
        if not len(known):
            return
        usual = np.nanquantile(load[known], 0.75, axis=1)
        found = pd.Index(sessions.index("region")[known]).get_indexer(
            self.threshold.indexes["region"]
        )
        self.threshold.assign(np.append(usual, usual.mean())[found])
