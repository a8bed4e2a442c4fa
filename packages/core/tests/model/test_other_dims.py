"""Nothing in the models knows a region: another business has warehouses, and the same numbers."""

import numpy as np
import pandas as pd
import pytest

from dagcast_core.contract import Arm, Cells, Change, Contract, Dim, Effect, Experiment, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import ExperimentError, Model, calendar_start, effect_of
from dagcast_core.tensor import IndexTensor, Panel

WAREHOUSE = Dim("warehouse")
HOURS = pd.date_range("2026-01-05", periods=28 * 24, freq="h", tz="UTC", unit="us")
SHIFTS = Quantity("shifts", (WAREHOUSE, HOUR), "shift/h")
ORDERS = Quantity("orders", (WAREHOUSE, HOUR), "order/h")


class Orders(Model):
    contract = Contract(
        "orders", inputs=(SHIFTS,), outputs=(ORDERS,), effects=(Effect(SHIFTS, ORDERS),)
    )

    def __init__(self):
        super().__init__()
        self.rate = self.parameter(WAREHOUSE, labels=("east", "west"), start=3.0)

    def forward(self, shifts):
        return self.rate * shifts


def rate(dim: str, like: float = 1.0) -> IndexTensor:
    values = np.random.default_rng(100).poisson(20 * like, (2, len(HOURS))).astype(float)
    return IndexTensor(values, {dim: ["east", "west"], "hour": HOURS}, "rate")


def test_calendar_start_is_the_same_along_any_dim():
    starts = []
    for dim in ("region", "warehouse"):
        slots = np.tile(np.arange(len(HOURS)) % 168, (2, 1))
        slot = IndexTensor(slots, {dim: ["east", "west"], "hour": HOURS}, "hour_of_week")
        starts.append(calendar_start(rate(dim), slot, half_life=500.0))
    first, second = starts
    assert (first.dim, second.dim) == ("region", "warehouse")
    for field in ("level", "trend", "profile"):
        assert np.array_equal(getattr(first, field), getattr(second, field))
    assert np.exp(second.level).mean() == pytest.approx(20.0, rel=0.05)


def experiment(*warehouses: str) -> Experiment:
    return Experiment(
        "more-shifts",
        ("shifts",),
        "orders",
        cells=Cells(warehouses, "2026-01-12T00:00Z", "2026-01-12T05:00Z", dim="warehouse"),
        control=Arm("as usual", (Change("shifts", "add", 0.0),)),
        treatment=Arm("more", (Change("shifts", "add", 2.0),)),
        estimate=6.0,
        standard_error=1.0,
        reduce="sum",
    )


def test_an_experiment_ran_on_the_labels_of_its_own_dim():
    panel = Panel([rate("warehouse").named("shifts")])
    # 3 orders a shift, 2 more shifts, 6 hours; another warehouse keeps its arm.
    assert effect_of(Orders(), panel, experiment("west")).item() == pytest.approx(36.0)
    both = experiment("east", "west")
    assert effect_of(Orders(), panel, both).item() == pytest.approx(72.0)
    with pytest.raises(ExperimentError, match="its warehouse 'north' is not in the history"):
        effect_of(Orders(), panel, experiment("north"))
