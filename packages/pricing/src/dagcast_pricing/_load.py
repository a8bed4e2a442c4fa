"""The load of the market: sessions per driver hour, and what a further driver hour relieves.

    market_load = log(sessions / usual) - relief * log(driver_hours / usual)

``usual`` are the driver hours of the region at that hour of the week, read off the history. There,
and wherever ``relief`` is 1, the load is the logarithm of sessions per driver hour.

Evidence: experiments on driver hours. The history understates what a driver hour relieves: drivers
come where surcharges and waits are high for reasons that nobody records, so that hours with more
drivers than usual are hours in which each session weighs more. On simulated markets a surcharge
fitted to history answers driver hours a fifth too little, as the ETA does. ``relief`` is therefore
moved by experiments and its prior only, never by the fit to surcharges.
Left out: what busy drivers do to those who are idle beyond the mean load of the hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd
import torch

from dagcast_core import IndexTensor, LossTerm, Model, Panel, Ridge, calendar_start
from dagcast_pricing.contract import LOAD_CONTRACT

# Sessions and driver hours of an hour that is asleep; their ratio must stay defined.
_FLOOR = 0.05
# Driver-hour/h where no history says better.
_USUAL = 20.0
_WEEK = 168
# Hours after which an hour of history counts half.
_HALF_LIFE = 1344.0


@dataclass(frozen=True)
class LoadHyperparameters:
    """Priors of the load; ``range`` is where a search may look.

    Args:
        relief: log load that a log of driver hours takes away.
        relief_spread: uncertainty of it, in logs.
    """

    relief: float = field(default=1.2, metadata={"range": (0.5, 2.0), "unit": "1"})
    relief_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})


_DEFAULT = LoadHyperparameters()


@final
class MarketLoad(Model):
    """Predicts ``market_load``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: priors.
    """

    contract = LOAD_CONTRACT

    def __init__(
        self, regions: Sequence[str], hyperparameters: LoadHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Log load per log of driver hours.
        self.relief = self.parameter(start=hyperparameters.relief, transform="exp")
        # Log driver-hour/h, read off the history and not learned; (region, hour_of_week).
        self._regions = pd.Index(list(regions))
        self.usual: torch.Tensor
        logs = torch.full((len(self._regions), _WEEK), np.log(_USUAL), dtype=torch.float64)
        self.register_buffer("usual", logs)

    def forward(
        self, sessions: IndexTensor, driver_hours: IndexTensor, hour_of_week: IndexTensor
    ) -> IndexTensor:
        """Compute the load, a logarithm; dims (region, hour)."""
        riders = (sessions.clamp(min=0.0) + _FLOOR).log()
        hours = (driver_hours.clamp(min=0.0) + _FLOOR).log()
        usual = self._usual(hour_of_week)
        return (riders - usual) - self.relief.value() * (hours - usual)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """The prior; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        spread = prior.relief_spread**-2
        return (Ridge(self.relief, prior.relief, spread, unconstrained=True),)

    def warm_start(self, history: Panel) -> None:
        """Read the usual driver hours off the history."""
        if "driver_hours" not in history or "hour_of_week" not in history:
            return
        hours = history["driver_hours"].detach()
        found = calendar_start(hours, history["hour_of_week"], half_life=_HALF_LIFE)
        if not len(found.labels):
            return
        usual = found.level[:, None] + found.profile
        # Position -1, a region without history, is the mean at the end.
        padded = np.vstack([usual, usual.mean(axis=0)])
        self.usual.copy_(torch.as_tensor(padded[found.labels.get_indexer(self._regions)]))

    def _usual(self, hour_of_week: IndexTensor) -> IndexTensor:
        """Usual driver hours, a logarithm; a new region gets the mean over the others."""
        index = hour_of_week.index("region")
        found = torch.as_tensor(self._regions.get_indexer(index))
        padded = torch.cat([self.usual, self.usual.mean(dim=0, keepdim=True)])[found]
        usual = IndexTensor(padded, {"region": index, "hour_of_week": range(_WEEK)})
        return usual.sel(hour_of_week=hour_of_week)


__all__ = ["LoadHyperparameters", "MarketLoad"]
