import numpy as np
import pandas as pd

from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, SquaredError, fit
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
RAIN = Quantity("rain", (REGION, HOUR), "mm/h", bounds=(0, None))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h")
CONTRACT = Contract("rides", inputs=(RAIN,), outputs=(RIDES,), effects=(Effect(RAIN, RIDES),))


class Rides(Model):
    """rides = usual[region] + wet * rain"""

    contract = CONTRACT

    def __init__(self, regions):
        super().__init__()
        self.usual = self.parameter(REGION, labels=regions, start=50.0)
        self.wet = self.parameter(start=0.0)

    def forward(self, rain):
        return self.usual.at(rain) + self.wet.value() * rain

    def loss_terms(self):
        return (SquaredError(RIDES),)


hours = pd.date_range("2026-01-05", periods=200, freq="h", tz="UTC")
cells = {"region": ["SFO", "LAX"], "hour": hours}
rain = IndexTensor(np.random.default_rng(0).gamma(1.0, 1.0, (2, 200)), cells, "rain")
usual = IndexTensor([100.0, 60.0], {"region": ["SFO", "LAX"]})
history = Panel([rain, (rain * 5.0 + usual).named("rides")])

market = ModelCollection([Rides(("SFO", "LAX"))])
report = fit(market, history)
(model,) = market.leaves.values()
assert abs(model.wet.value().item() - 5.0) < 0.05
