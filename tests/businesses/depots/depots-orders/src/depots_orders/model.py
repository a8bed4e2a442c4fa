"""Orders of a depot follow a week of their own size and of one common shape."""

from typing import final

from dagcast_core import Dim, IndexTensor, LossTerm, Model, PartialPooling, Poisson, Ridge
from depots_orders.contract import CONTRACT, DEPOT, ORDERS

SLOTS = Dim("slot", kind="int", description="three local hours of the week")


@final
class Orders(Model):
    """Predicts ``orders`` as ``usual[depot] * exp(shape[slot])``."""

    contract = CONTRACT

    def __init__(self, depots: tuple[str, ...]) -> None:
        super().__init__()
        self.usual = self.parameter(DEPOT, labels=depots, start=20.0, transform="exp")
        self.shape_of_week = self.parameter(SLOTS, labels=range(56), start=0.0)

    def forward(self, slot: IndexTensor) -> IndexTensor:
        """Compute order/h; dims (depot, hour)."""
        shape = self.shape_of_week.value()
        return self.usual.at(slot) * (shape - shape.mean()).sel(slot=slot).exp()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Counts, less sure than Poisson counts are, and priors."""
        return (
            Poisson(ORDERS, weight=0.5),
            PartialPooling(self.usual, DEPOT, scale=1.0),
            Ridge(self.shape_of_week, toward=0.0, weight=1.0),
        )
