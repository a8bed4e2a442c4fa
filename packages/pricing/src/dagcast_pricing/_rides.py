"""Completed rides: those wanted, up to what the drivers can serve.

    wanted = sessions * conversion
    served = turns[region] * driver_hours
    rides  = wanted * (1 + (wanted / served) ** sharpness) ** (-1 / sharpness)

A smooth minimum: rides never exceed the rides wanted, hence never sessions, nor what the drivers
can serve, and both sides matter where they are close. Neither ``turns`` nor the sharpness is
fitted: history would use them to explain what waiting does to conversion. Fitted, ``turns`` came
out at the mean load of tight hours, and every further driver hour seemed to make rides there: all
bonuses together 7.7 rides per hour where the truth of a simulated market is 6.4.

Evidence: bookkeeping. ``turns`` is the number of rides that a driver hour without a pause can hold,
read off the busiest hours of the history.
Left out: rides cancelled after a match by pure chance, which ``conversion`` absorbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    NegativeBinomial,
    Panel,
    PartialPooling,
    Ridge,
    align,
)
from dagcast_pricing.contract import REGION, RIDES, RIDES_CONTRACT

# Rides per hour that keep the ratio defined where nobody drives.
_TINY = 1e-6
# Rides per driver hour of the busiest hour in a hundred, and what more one could hold.
_BUSIEST, _HEADROOM = 0.99, 1.1
# Driver hours below which a ratio of rides to them is luck.
_FEW = 5.0


@dataclass(frozen=True)
class RidesHyperparameters:
    """Choices of the form; ``range`` is where a search may look.

    Args:
        turns: rides that a driver hour can hold where no history says better.
        sharpness: of the smooth minimum.
        turns_learned: whether history moves ``turns``; for markets whose waiting is not observed,
            so that nothing else says what drivers do to rides.
    """

    turns: float = field(default=3.0, metadata={"range": (0.5, 6.0), "unit": "ride/driver-hour"})
    sharpness: int = field(default=8, metadata={"range": (2, 16), "unit": "1"})
    turns_learned: bool = False


_DEFAULT = RidesHyperparameters()


@final
class Rides(Model):
    """Predicts ``rides``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: choices of the form.
    """

    contract = RIDES_CONTRACT

    def __init__(
        self, regions: Sequence[str], hyperparameters: RidesHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Ride per driver-hour.
        self.turns = self.parameter(
            REGION, labels=regions, start=hyperparameters.turns, transform="exp"
        )
        self.turns.raw.requires_grad_(hyperparameters.turns_learned)
        # Variance is mean + mean^2 / concentration: shocks of about 7 % per hour at the start.
        self.concentration = self.parameter(start=200.0, transform="exp")

    def forward(
        self, sessions: IndexTensor, conversion: IndexTensor, driver_hours: IndexTensor
    ) -> IndexTensor:
        """Compute ride/h; dims (region, hour)."""
        wanted = sessions.clamp(min=0.0) * conversion
        served = self.turns.at(driver_hours) * driver_hours.clamp(min=0.0) + _TINY
        sharpness = self.hyperparameters.sharpness
        strain = (wanted / served) ** sharpness
        return wanted * (1.0 + strain) ** (-1.0 / sharpness)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Counts; the fit also moves what conversion is usual, not how riders answer to quotes."""
        return (
            NegativeBinomial(
                RIDES,
                weight=0.3,
                half_life=840.0,
                concentration=self.concentration,
                through=("conversion",),
            ),
            Ridge(self.concentration, 200.0, weight=1.0, unconstrained=True),
            Ridge(self.turns, self.hyperparameters.turns, weight=0.3**-2, unconstrained=True),
            PartialPooling(self.turns, REGION, scale=0.1),
        )

    def warm_start(self, history: Panel) -> None:
        """Read the rides that a driver hour can hold off the busiest hours."""
        if self.hyperparameters.turns_learned or not {"rides", "driver_hours"} <= set(history):
            return
        rides, hours = align(
            history["rides"].detach(), history["driver_hours"].detach(), join="inner"
        )
        ridden, driven = (x.values("region", "hour").numpy() for x in (rides, hours))
        usable = np.isfinite(ridden + driven) & (driven >= _FEW) & (ridden > 0)
        known = np.flatnonzero(usable.any(axis=1))
        if not len(known):
            return
        load = np.where(usable, ridden / np.maximum(driven, _FEW), np.nan)[known]
        most = _HEADROOM * np.nanquantile(load, _BUSIEST, axis=1)
        found = rides.index("region")[known].get_indexer(self.turns.indexes["region"])
        # Position -1, a region without history, is the mean at the end.
        self.turns.assign(np.append(most, most.mean())[found])
