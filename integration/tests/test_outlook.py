"""An outlook pairs its arms by draw and combines regions as the contracts say."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast.errors import ProjectError
from dagcast.plans import Chance, ErrorHistory, Outlook, make_outlook
from dagcast_core.contract import Dim, Quantity, Weighted
from dagcast_core.dims import HOUR
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")

HOURS = pd.date_range("2026-03-02", periods=3, freq="h", tz="UTC", unit="us")
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
NOISE = np.random.default_rng(0).normal(size=40)
NOISE -= NOISE.mean()


def tensor(values, name):
    return IndexTensor(
        torch.tensor(values, dtype=torch.float64), {"region": REGIONS, "hour": HOURS}, name
    )


def predict(inputs, draw):
    """Rides follow spend with an uncertain level that all arms share."""
    level = 100.0 + 50.0 * NOISE[draw]
    rides = inputs["spend"] + level
    eta = inputs["spend"] * 0.0 + tensor([[4.0] * 3, [8.0] * 3], "eta")
    return Panel([rides.named("rides"), eta.named("eta")])


@pytest.fixture
def outlook():
    spend = tensor([[0.0, 0.0, 0.0], [200.0, 200.0, 200.0]], "spend")
    return make_outlook(
        {"plan": Panel([spend]), "none": Panel([spend * 0.0])},
        predict,
        draws=40,
        level=0.9,
        quantities=(RIDES, ETA),
        words={"none": "no spend"},
        combined={"objective": {"rides": 2.0, "eta": -1.0}},
    )


def test_first_row_is_all_regions_together(outlook):
    rides, eta = outlook.paths["plan"]["rides"], outlook.paths["plan"]["eta"]
    np.testing.assert_allclose(rides.mid, [[400.0] * 3, [100.0] * 3, [300.0] * 3])
    # A mean over draws of a ratio is not the ratio of their means, but near it.
    np.testing.assert_allclose(eta.mid[0], 4.0 * 0.25 + 8.0 * 0.75, rtol=0.05)


def test_totals_sum_or_weigh_over_regions_and_hours(outlook):
    assert outlook.totals["plan"]["rides"].mid == pytest.approx(1200.0)
    eta = outlook.totals["plan"]["eta"].mid
    assert eta == pytest.approx(7.0, rel=0.05)
    assert outlook.totals["plan"]["objective"].mid == pytest.approx(2400.0 - eta)


def test_outlook_that_somebody_waits_for_takes_few_draws():
    """Ctrl-C in the solver keeps its plan, and not for the price of all draws of it."""
    spend = tensor([[0.0, 0.0, 0.0], [200.0, 200.0, 200.0]], "spend")
    asked = []

    def slow(inputs, draw):
        asked.append(draw)
        time.sleep(0.15)
        return predict(inputs, draw)

    def made(**how):
        asked.clear()
        arms = {"plan": Panel([spend])}
        shown = {"level": 0.9, "quantities": (RIDES, ETA), "words": {}}
        return make_outlook(arms, slow, draws=8, **shown, **how)

    assert made(hurried=True).draws == len(asked) < 5
    pressed = iter([False, False, True])

    def press(message, share):
        if next(pressed, False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(whole=True, progress=press)
    assert len(asked) == 2


def test_difference_between_arms_is_surer_than_either_arm(outlook):
    total = outlook.totals["plan"]["rides"]
    difference = outlook.differences["none"]["rides"]
    assert difference.mid == pytest.approx(600.0)
    assert difference.high - difference.low < 1e-9
    assert total.high - total.low > 500


def test_interval_holds_its_share_of_the_draws(outlook):
    path = outlook.paths["none"]["rides"]
    levels = 100.0 + 50.0 * NOISE
    assert path.low[1, 0] == pytest.approx(np.quantile(levels, 0.05))
    assert path.high[1, 0] == pytest.approx(np.quantile(levels, 0.95))


def test_response_is_forecast_at_multiples_of_the_plan(tmp_path):
    """By a few draws, and through the figures of all of them: the response here is a line."""
    spend = tensor([[0.0, 0.0, 0.0], [200.0, 200.0, 200.0]], "spend")
    told = []

    def asked(inputs, draw):
        told.append(draw)
        return predict(inputs, draw)

    found = make_outlook(
        {"plan": Panel([spend]), "none": Panel([spend * 0.0])},
        asked,
        draws=40,
        level=0.9,
        quantities=(RIDES, ETA),
        words={"none": "no spend"},
        combined={"objective": {"rides": 2.0, "eta": -1.0}},
        scaled={0.5: Panel([spend * 0.5]), 1.5: Panel([spend * 1.5])},
    )
    assert len(told) == 2 * 40 + 2 * 40 // 4
    assert found.scales == (0.5, 1.5)
    assert set(found.scaled) == {"rides", "eta"}
    for scale, values in zip(found.scales, found.scaled["rides"], strict=True):
        np.testing.assert_allclose(values[2], [100.0 + 200.0 * scale] * 3)
        np.testing.assert_allclose(values[0], [200.0 + 200.0 * scale] * 3)
    found.save(tmp_path)
    read = Outlook.load(tmp_path)
    assert read.scales == found.scales
    np.testing.assert_array_equal(read.scaled["rides"], found.scaled["rides"])
    assert set(read.paths) == {"plan", "none"}


def test_saved_outlook_reads_back_the_same(outlook, tmp_path):
    outlook.save(tmp_path)
    read = Outlook.load(tmp_path)
    for name in ("dim", "rows", "time", "hours", "readings", "arms"):
        assert getattr(read, name) == getattr(outlook, name)
    assert read.totals == outlook.totals
    assert read.differences == outlook.differences
    np.testing.assert_array_equal(read.paths["plan"]["eta"].high, outlook.paths["plan"]["eta"].high)


def test_damaged_outlook_is_refused(outlook, tmp_path):
    outlook.save(tmp_path)
    (tmp_path / "outlook.safetensors").write_bytes(b"cut")
    with pytest.raises(ProjectError, match="Make the plan again"):
        Outlook.load(tmp_path)


def test_rows_are_the_dim_that_most_quantities_have_and_others_are_rolled_up():
    """A business with another dim, a quantity with one more, and one without any."""
    depot, van = Dim("depot"), Dim("van")
    orders = Quantity("orders", (depot, van, HOUR), "order/h", aggregation={"van": "sum"})
    fuel = Quantity("fuel_price", (HOUR,), "EUR/l")
    stock = Quantity("stock", (depot, HOUR), "t", aggregation={"depot": "sum"})
    depots, vans = pd.Index(["north", "south"]), pd.Index(["a", "b", "c"])
    made = Panel(
        [
            IndexTensor(
                torch.arange(18.0, dtype=torch.float64).reshape(2, 3, 3),
                {"depot": depots, "van": vans, "hour": HOURS},
                "orders",
            ),
            IndexTensor(torch.tensor([1.0, 2.0, 3.0]).double(), {"hour": HOURS}, "fuel_price"),
            IndexTensor(
                torch.tensor([[4.0, 4.0, 4.0], [1.0, 2.0, 3.0]]).double(),
                {"depot": depots, "hour": HOURS},
                "stock",
            ),
        ]
    )
    found = make_outlook(
        {"plan": made},
        lambda inputs, draw: inputs,
        draws=2,
        level=0.9,
        quantities=(orders, fuel, stock),
        words={},
    )
    assert (found.dim, found.rows) == ("depot", ("north", "south"))
    paths, totals = found.paths["plan"], found.totals["plan"]
    np.testing.assert_array_equal(paths["orders"].mid[1], [0 + 3 + 6, 1 + 4 + 7, 2 + 5 + 8])
    np.testing.assert_array_equal(paths["fuel_price"].mid[0], [1.0, 2.0, 3.0])
    assert np.isnan(paths["fuel_price"].mid[1:]).all()
    assert totals["fuel_price"].mid == pytest.approx(2.0)
    # What adds up over depots but not over hours: 5, 6 and 7 in all, 6 on average.
    assert totals["stock"].mid == pytest.approx(6.0)


def test_without_any_dim_but_time_there_is_one_row():
    load = Quantity("load", (HOUR,), "MWh/h", aggregation={"hour": "sum"})
    made = Panel([IndexTensor(torch.tensor([1.0, 2.0, 4.0]).double(), {"hour": HOURS}, "load")])
    found = make_outlook(
        {"plan": made},
        lambda inputs, draw: inputs,
        draws=2,
        level=0.9,
        quantities=(load,),
        words={},
    )
    assert (found.dim, found.rows) == ("", ())
    assert found.paths["plan"]["load"].mid.shape == (1, 3)
    assert found.totals["plan"]["load"].mid == 7.0


def test_every_figure_is_the_mean_of_the_draws_and_no_interval_is_stretched():
    """A response that is curved in its parameters: the mean of the draws is not their middle."""
    level = np.exp(np.linspace(-2.0, 2.0, 41))
    rides = Quantity("rides", (HOUR,), "ride/h", aggregation={"hour": "sum"}, bounds=(0, None))
    inputs = Panel([IndexTensor(torch.ones(3).double(), {"hour": HOURS}, "spend")])
    found = make_outlook(
        {"plan": inputs},
        lambda inputs, draw: Panel([(inputs["spend"] * level[draw]).named("rides")]),
        draws=41,
        level=0.5,
        quantities=(rides,),
        words={},
    )
    total = found.totals["plan"]["rides"]
    assert total.mid == pytest.approx(3 * level.mean())
    assert total.low == pytest.approx(3 * np.quantile(level, 0.25))
    # The mean lies far above the middle of the draws: that is what it is.
    assert total.mid > 3 * np.median(level)
    assert total.high == pytest.approx(3 * np.quantile(level, 0.75))


def test_chance_widens_intervals_and_leaves_figures_and_differences_alone():
    spend = tensor([[0.0, 0.0, 0.0], [200.0, 200.0, 200.0]], "spend")
    noise = np.random.default_rng(1).standard_normal((200, 2, 3))
    errors = {"rides": ErrorHistory(np.zeros((4, 2)), noise, 0.5, 20.0)}
    arguments = {"draws": 40, "level": 0.9, "quantities": (RIDES, ETA), "words": {"none": "none"}}
    arms = {"plan": Panel([spend]), "none": Panel([spend * 0.0])}
    plain = make_outlook(arms, predict, **arguments)
    chancy = make_outlook(arms, predict, chance=Chance(errors, 4), **arguments)
    assert chancy.differences == plain.differences
    for name in ("rides", "eta"):
        assert chancy.totals["plan"][name].mid == plain.totals["plan"][name].mid
        np.testing.assert_array_equal(chancy.paths["plan"][name].mid, plain.paths["plan"][name].mid)
    wide, narrow = chancy.paths["none"]["rides"], plain.paths["none"]["rides"]
    assert ((wide.high - wide.low) > (narrow.high - narrow.low)).all()
    assert plain.origins is None
    assert chancy.origins == 4
    rows = chancy.weeks["rides"]
    assert [item.mid for item in rows] == pytest.approx([300.0, 900.0])
    assert all(item.low < item.mid < item.high for item in rows)


@pytest.fixture
def uncertain():
    """Each ride costs one unit of spend or two, and in one draw of four more spend loses rides."""
    slopes = [1.0, 2.0, -1.0, 2.0] * 10

    def forecast(inputs, draw):
        rides = inputs["spend"] * slopes[draw] + (100.0 + 10.0 * draw)
        return Panel([rides.named("rides"), (rides * 0.0 + 4.0).named("eta")])

    spend = tensor([[0.0] * 3, [30.0] * 3], "spend")
    return make_outlook(
        {
            "plan": Panel([spend]),
            "none": Panel([spend * 0.0]),
            "current": Panel([tensor([[10.0] * 3, [10.0] * 3], "spend")]),
        },
        forecast,
        draws=40,
        level=0.5,
        quantities=(RIDES, ETA),
        words={"none": "no spend", "current": "the current plan"},
        combined={"objective": {"rides": 2.0, "eta": -1.0}},
    )


def test_chance_that_a_plan_is_better_counts_draws(uncertain):
    """Together 30 units against 20: better wherever spend brings rides at all."""
    assert uncertain.chances["current"]["rides"] == 0.75
    assert uncertain.chances["current"]["objective"] == 0.75
    assert uncertain.chances["none"]["rides"] == 0.75
    # What does not move is not better.
    assert uncertain.chances["current"]["eta"] == 0.0


def test_gains_of_rows_are_paired_by_draw(uncertain):
    """LAX has 10 units less in each of 3 hours, SFO 20 more; levels of 100 to 490 drop out."""
    lax, sfo = uncertain.row_gains["rides"]
    assert (lax.mid, lax.low, lax.high, lax.chance) == pytest.approx((-30.0, -60.0, -15.0, 0.25))
    assert (sfo.mid, sfo.low, sfo.high, sfo.chance) == pytest.approx((60.0, 30.0, 120.0, 0.75))
    assert uncertain.row_gains["objective"][1].mid == pytest.approx(2 * 60.0)
    whole = uncertain.differences["current"]["rides"].mid
    assert lax.mid + sfo.mid == pytest.approx(whole)


def test_effects_of_cells_are_those_of_the_plan_over_nothing(uncertain):
    effect = uncertain.effects["rides"]
    np.testing.assert_allclose(effect.mid, [[30.0] * 3, [0.0] * 3, [30.0] * 3])
    np.testing.assert_allclose(effect.low[2], [15.0] * 3)
    np.testing.assert_allclose(effect.high[2], [60.0] * 3)
    assert set(uncertain.effects) == {"rides", "eta"}


def test_chances_gains_and_effects_are_kept_and_older_outlooks_have_none(uncertain, tmp_path):
    uncertain.save(tmp_path)
    read = Outlook.load(tmp_path)
    assert read.chances == uncertain.chances
    assert read.row_gains == uncertain.row_gains
    np.testing.assert_array_equal(read.effects["rides"].high, uncertain.effects["rides"].high)
    assert set(read.paths) == {"plan", "none", "current"}
    document = json.loads((tmp_path / "outlook.json").read_text())
    del document["chances"], document["row_gains"]
    (tmp_path / "outlook.json").write_text(json.dumps(document))
    older = Outlook.load(tmp_path)
    assert (older.chances, older.row_gains) == ({}, {})
