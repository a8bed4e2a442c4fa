"""A market of two models with closed forms."""

import numpy as np
import pandas as pd

from dagcast_core.contract import Arm, Cells, Change, Contract, Dim, Effect, Experiment, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
SPEND = Quantity("spend", (REGION, HOUR), "USD/h")
SUPPLY = Quantity("supply", (REGION, HOUR), "driver-hour/h")
WAIT = Quantity("wait", (REGION, HOUR), "min")
HOURS = pd.date_range("2025-01-06", periods=6, freq="h", tz="UTC")
REGIONS = ("SFO", "LAX")


class Bonus(Model):
    """Supply = 10 + gain * spend."""

    contract = Contract(
        "bonus", inputs=(SPEND,), outputs=(SUPPLY,), effects=(Effect(SPEND, SUPPLY, "+"),)
    )

    def __init__(self):
        super().__init__()
        self.gain = self.parameter(start=2.0)

    def forward(self, spend):
        return self.gain * spend + 10.0


class Pickup(Model):
    """Wait = 100 / supply."""

    contract = Contract(
        "pickup", inputs=(SUPPLY,), outputs=(WAIT,), effects=(Effect(SUPPLY, WAIT, "-"),)
    )

    def forward(self, supply):
        return 100.0 / supply


def panel():
    """Spend 1 everywhere; supply is 1 above what the model says, waits are exact."""
    layout = {"region": list(REGIONS), "hour": HOURS}
    shape = (len(REGIONS), len(HOURS))
    return Panel(
        [
            IndexTensor(np.full(shape, 1.0), layout, "spend"),
            IndexTensor(np.full(shape, 13.0), layout, "supply"),
            IndexTensor(np.full(shape, 100 / 13), layout, "wait"),
        ]
    )


def experiment(estimate, error, outcome="supply"):
    """Spend raised from 0 to 3 in one region."""
    return Experiment(
        name="bonus-test",
        levers=("spend",),
        outcome=outcome,
        design="switchback",
        cells=Cells(("SFO",), "2025-01-06T00:00Z", "2025-01-06T05:00Z", dim="region"),
        control=Arm("off", (Change("spend", "set", 0.0),)),
        treatment=Arm("on", (Change("spend", "set", 3.0),)),
        estimate=estimate,
        standard_error=error,
    )


def collection():
    return ModelCollection((Bonus(), Pickup()), name="market")
