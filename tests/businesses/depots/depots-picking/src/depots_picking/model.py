"""Overtime pay brings extra hands, fewer per euro the more is paid; all hands together pick.

    extra_hours  = most[depot] * overtime_pay / (halfway + overtime_pay)
    capacity     = speed[depot] * (rostered_hours + extra_hours)          order/h
    sent_in_time = orders * capacity / (capacity + orders)
    wait         = quickest[depot] * (1 + orders / capacity)

Evidence: experiments on overtime pay. People paid overtime when many orders were expected, so the
history moves ``speed`` and ``quickest`` alone.
"""

from typing import final

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    PartialPooling,
    Poisson,
    Ridge,
    SquaredError,
)
from depots_picking.contract import DEPOT, HANDS, PICKING, SENT_IN_TIME, WAIT

# Orders and worker hours per hour of a depot asleep; they keep the ratio defined at 0.
_ASLEEP = 0.1


@final
class ExtraHands(Model):
    """Predicts ``extra_hours``, which nobody observes."""

    contract = HANDS

    def __init__(self, depots: tuple[str, ...]) -> None:
        super().__init__()
        self.most = self.parameter(DEPOT, labels=depots, start=4.0, transform="exp")
        self.halfway = self.parameter(start=60.0, transform="exp")

    def forward(self, overtime_pay: IndexTensor) -> IndexTensor:
        """Compute worker-hour/h; dims (depot, hour)."""
        return self.most.at(overtime_pay) * overtime_pay / (self.halfway.value() + overtime_pay)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        return (
            Ridge(self.most, toward=4.0, weight=1.0, unconstrained=True),
            PartialPooling(self.most, DEPOT, scale=0.2),
            Ridge(self.halfway, toward=60.0, weight=4.0, unconstrained=True),
        )


@final
class Picking(Model):
    """Predicts ``sent_in_time`` and ``wait``; see the module docstring for the form."""

    contract = PICKING

    def __init__(self, depots: tuple[str, ...]) -> None:
        super().__init__()
        self.speed = self.parameter(DEPOT, labels=depots, start=8.0, transform="exp")
        self.quickest = self.parameter(DEPOT, labels=depots, start=30.0, transform="exp")

    def forward(
        self, orders: IndexTensor, rostered_hours: IndexTensor, extra_hours: IndexTensor
    ) -> dict[str, IndexTensor]:
        """Compute order/h and minutes; dims (depot, hour)."""
        orders = orders.clamp(min=0.0) + _ASLEEP
        hands = rostered_hours.clamp(min=0.0) + extra_hours + _ASLEEP
        load = orders / (self.speed * hands)
        return {
            "sent_in_time": orders / (1.0 + load),
            "wait": self.quickest * (1.0 + load),
        }

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Neither term reaches through to the extra hands: they are the experiments' business."""
        return (
            Poisson(SENT_IN_TIME, weight=0.5),
            SquaredError(WAIT, weight=0.5, weights="orders", log=True),
            PartialPooling(self.speed, DEPOT, scale=0.5),
            PartialPooling(self.quickest, DEPOT, scale=0.5),
        )
