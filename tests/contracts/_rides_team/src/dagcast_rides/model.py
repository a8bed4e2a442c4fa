"""Rides are a share of sessions, less at night and where the price is high."""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from dagcast_core import IndexTensor, Model, Panel
from dagcast_rides.contract import CONTRACT, REGION


@final
class Rides(Model):
    """Predicts ``chance`` and ``rides``."""

    contract = CONTRACT

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        self.share = self.parameter(REGION, labels=regions, start=0.8, transform="sigmoid")
        self.cost = self.parameter(REGION, labels=regions, start=0.05, transform="exp")
        self.wet = self.parameter(start=0.02)
        self.register_buffer("usual", torch.tensor(1.0, dtype=torch.float64))

    def forward(
        self,
        sessions: IndexTensor,
        price: IndexTensor,
        hour_of_week: IndexTensor,
        rain: IndexTensor,
    ) -> Mapping[str, IndexTensor]:
        """Compute ride/session and ride/h; dims (region, hour)."""
        night = hour_of_week.map(lambda hours: torch.where(hours % 24 < 6, 0.5, 1.0).double())
        dear = self.cost * price
        wet = (self.wet * rain).tanh()
        chance = (
            self.share
            * night
            * (-dear - 0.1 * (1.0 + wet)).exp()
            * (self.usual / (1.0 + self.usual))
        )
        rides = sessions.clamp(min=0.0) * chance
        return {"chance": chance, "rides": rides}

    def warm_start(self, history: Panel) -> None:
        """Take what is usual from another team's bookings."""
        if "bookings" in history:
            self.usual.fill_(history["bookings"].tensor.nanmean())
