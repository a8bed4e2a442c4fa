"""Pickup ETA from idle drivers, idle drivers from the driver-hours identity.

    driver_hours = idle + served * (pickup + trip)                every hour is spent somewhere
    pickup       = access + slow * scale * idle ** -exponent      the nearest idle driver
    eta          = pickup * (1 + queue * (rides / served - 1))
    rides        = usual * sessions,  trip = slow * trip_time,  slow = exp(traffic[hour_of_week])

``usual[region]`` is the share of sessions that ride at the usual price and ETA; rides themselves
depend on ETA, and a loop within the hour is no DAG. ``served`` is ``rides``, bent smoothly below
the most that the driver hours can serve, where the identity loses its solution (the wild-goose
chase); the riders beyond it queue, which lengthens the ETA.

The elasticity of the pickup to driver hours is not a constant: it is
``-exponent * (driver_hours / idle) / (1 - exponent * served * pickup / idle)`` in slack hours, and
steepens as idle hours run out.

Evidence: the identity is bookkeeping; an exponent near 1/2 follows from geometry (the distance to
the nearest of n uniform points falls as n ** -1/2) and is moved by experiments on driver hours.
Left out: prime time calming the hour it occurs in, and idle drivers lent by a neighbouring region.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd
import torch

from dagcast_core import (
    IndexTensor,
    Interval,
    LossTerm,
    Model,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    SquaredError,
    align,
)
from dagcast_core.dims import HOUR_OF_WEEK, REGION
from dagcast_eta._identity import idle_hours, most_rides, served_rides
from dagcast_eta.contract import ETA, ETA_CONTRACT

_MINUTES = 60.0
# Rides and driver hours per hour of a region asleep; they keep the identity defined at 0.
_ASLEEP = 0.05


@dataclass(frozen=True)
class EtaHyperparameters:
    """Priors of the model; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        independence: weight of an hour; below 1 because neighbouring hours share their errors.
        exponent: of idle drivers in pickup time.
        exponent_spread: uncertainty of it.
        trip_time: minutes of a mean trip.
        region_spread: how far regions differ in exponent.
        traffic_spread: usual size of the traffic profile, in logs.
    """

    half_life: float = field(default=1344.0, metadata={"range": (336.0, 4032.0), "unit": "h"})
    independence: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})
    exponent: float = field(default=0.5, metadata={"range": (0.3, 0.7), "unit": "1"})
    exponent_spread: float = field(default=0.1, metadata={"range": (0.02, 0.3), "unit": "1"})
    trip_time: float = field(default=15.0, metadata={"range": (5.0, 40.0), "unit": "min"})
    region_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})
    traffic_spread: float = field(default=0.2, metadata={"range": (0.02, 0.6), "unit": "1"})


_DEFAULT = EtaHyperparameters()


@final
class EtaFromIdleHours(Model):
    """Predicts ``eta``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: priors.
    """

    contract = ETA_CONTRACT

    def __init__(
        self, regions: tuple[str, ...], hyperparameters: EtaHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Minutes at one idle driver; power of idle drivers; minutes; minutes.
        self.scale = self.parameter(REGION, labels=regions, start=20.0, transform="exp")
        self.exponent = self.parameter(
            REGION, labels=regions, start=hyperparameters.exponent, transform=Interval(0.1, 1.5)
        )
        self.access = self.parameter(REGION, labels=regions, start=1.0, transform="exp")
        self.trip_time = self.parameter(
            REGION, labels=regions, start=hyperparameters.trip_time, transform="exp"
        )
        # Rides per session; share by which eta lengthens per queueing rider; logs.
        self.usual = self.parameter(REGION, labels=regions, start=0.6, transform="sigmoid")
        self.queue = self.parameter(start=0.3, transform="exp")
        self.traffic = self.parameter(HOUR_OF_WEEK, labels=range(168), start=0.0)

    def forward(
        self, sessions: IndexTensor, driver_hours: IndexTensor, hour_of_week: IndexTensor
    ) -> IndexTensor:
        """Compute minutes; dims (region, hour)."""
        traffic = self.traffic.value()
        slow = torch.exp((traffic - traffic.mean()).sel(hour_of_week=hour_of_week))
        rides = self.usual.at(sessions) * sessions.clamp(min=0.0) + _ASLEEP
        access = self.access.at(rides)
        trip = (slow * self.trip_time.at(rides) + access) / _MINUTES
        approach = slow * self.scale.at(rides) / _MINUTES
        supply = driver_hours.clamp(min=0.0) + _ASLEEP
        supply, rides, trip, approach = align(supply, rides, trip, approach)
        pickup, queued = _solve(supply, rides, trip, approach, self.exponent.at(supply))
        return (access + _MINUTES * pickup) * (1.0 + self.queue.value() * queued)

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
            ),
            Ridge(self.exponent, prior.exponent, weight=prior.exponent_spread**-2),
            PartialPooling(self.exponent, REGION, scale=prior.region_spread),
            PartialPooling(self.scale, REGION, scale=1.0),
            Ridge(self.access, 1.0, weight=0.5**-2, unconstrained=True),
            PartialPooling(self.access, REGION, scale=prior.region_spread),
            Ridge(self.trip_time, prior.trip_time, weight=0.3**-2, unconstrained=True),
            PartialPooling(self.trip_time, REGION, scale=prior.region_spread),
            Ridge(self.usual, toward=0.6, weight=0.1**-2),
            PartialPooling(self.usual, REGION, scale=prior.region_spread),
            Ridge(self.queue, 0.3, weight=0.7**-2, unconstrained=True),
            Ridge(self.traffic, toward=0.0, weight=prior.traffic_spread**-2),
            Smoothness(self.traffic, HOUR_OF_WEEK, weight=0.05**-2, periodic=True),
        )

    def warm_start(self, history: Panel) -> None:
        """Start each region's scale where the identity meets its median ETA."""
        names = ("eta", "sessions", "driver_hours")
        if not all(name in history for name in names):
            return
        eta, sessions, hours = align(*(history[name].detach() for name in names), join="inner")
        region = eta.index("region")
        eta_min, q, supply = (
            tensor.values("region", "hour").numpy() for tensor in (eta, sessions, hours)
        )
        rides = self.usual.at(sessions).values("region").detach().numpy()[:, None] * q
        trip = self.trip_time.at(sessions).values("region").detach().numpy()[:, None]
        power = self.exponent.at(sessions).values("region").detach().numpy()[:, None]
        access = self.access.at(sessions).values("region").detach().numpy()[:, None]
        idle = supply - rides * (eta_min + trip) / _MINUTES
        usable = np.isfinite(eta_min + idle) & (eta_min > 0) & (q > 0)
        # In tight hours the idle drivers implied by a guessed trip time can be negative.
        idle = np.maximum(idle, 0.05 * supply)
        scale = np.where(usable, np.maximum(eta_min - access, 0.2) * idle**power, np.nan)
        known = usable.any(axis=1)
        if not known.any():
            return
        middle = np.nanmedian(scale[known], axis=1)
        found = pd.Index(region[known]).get_indexer(self.scale.indexes["region"])
        self.scale.assign(np.append(middle, np.exp(np.log(middle).mean()))[found])


def _solve(
    supply: IndexTensor,
    rides: IndexTensor,
    trip: IndexTensor,
    scale: IndexTensor,
    exponent: IndexTensor,
) -> tuple[IndexTensor, IndexTensor]:
    """Pickup in hours, and riders queueing per ride served; the solver steps on raw tensors."""
    order = supply.dims
    power = exponent.values("region").unsqueeze(order.index("hour"))
    wanted, around, near = (tensor.values(*order) for tensor in (rides, trip, scale))
    served = served_rides(wanted, most_rides(supply.tensor, around, near, power))
    idle = idle_hours(supply.tensor - served * around, served, near, power)
    return supply.with_tensor(near * idle**-power), supply.with_tensor(wanted / served - 1)


__all__ = ["EtaFromIdleHours", "EtaHyperparameters"]
