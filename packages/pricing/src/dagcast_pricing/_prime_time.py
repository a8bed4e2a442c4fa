"""Prime time: the surcharge that balances demand and supply.

    prime_time = rise[region] * bend * softplus((market_load - threshold[region, hour]) / bend)

Below the threshold the surcharge vanishes smoothly; above it, it rises with ``market_load``, a
logarithm. ``threshold`` is a region's own plus a profile over the hours of the week.

Evidence: fitted to observed surcharges, each hour at the load that its sessions and driver hours
imply. The surcharge is set by a rule from the balance of the moment, so the history says how high
it is at which load. What a driver hour does to the load is the business of ``market_load``, which
experiments move.
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
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_pricing.contract import PRIME_TIME, PRIME_TIME_CONTRACT, REGION


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

    def forward(self, market_load: IndexTensor, hour_of_week: IndexTensor) -> IndexTensor:
        """Compute the surcharge as a share; dims (region, hour)."""
        tilt = self.tilt.value()
        threshold = (tilt - tilt.mean()).sel(hour_of_week=hour_of_week) + self.threshold
        bend = self.bend.value()
        above = ((market_load - threshold) / bend).softplus()
        return self.rise.at(market_load) * (bend * above)

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
        if "market_load" not in history:
            return
        observed = history["market_load"].detach()
        load = observed.values("region", "hour").numpy()
        if "sessions" in history:
            riders = (
                history["sessions"]
                .detach()
                .reindex(region=observed.index("region"), hour=observed.index("hour"))
            )
            # Hours without riders say nothing about a busy hour.
            load = np.where(riders.values("region", "hour").numpy() > 0, load, np.nan)
        known = np.flatnonzero(np.isfinite(load).any(axis=1))
        if not len(known):
            return
        usual = np.nanquantile(load[known], 0.75, axis=1)
        found = pd.Index(observed.index("region")[known]).get_indexer(
            self.threshold.indexes["region"]
        )
        self.threshold.assign(np.append(usual, usual.mean())[found])
