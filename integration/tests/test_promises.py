"""What was promised stands beside what happened, and intervals that do not hold are seen."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast.plans import (
    Promise,
    counts,
    day_counts,
    day_promises,
    lift_promises,
    make_outlook,
    outcome_promises,
)
from dagcast.workflow.common._promised import in_words
from dagcast_core.contract import Dim, Quantity, Weighted
from dagcast_core.dims import HOUR
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
HOURS = pd.date_range("2026-03-02", periods=48, freq="h", tz="UTC", unit="us")
REGIONS = pd.Index(["LAX", "SFO"])
RIDES = Quantity(
    "rides", dims=(REGION, HOUR), unit="ride/h", aggregation={"region": "sum", "hour": "sum"}
)
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation={"region": Weighted("rides"), "hour": Weighted("rides")},
)
QUANTITIES = {"rides": RIDES, "eta": ETA}
LEVELS = np.random.default_rng(0).normal(100.0, 10.0, size=60)


def tensor(values, name):
    spread = np.broadcast_to(np.asarray(values, dtype=float)[:, None], (2, len(HOURS))).copy()
    return IndexTensor(torch.from_numpy(spread), {"region": REGIONS, "hour": HOURS}, name)


@pytest.fixture(scope="module")
def outlook():
    def predict(inputs, draw):
        rides = inputs["spend"] + LEVELS[draw]
        return Panel([rides.named("rides"), tensor([LEVELS[draw] / 20, 6.0], "eta")])

    spend = tensor([0.0, 10.0], "spend")
    return make_outlook(
        {"plan": Panel([spend]), "none": Panel([spend * 0.0])},
        predict,
        draws=60,
        level=0.9,
        quantities=(RIDES, ETA),
        words={"none": "no spend"},
        combined={"objective": {"rides": 2.0}},
    )


def promised(outlook, rides=(100.0, 110.0), eta=(5.0, 6.0), replaced=None):
    happened = {
        "rides": np.broadcast_to(np.array(rides)[:, None], (2, 48)).copy(),
        "eta": np.broadcast_to(np.array(eta)[:, None], (2, 48)).copy(),
    }
    return outcome_promises("plan-0001", outlook, {**happened, **(replaced or {})}, QUANTITIES)


def by(items):
    return {(item.quantity, item.row): item for item in items}


def test_outcomes_are_promised_together_and_row_by_row(outlook):
    found = by(promised(outlook))
    assert set(found) == {(q, row) for q in ("rides", "eta") for row in ("", "LAX", "SFO")}
    assert found["rides", ""].happened == pytest.approx(210 * 48)
    assert found["rides", "SFO"].happened == pytest.approx(110 * 48)
    assert found["eta", ""].happened == pytest.approx((5 * 100 + 6 * 110) / 210)
    assert all(item.held for item in found.values())


def test_weighted_sums_are_promised_too(outlook):
    rides = np.full((2, 48), 100.0)
    found = outcome_promises(
        "p", outlook, {"rides": rides}, QUANTITIES, combined={"objective": {"rides": 2.0}}
    )
    assert by(found)["objective", ""].happened == 2 * 200 * 48
    assert "objective" not in {
        item.quantity
        for item in outcome_promises(
            "p", outlook, {"rides": rides}, QUANTITIES, combined={"objective": {"eta": 1.0}}
        )
    }


@pytest.mark.parametrize(("rides", "side"), [((60.0, 70.0), -1), ((140.0, 150.0), 1)])
def test_outcome_beside_its_interval_is_not_held_and_says_how_far_off(outlook, rides, side):
    item = by(promised(outlook, rides=rides))["rides", ""]
    assert not item.held
    assert item.off * side > 2


def test_sum_with_a_hole_is_no_total_and_a_mean_leaves_it_out(outlook):
    holes = np.full((2, 48), 100.0)
    holes[0, 3] = np.nan
    assert ("rides", "") not in by(promised(outlook, replaced={"rides": holes}))
    eta = np.full((2, 48), 5.5)
    eta[1, 7] = np.nan
    assert ("eta", "") in by(promised(outlook, replaced={"eta": eta}))


def test_interval_without_width_holds_what_it_says_up_to_rounding(outlook):
    item = by(promised(outlook))["eta", "SFO"]
    assert item.held
    assert math.isnan(item.off)
    assert not by(promised(outlook, eta=(5.0, 6.1)))["eta", "SFO"].held


def test_gains_are_beside_their_size_re_estimated(outlook):
    (rides,) = lift_promises("p", outlook, {"none": {"rides": 480.0}})
    assert (rides.over, rides.mid, rides.held) == ("none", pytest.approx(480.0), True)
    (less,) = lift_promises("p", outlook, {"none": {"rides": 90.0}})
    assert not less.held
    assert lift_promises("p", outlook, {"other": {"rides": 1.0}}) == ()


def test_cells_are_counted_by_day_ahead(outlook):
    rides = np.full((2, 48), 105.0)
    rides[:, 24:] = 500.0
    rides[0, 0] = np.nan
    found = day_promises("p", outlook, {"rides": rides}, QUANTITIES)
    assert [(item.day, item.inside, item.cells) for item in found] == [(1, 47, 47), (2, 0, 48)]
    first, second = day_counts([*found, *found])
    assert (first.label, first.held, first.count) == ("1", 94, 94)
    assert second.off > 5


def promise(mid, happened, quantity="rides"):
    return Promise("p", "2026", quantity, "", "", mid, mid - 10, mid + 10, 0.9, happened)


def test_counts_tell_narrow_shifted_and_biased_apart():
    held, shifted = [promise(100, 95), promise(100, 105)], [promise(100, 112), promise(100, 108)]
    fine, off = counts("outcome", {"held": held, "shifted": shifted})
    assert (fine.held, fine.count, fine.coverage) == (2, 2, 1.0)
    assert fine.off == pytest.approx(0.0)
    assert fine.relative == pytest.approx(0.0)
    assert (off.held, off.coverage) == (1, 0.5)
    assert off.off > 1.5
    assert off.relative == pytest.approx(0.1)
    # Rides and minutes have no sum.
    (mixed,) = counts("row", {"SFO": [promise(100, 95), promise(5, 6, "eta")]})
    assert math.isnan(mixed.relative)


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        ((90.0, 90.0), "; the objective came out 10% below promises"),
        ((100.0, 104.0), "; the objective came out 2% above promises"),
        ((99.9, 100.0), "; the objective came out as promised on average"),
    ],
)
def test_words_of_the_past_count_what_held_and_say_its_bias(happened, said):
    """Rows and gains are of the same hours as the whole, and say nothing more of the bias."""
    start = "2026-03-02T00:00:00+00:00"
    items = [
        Promise(f"plan-{k}", start, "objective", "", "", 100.0, 95.0, 105.0, 0.9, value)
        for k, value in enumerate(happened)
    ]
    row = Promise("plan-0", start, "objective", "SFO", "", 10.0, 5.0, 15.0, 0.9, 30.0)
    held = sum(item.held for item in items)
    text = in_words([*items, row])
    assert text == f"{held} of 3 kept ({held / 3:.0%}, promised 90%), 2 plans{said}"
    assert in_words([]) == ""
