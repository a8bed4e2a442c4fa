"""Pickup ETA: what is usual at the hour, stretched by the balance of riders and drivers.

    eta = usual[region] * exp(traffic[hour_of_week]) * pickup_stretch

Evidence: fitted to observed ETAs, each hour at the stretch that its sessions and driver hours
imply. The history moves what is usual and nothing else; what a driver hour does is the stretch's
business, which experiments move. ``learn_stretch`` lets the history move it as well: for a place
whose drivers do not answer to waits, and where no experiment was run.
Left out: the spread of ETA within an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    OptimizerSpec,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    SquaredError,
    align,
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_eta.contract import ETA, ETA_CONTRACT, REGION


@dataclass(frozen=True)
class EtaHyperparameters:
    """Choices of the level; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        independence: weight of an hour; below 1 because neighbouring hours share their errors.
        traffic_spread: usual size of the profile over the week, in logs.
        roughness: usual step of the profile from one hour to the next, in logs.
    """

    half_life: float = field(default=1344.0, metadata={"range": (336.0, 4032.0), "unit": "h"})
    independence: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})
    traffic_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})
    roughness: float = field(default=0.05, metadata={"range": (0.01, 0.5), "unit": "1"})


_DEFAULT = EtaHyperparameters()


@final
class StretchedEta(Model):
    """Predicts ``eta``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: choices and priors.
        learn_stretch: whether fitness to history also moves the models that make the stretch.
    """

    contract = ETA_CONTRACT

    def __init__(
        self,
        regions: Sequence[str],
        hyperparameters: EtaHyperparameters = _DEFAULT,
        *,
        learn_stretch: bool = False,
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        self.learn_stretch = learn_stretch
        # Minutes; logs.
        self.usual = self.parameter(REGION, labels=regions, start=5.0, transform="exp")
        self.traffic = self.parameter(HOUR_OF_WEEK, labels=range(168), start=0.0)

    def forward(self, pickup_stretch: IndexTensor, hour_of_week: IndexTensor) -> IndexTensor:
        """Compute minutes; dims (region, hour)."""
        traffic = self.traffic.value()
        slow = (traffic - traffic.mean()).sel(hour_of_week=hour_of_week).exp()
        return self.usual.at(pickup_stretch) * (slow * pickup_stretch)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Errors of log ETA, weighted by sessions: at night an ETA is a few noisy quotes."""
        prior = self.hyperparameters
        return (
            SquaredError(
                ETA,
                log=True,
                weight=prior.independence,
                weights="sessions",
                half_life=prior.half_life,
                through=("pickup_stretch",) if self.learn_stretch else (),
            ),
            PartialPooling(self.usual, REGION, scale=0.5),
            Ridge(self.traffic, toward=0.0, weight=prior.traffic_spread**-2),
            Smoothness(self.traffic, HOUR_OF_WEEK, weight=prior.roughness**-2, periodic=True),
        )

    def optimizer(self) -> OptimizerSpec:
        """A twentieth of a nat is far below what the data say about any parameter."""
        return OptimizerSpec(tolerance=0.05)

    def warm_start(self, history: Panel) -> None:
        """Start the usual ETA at the median of what was observed, less the stretch."""
        if "eta" not in history or "pickup_stretch" not in history:
            return
        eta, stretch = align(
            history["eta"].detach(), history["pickup_stretch"].detach(), join="inner"
        )
        minutes = (eta / stretch).values("region", "hour").numpy()
        known = np.flatnonzero(np.isfinite(minutes).any(axis=1))
        if not len(known):
            return
        middle = np.nanmedian(minutes[known], axis=1)
        found = eta.index("region")[known].get_indexer(pd.Index(self.usual.indexes["region"]))
        # Position -1, a region without history, is the mean at the end.
        self.usual.assign(np.append(middle, np.exp(np.log(middle).mean()))[found])


__all__ = ["EtaHyperparameters", "StretchedEta"]
