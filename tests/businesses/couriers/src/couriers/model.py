"""A premium brings couriers, fewer per dollar the more is paid; couriers carry what is booked.

    extra_couriers = most[vehicle] * courier_premium / (50 + courier_premium)
    capacity       = pace[vehicle] * (usual[vehicle] + extra_couriers)      parcel/h
    deliveries     = booked_parcels * capacity / (capacity + booked_parcels)

Evidence: experiments on the premium. The history says how many parcels the usual couriers carry.
"""

from typing import final

from couriers.contract import CARRIED, DELIVERIES, SUPPLY, VEHICLE
from dagcast_core import IndexTensor, LossTerm, Model, PartialPooling, Ridge, SquaredError

# Premium at which half of those come who ever would, USD/h; parcels that a courier carries an hour.
_HALFWAY = 50.0
_PACE = 3.0


@final
class CourierSupply(Model):
    """Predicts ``extra_couriers``, which nobody observes."""

    contract = SUPPLY

    def __init__(self, vehicles: tuple[str, ...]) -> None:
        super().__init__()
        self.most = self.parameter(VEHICLE, labels=vehicles, start=8.0, transform="exp")

    def forward(self, courier_premium: IndexTensor) -> IndexTensor:
        """Compute couriers; dims (vehicle, hour)."""
        return self.most * (courier_premium / (_HALFWAY + courier_premium))

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        return (
            Ridge(self.most, toward=8.0, weight=1.0, unconstrained=True),
            PartialPooling(self.most, VEHICLE, scale=0.3),
        )


@final
class Deliveries(Model):
    """Predicts ``deliveries``; see the module docstring for the form."""

    contract = CARRIED

    def __init__(self, vehicles: tuple[str, ...]) -> None:
        super().__init__()
        self.usual = self.parameter(VEHICLE, labels=vehicles, start=10.0, transform="exp")

    def forward(self, booked_parcels: IndexTensor, extra_couriers: IndexTensor) -> IndexTensor:
        """Compute parcel/h; dims (vehicle, hour)."""
        capacity = _PACE * (self.usual + extra_couriers)
        return booked_parcels * capacity / (capacity + booked_parcels)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """The term does not reach through to the extra couriers."""
        return (
            SquaredError(DELIVERIES, weight=0.5),
            PartialPooling(self.usual, VEHICLE, scale=1.0),
        )
