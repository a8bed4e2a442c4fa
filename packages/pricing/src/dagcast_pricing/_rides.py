"""Completed rides: those wanted, up to what the drivers can serve.

    wanted = sessions * conversion
    served = turns[region] * driver_hours
    rides  = wanted * (1 + (wanted / served) ** 4) ** (-1 / 4)

A smooth minimum: rides never exceed the rides wanted, hence never sessions, nor what the drivers
can serve, and both sides matter where they are close. The sharpness, 4, is not fitted: history
would use it to explain what waiting does to conversion.

Evidence: bookkeeping. ``turns`` is the number of rides that a driver hour without a pause can hold.
Left out: rides cancelled after a match by pure chance, which ``conversion`` absorbs.
"""

from collections.abc import Sequence
from typing import final

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    NegativeBinomial,
    PartialPooling,
    Ridge,
)
from dagcast_core.dims import REGION
from dagcast_pricing.contract import RIDES, RIDES_CONTRACT

_SHARPNESS = 4
# Rides per hour that keep the ratio defined where nobody drives.
_TINY = 1e-6


@final
class Rides(Model):
    """Predicts ``rides``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
    """

    contract = RIDES_CONTRACT

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        # Ride per driver-hour.
        self.turns = self.parameter(REGION, labels=regions, start=3.0, transform="exp")
        # Variance is mean + mean^2 / concentration: shocks of about 7 % per hour at the start.
        self.concentration = self.parameter(start=200.0, transform="exp")

    def forward(
        self, sessions: IndexTensor, conversion: IndexTensor, driver_hours: IndexTensor
    ) -> IndexTensor:
        """Compute ride/h; dims (region, hour)."""
        wanted = sessions.clamp(min=0.0) * conversion
        served = self.turns.at(driver_hours) * driver_hours.clamp(min=0.0) + _TINY
        strain = (wanted / served) ** _SHARPNESS
        return wanted * (1.0 + strain) ** (-1.0 / _SHARPNESS)

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
            Ridge(self.turns, 3.0, weight=0.3**-2, unconstrained=True),
            PartialPooling(self.turns, REGION, scale=0.1),
        )
