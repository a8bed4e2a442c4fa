"""By how much the balance of riders and drivers stretches the pickup, against the usual balance.

    driver_hours   = idle + served * (pickup + trip_time)            every hour is spent somewhere
    pickup         = usual_pickup * (fixed + (1 - fixed) * (idle / usual_idle) ** -exponent)
    rides          = share * sessions * exp(-calm * (pickup / usual_pickup - 1))
    pickup_stretch = pickup / usual_pickup * (1 + queue * (rides_at_once / served_at_once - 1))

``usual_pickup``, ``share`` (rides per session) and the usual sessions and driver hours, of which
``usual_idle`` follows, are read off each region's history and are units: at the usual balance the
stretch is 1. Riders answer to the pickup within the hour (``calm``, by leaving or by the surcharge
that comes with a long one), and the hours are balanced after they have: without that, a tight hour
looks far tighter than it gets. ``served`` is ``rides``, bent smoothly below the most that the
driver hours can serve, where the identity loses its solution (the wild-goose chase);
``rides_at_once``, those at the usual pickup, queue beyond it.

The elasticity to driver hours is not a constant: with ``near`` the part of the pickup that depends
on idle drivers, ``d ln near / d ln driver_hours`` is ``-exponent * (driver_hours / idle)`` over
``1 - exponent * rides * near / idle * (1 - calm * (pickup + trip_time) / usual_pickup)`` in slack
hours, and steepens as idle hours run out.

Evidence: the identity is bookkeeping; an exponent near 1/2 follows from geometry (the distance to
the nearest of n uniform points falls as n ** -1/2); trip times are on record in any marketplace;
``calm`` from the elasticity of rides to waiting and price. Experiments on driver hours move them
all. The history does not: drivers who are busy stay online and more of them come where waits are
long, so that hours with many drivers are hours with long waits, and a fit to history makes the
elasticity a fifth too small (``learn_stretch`` of the ETA model does it nevertheless, for places
where drivers do not answer).
Left out: idle drivers lent by a neighbouring region, and the spread of ETA within an hour.
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
    Panel,
    PartialPooling,
    Ridge,
    align,
)
from dagcast_eta._identity import cleared_idle, most_rides, served_rides
from dagcast_eta.contract import REGION, STRETCH_CONTRACT

_MINUTES = 60.0
# Rides and driver hours per hour of a region asleep; they keep the identity defined at 0.
_ASLEEP = 0.05
# Rides per session where no history says better.
_SHARE = 0.6
# Smallest share of the usual driver hours that is idle, however long trips are thought to be.
_LEAST_IDLE = 0.1


@dataclass(frozen=True)
class StretchHyperparameters:
    """Priors of the balance; ``range`` is where a search may look.

    Args:
        exponent: of idle drivers in pickup time.
        exponent_spread: uncertainty of it.
        fixed: share of the usual pickup that no idle driver shortens.
        fixed_spread: uncertainty of it.
        trip_time: minutes of a mean trip; read it off the trip records.
        trip_spread: uncertainty of it, in logs.
        calm: log rides lost if the pickup takes twice as long as usual.
        calm_spread: uncertainty of it, in logs.
        region_spread: how far regions differ in exponent, and in the log of trip time.
    """

    exponent: float = field(default=0.5, metadata={"range": (0.3, 0.7), "unit": "1"})
    exponent_spread: float = field(default=0.1, metadata={"range": (0.02, 0.3), "unit": "1"})
    fixed: float = field(default=0.25, metadata={"range": (0.05, 0.6), "unit": "1"})
    fixed_spread: float = field(default=0.1, metadata={"range": (0.02, 0.3), "unit": "1"})
    trip_time: float = field(default=15.0, metadata={"range": (5.0, 60.0), "unit": "min"})
    trip_spread: float = field(default=0.2, metadata={"range": (0.02, 1.0), "unit": "1"})
    calm: float = field(default=0.5, metadata={"range": (0.1, 1.5), "unit": "1"})
    calm_spread: float = field(default=0.4, metadata={"range": (0.1, 1.0), "unit": "1"})
    region_spread: float = field(default=0.1, metadata={"range": (0.02, 1.0), "unit": "1"})


_DEFAULT = StretchHyperparameters()


@final
class PickupStretch(Model):
    """Predicts ``pickup_stretch``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: priors.
    """

    contract = STRETCH_CONTRACT

    def __init__(
        self, regions: Sequence[str], hyperparameters: StretchHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Power of idle drivers; minutes.
        self.exponent = self.parameter(
            REGION, labels=regions, start=hyperparameters.exponent, transform=Interval(0.1, 1.5)
        )
        self.trip_time = self.parameter(
            REGION, labels=regions, start=hyperparameters.trip_time, transform="exp"
        )
        # Share of the usual pickup; log rides per usual pickup; stretch per queueing rider.
        self.fixed = self.parameter(start=hyperparameters.fixed, transform="sigmoid")
        self.calm = self.parameter(start=hyperparameters.calm, transform="exp")
        self.queue = self.parameter(start=0.3, transform="exp")
        # Units, read off the history: min, session/h, driver-hour/h, rides per session.
        self._regions = pd.Index(list(regions))
        self.usual_pickup: torch.Tensor
        self.usual_sessions: torch.Tensor
        self.usual_hours: torch.Tensor
        self.share: torch.Tensor
        ones = torch.ones(len(self._regions), dtype=torch.float64)
        self.register_buffer("usual_pickup", 5.0 * ones)
        self.register_buffer("usual_sessions", 50.0 * ones)
        self.register_buffer("usual_hours", 20.0 * ones)
        self.register_buffer("share", _SHARE * ones)

    def forward(self, sessions: IndexTensor, driver_hours: IndexTensor) -> IndexTensor:
        """Compute the stretch, 1 if usual; dims (region, hour)."""
        supply = driver_hours.clamp(min=0.0) + _ASLEEP
        share, usual = (self._of_region(x, supply) for x in (self.share, self.usual_pickup))
        riders = share * sessions.clamp(min=0.0) + _ASLEEP
        usual = usual / _MINUTES
        fixed, calm = self.fixed.value(), self.calm.value()
        power, carried = self.exponent.at(supply), self.trip_time.at(supply) / _MINUTES
        # Hours at one idle driver.
        near = usual * (1.0 - fixed) * self._usual_idle(share, usual + carried) ** power
        supply, riders = align(supply, riders)
        # Riders there would be if the part of the pickup that idle drivers shorten took no time.
        eager = riders * (calm * (1.0 - fixed)).exp()
        pickup, queued = _solve(
            supply, riders, eager, (usual * fixed + carried, near, power, calm / usual)
        )
        return (pickup / usual + fixed) * (1.0 + self.queue.value() * queued)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        return (
            # Regions share what is uncertain: a prior on each alone would sharpen their mean.
            Ridge(
                self.exponent,
                prior.exponent,
                weight=prior.exponent_spread**-2 / self.exponent.raw.numel(),
            ),
            PartialPooling(self.exponent, REGION, scale=prior.region_spread),
            Ridge(self.fixed, prior.fixed, weight=prior.fixed_spread**-2),
            Ridge(
                self.trip_time,
                prior.trip_time,
                weight=prior.trip_spread**-2 / self.trip_time.raw.numel(),
                unconstrained=True,
            ),
            PartialPooling(self.trip_time, REGION, scale=prior.region_spread),
            Ridge(self.calm, prior.calm, weight=prior.calm_spread**-2, unconstrained=True),
            Ridge(self.queue, 0.3, weight=0.7**-2, unconstrained=True),
        )

    def warm_start(self, history: Panel) -> None:
        """Read the usual pickup, sessions, driver hours and share of rides off the history."""
        if "rides" in history and "sessions" in history:
            self._take_share(history["rides"].detach(), history["sessions"].detach())
        names = ("eta", "sessions", "driver_hours")
        if not all(name in history for name in names):
            return
        seen = align(*(history[name].detach() for name in names), join="inner")
        minutes, riders, supply = (x.values("region", "hour").numpy() for x in seen)
        usable = np.isfinite(minutes + riders + supply) & (minutes > 0) & (riders > 0)
        usable &= supply > 0
        known = np.flatnonzero(usable.any(axis=1))
        if not len(known):
            return
        regions = seen[0].index("region")[known]
        middles = (
            np.nanmedian(np.where(usable, x, np.nan)[known], axis=1)
            for x in (minutes, riders, supply)
        )
        kept = (self.usual_pickup, self.usual_sessions, self.usual_hours)
        for buffer, middle in zip(kept, middles, strict=True):
            buffer.copy_(self._padded(middle, regions))

    def _usual_idle(self, share: IndexTensor, ride: IndexTensor) -> IndexTensor:
        """Idle driver-hour/h at the usual balance, where a ride takes ``ride`` hours."""
        hours, riders = (self._of_region(x, share) for x in (self.usual_hours, self.usual_sessions))
        idle = hours - share * riders * ride
        # A hyperbola instead of a corner: trips thought too long leave a few drivers idle still.
        return 0.5 * (idle + (idle.square() + (_LEAST_IDLE * hours).square()).sqrt())

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
    riders: IndexTensor,
    eager: IndexTensor,
    by_region: tuple[IndexTensor, ...],
) -> tuple[IndexTensor, IndexTensor]:
    """Pickup in hours, and riders queueing per ride served; the solver steps on raw tensors."""
    order = supply.dims
    # shape: one value per region, to be broadcast along the hours
    trip, near, power, calm = (
        tensor.values("region").unsqueeze(order.index("hour")) for tensor in by_region
    )
    hours, usual, wanted = (tensor.values(*order) for tensor in (supply, riders, eager))
    most = most_rides(hours, trip, near, power)
    idle = cleared_idle(hours, wanted, trip, near, power, calm, most)
    queued = usual / served_rides(usual, most) - 1
    return supply.with_tensor(near * idle**-power), supply.with_tensor(queued)


__all__ = ["PickupStretch", "StretchHyperparameters"]
