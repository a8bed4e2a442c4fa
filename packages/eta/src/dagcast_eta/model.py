"""Pickup ETA from idle drivers, idle drivers from the driver-hours identity.

    driver_hours = idle + served * (pickup + trip)                every hour is spent somewhere
    pickup       = slow * usual * (fixed + (1 - fixed) * (idle / usual_idle) ** -exponent)
    eta          = pickup * (1 + queue * (rides / served - 1))
    rides        = share * sessions,  trip = slow * trip_time,  slow = exp(traffic[hour_of_week])

``usual[region]`` is the pickup at the region's usual idle hours, of which the part ``fixed`` does
not depend on how many drivers are idle. ``share[region]`` is the part of sessions that ride at the
usual price and ETA; rides themselves depend on ETA, and a loop within the hour is no DAG.
``served`` is ``rides``, bent smoothly below the most that the driver hours can serve, where the
identity loses its solution (the wild-goose chase); riders beyond it queue, which lengthens the ETA.

The elasticity of the pickup to driver hours is not a constant: with ``near`` the part of the pickup
that depends on idle drivers, ``d ln near / d ln driver_hours`` is
``-exponent * (driver_hours / idle) / (1 - exponent * served * near / idle)`` in slack hours, and
steepens as idle hours run out.

Evidence: the identity is bookkeeping; an exponent near 1/2 follows from geometry (the distance to
the nearest of n uniform points falls as n ** -1/2) and is moved by experiments on driver hours.
Left out: prime time calming the hour it occurs in, and idle drivers lent by a neighbouring region.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dagcast_core import (
    IndexTensor,
    Interval,
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
from dagcast_core.dims import HOUR_OF_WEEK, REGION
from dagcast_eta._identity import idle_hours, most_rides, served_rides
from dagcast_eta.contract import ETA, ETA_CONTRACT

_MINUTES = 60.0
# Rides and driver hours per hour of a region asleep; they keep the identity defined at 0.
_ASLEEP = 0.05
# Rides per session where no history says better.
_SHARE = 0.6


@dataclass(frozen=True)
class EtaHyperparameters:
    """Priors of the model; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        independence: weight of an hour; below 1 because neighbouring hours share their errors.
        exponent: of idle drivers in pickup time.
        exponent_spread: uncertainty of it.
        fixed: share of the usual pickup that no idle driver shortens.
        fixed_spread: uncertainty of it.
        trip_time: minutes of a mean trip.
        region_spread: how far regions differ in exponent.
        traffic_spread: usual size of the traffic profile, in logs.
        roughness: usual step of the traffic profile from one hour to the next, in logs.
    """

    half_life: float = field(default=1344.0, metadata={"range": (336.0, 4032.0), "unit": "h"})
    independence: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})
    exponent: float = field(default=0.5, metadata={"range": (0.3, 0.7), "unit": "1"})
    exponent_spread: float = field(default=0.1, metadata={"range": (0.02, 0.3), "unit": "1"})
    fixed: float = field(default=0.25, metadata={"range": (0.05, 0.6), "unit": "1"})
    fixed_spread: float = field(default=0.1, metadata={"range": (0.02, 0.3), "unit": "1"})
    trip_time: float = field(default=15.0, metadata={"range": (5.0, 40.0), "unit": "min"})
    region_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})
    traffic_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})
    roughness: float = field(default=0.05, metadata={"range": (0.01, 0.5), "unit": "1"})


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
        self, regions: Sequence[str], hyperparameters: EtaHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Minutes; power of idle drivers; minutes.
        self.usual = self.parameter(REGION, labels=regions, start=5.0, transform="exp")
        self.exponent = self.parameter(
            REGION, labels=regions, start=hyperparameters.exponent, transform=Interval(0.1, 1.5)
        )
        self.trip_time = self.parameter(
            REGION, labels=regions, start=hyperparameters.trip_time, transform="exp"
        )
        # Share of the usual pickup; share by which eta lengthens per queueing rider; logs.
        self.fixed = self.parameter(start=hyperparameters.fixed, transform="sigmoid")
        self.queue = self.parameter(start=0.3, transform="exp")
        self.traffic = self.parameter(HOUR_OF_WEEK, labels=range(168), start=0.0)
        # Units of the form, read off the history, not fitted: idle driver-hour/h at which ``usual``
        # holds, and rides per session. Fitted, they would trade places with usual and trip_time.
        self._regions = pd.Index(list(regions))
        self.usual_idle: torch.Tensor
        self.share: torch.Tensor
        ones = torch.ones(len(self._regions), dtype=torch.float64)
        self.register_buffer("usual_idle", 10.0 * ones)
        self.register_buffer("share", _SHARE * ones)

    def forward(
        self, sessions: IndexTensor, driver_hours: IndexTensor, hour_of_week: IndexTensor
    ) -> IndexTensor:
        """Compute minutes; dims (region, hour)."""
        traffic = self.traffic.value()
        slow = (traffic - traffic.mean()).sel(hour_of_week=hour_of_week).exp()
        rides = self._of_region(self.share, sessions) * sessions.clamp(min=0.0) + _ASLEEP
        usual, power = self.usual.at(rides), self.exponent.at(rides)
        fixed = self.fixed.value()
        always = slow * (usual * fixed)
        trip = (slow * self.trip_time.at(rides) + always) / _MINUTES
        # Hours at one idle driver.
        alone = usual * (1.0 - fixed) * self._of_region(self.usual_idle, rides) ** power
        near = slow * (alone / _MINUTES)
        supply = driver_hours.clamp(min=0.0) + _ASLEEP
        supply, rides, trip, near = align(supply, rides, trip, near)
        pickup, queued = _solve(supply, rides, trip, near, self.exponent.at(supply))
        return (always + _MINUTES * pickup) * (1.0 + self.queue.value() * queued)

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
            PartialPooling(self.usual, REGION, scale=0.5),
            Ridge(self.fixed, prior.fixed, weight=prior.fixed_spread**-2),
            Ridge(self.trip_time, prior.trip_time, weight=0.3**-2, unconstrained=True),
            PartialPooling(self.trip_time, REGION, scale=prior.region_spread),
            Ridge(self.queue, 0.3, weight=0.7**-2, unconstrained=True),
            Ridge(self.traffic, toward=0.0, weight=prior.traffic_spread**-2),
            Smoothness(self.traffic, HOUR_OF_WEEK, weight=prior.roughness**-2, periodic=True),
        )

    def optimizer(self) -> OptimizerSpec:
        """A twentieth of a nat is far below what the data say about any parameter."""
        return OptimizerSpec(tolerance=0.05)

    def warm_start(self, history: Panel) -> None:
        """Read usual idle hours, the pickup there and the share of rides off the history."""
        names = ("eta", "sessions", "driver_hours")
        if not all(name in history for name in names):
            return
        if "rides" in history:
            self._take_share(history["rides"].detach(), history["sessions"].detach())
        eta, sessions, hours = align(*(history[name].detach() for name in names), join="inner")
        minutes, supply = (x.values("region", "hour").numpy() for x in (eta, hours))
        wanted = (self._of_region(self.share, sessions) * sessions).values("region", "hour").numpy()
        prior = self.hyperparameters
        # In tight hours the idle drivers implied by a guessed trip time can be negative.
        idle = np.maximum(supply - wanted * (minutes + prior.trip_time) / _MINUTES, 0.1 * supply)
        usable = np.isfinite(minutes + idle) & (minutes > 0) & (wanted > 0) & (idle > 0)
        known = np.flatnonzero(usable.any(axis=1))
        if not len(known):
            return
        idle = np.where(usable, idle, np.nan)[known]
        middle = np.nanmedian(idle, axis=1)
        falling = (idle / middle[:, None]) ** -prior.exponent
        pickup = minutes[known] / (prior.fixed + (1 - prior.fixed) * falling)
        regions = eta.index("region")[known]
        self.usual_idle.copy_(self._padded(middle, regions))
        self.usual.assign(self._padded(np.nanmedian(pickup, axis=1), regions))

    def _take_share(self, rides: IndexTensor, sessions: IndexTensor) -> None:
        rides, sessions = align(rides, sessions, join="inner")
        ridden, seen = (x.sum("hour", skipna=True).values("region") for x in (rides, sessions))
        share = (ridden / seen).clamp(0.05, 0.95).numpy()
        known = np.flatnonzero(np.isfinite(share))
        if len(known):
            self.share.copy_(self._padded(share[known], rides.index("region")[known]))

    def _padded(self, values: NDArray[np.float64], regions: pd.Index) -> torch.Tensor:
        """Values on the model's own regions; one without history gets the geometric mean."""
        # Position -1, a region that is not there, is the mean at the end.
        padded = np.append(values, np.exp(np.log(values).mean()))
        return torch.tensor(padded[regions.get_indexer(self._regions)])

    def _of_region(self, values: torch.Tensor, like: IndexTensor) -> IndexTensor:
        """A value per own region on the regions of ``like``; a new one gets the geometric mean."""
        index = like.index("region")
        found = torch.as_tensor(self._regions.get_indexer(index))
        padded = torch.cat([values, values.log().mean().exp().unsqueeze(0)])
        return IndexTensor(padded[found], {"region": index})


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
