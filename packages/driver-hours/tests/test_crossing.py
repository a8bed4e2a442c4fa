"""Hours that bonuses draw over a border are no gain: how the history tells, and what follows."""

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor, Panel, fit
from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_core.model import effect_of, interference
from dagcast_driver_hours import CrossingDrivers, driver_hours_collection
from dagcast_driver_hours._crossing import CrossingHyperparameters, share_lost

REGIONS = ("SFO", "LAX", "CHI")
SIZE = np.array([[40.0], [30.0], [20.0]])


def market(hour_of_week, share, seed=0, own=1.0, demand=0.0):
    """Driver hours of which a share comes from the next region; bonuses follow common demand."""
    rng = np.random.default_rng(seed)
    length = hour_of_week.shape[1]
    profile = 1.0 + 0.4 * np.sin(hour_of_week.numpy() * 2 * np.pi / 24)
    busy = rng.normal(size=length // 24 + 1).repeat(24)[:length]
    paid = rng.uniform(size=(3, length)) < 0.25 + 0.1 * np.sign(busy)
    bought = 0.15 * SIZE * paid
    lost = share * np.roll(bought, 1, axis=0)
    noise = rng.lognormal(0.0, 0.05, (3, length)) * np.exp(demand * busy)
    return SIZE * profile * noise + own * (bought - lost), bought


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_the_share_that_other_regions_lose_is_found(hour_of_week: IndexTensor, share: float):
    found = [
        share_lost(*market(hour_of_week, share, seed), hour_of_week.numpy()) for seed in range(6)
    ]
    lost = np.array([value for value, _ in found])
    assert lost.mean() == pytest.approx(share, abs=0.05)
    # A standard error is about the scatter: neither half of it nor twice.
    assert 0.5 < np.mean([error for _, error in found]) / lost.std(ddof=1) < 2.0


def test_it_does_not_matter_how_much_models_think_was_bought(hour_of_week: IndexTensor):
    hours, bought = market(hour_of_week, 0.4)
    told = [share_lost(hours, size * bought, hour_of_week.numpy())[0] for size in (0.7, 1.0, 1.5)]
    assert max(told) - min(told) < 0.02


def test_common_demand_hides_a_loss_and_makes_none(hour_of_week: IndexTensor):
    hours, bought = market(hour_of_week, 0.0, demand=0.03)
    assert share_lost(hours, bought, hour_of_week.numpy())[0] < 0.1


@pytest.mark.parametrize("what", ["nothing was bought", "one region", "two weeks"])
def test_a_history_that_cannot_say_says_nothing(hour_of_week: IndexTensor, what: str):
    hours, bought = market(hour_of_week, 0.5)
    week = hour_of_week.numpy()
    if what == "nothing was bought":
        bought = 0.0 * bought
    elif what == "one region":
        hours, bought, week = hours[:1], bought[:1], week[:1]
    else:
        hours, bought, week = hours[:, :336], bought[:, :336], week[:, :336]
    lost, error = share_lost(hours, bought, week)
    assert lost == 0.0
    assert np.isinf(error)
    model = CrossingDrivers()
    values = {"driver_hours": hours, "incremental_driver_hours": bought, "hour_of_week": week}
    regions, labels = REGIONS[: len(hours)], hour_of_week.index("hour")[: hours.shape[1]]
    panel = [IndexTensor(v, {"region": regions, "hour": labels}, q) for q, v in values.items()]
    model.warm_start(Panel(panel))
    # As uncertain as the prior: a quarter of a chance of anything, and else of nothing.
    assert float(model.expected) == pytest.approx(0.87 if len(hours) > 1 else 0.98, abs=0.02)


def history(hour_of_week, share):
    hours, bought = market(hour_of_week, share)
    values = {"driver_hours": hours, "incremental_driver_hours": bought, "holiday": 0.0 * bought}
    panel = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    return Panel({**panel, "hour_of_week": hour_of_week})


@pytest.fixture
def fitted(hour_of_week: IndexTensor):
    known = history(hour_of_week, 0.5)
    model = driver_hours_collection(REGIONS)
    report = fit(model, known)
    return model, report, known


def test_what_others_lose_is_not_gained_and_is_said(fitted, hour_of_week: IndexTensor):
    model, report, _ = fitted
    kept = float(model.leaves["crossing-drivers"].kept.value().tensor.detach())
    # The history shows that 0.5 is lost, and something may hide more: of three regions a trial side
    # by side sees 1 + lost / 2 of what a paid one adds.
    lost = 0.5 + CrossingHyperparameters().hidden
    assert kept == pytest.approx((1 - lost) / (1 + lost / 2), abs=0.05)
    (said,) = interference(model)
    assert f"'kept' to be {kept:.2f}, and 1 where trials compare labels side by side" in said
    assert said in report.notes
    sound = driver_hours_collection(REGIONS)
    fit(sound, history(hour_of_week, 0.0))
    assert interference(sound) == ()


def trial(hours: pd.DatetimeIndex, **more):
    return Experiment(
        "paid-hours",
        ("incremental_driver_hours",),
        "driver_hours",
        cells=Cells(REGIONS, hours[0].isoformat(), hours[167].isoformat(), dim="region"),
        control=Arm("none", (Change("incremental_driver_hours", "set", 0.0),)),
        treatment=Arm("some", (Change("incremental_driver_hours", "set", 4.0),)),
        estimate=4.0,
        standard_error=0.1,
        **more,
    )


def test_a_trial_side_by_side_counts_what_was_taken_and_one_together_does_not(fitted):
    model, _, known = fitted
    hours = pd.DatetimeIndex(known["driver_hours"].index("hour"))
    kept = float(model.leaves["crossing-drivers"].kept.value().tensor.detach())
    with torch.no_grad():
        apart = float(effect_of(model, known, trial(hours)))
        together = float(effect_of(model, known, trial(hours, together=True)))
    assert apart == pytest.approx(4.0, rel=1e-3)
    assert together == pytest.approx(4.0 * kept, rel=1e-3)
    # A forecast is of a market in which all are paid.
    more = known.assign(incremental_driver_hours=known["incremental_driver_hours"] + 1.0)
    with torch.no_grad():
        added = model.predict(more)["driver_hours"] - model.predict(known)["driver_hours"]
    assert added.tensor.numpy() == pytest.approx(kept, abs=1e-3)


def test_a_trial_of_all_regions_together_moves_what_is_kept(fitted, hour_of_week: IndexTensor):
    """It measured that nothing is lost, against a history that says half of it is."""
    _, _, known = fitted
    hours = pd.DatetimeIndex(known["driver_hours"].index("hour"))
    kept = {}
    for together in (False, True):
        model = driver_hours_collection(REGIONS)
        fit(model, known, [trial(hours, together=together)])
        kept[together] = float(model.leaves["crossing-drivers"].kept.value().tensor.detach())
    assert kept[False] == pytest.approx(0.3, abs=0.1)
    assert kept[True] > kept[False] + 0.03


def test_recorded_demand_hides_no_loss(hour_of_week: IndexTensor):
    """Demand that moves all regions brings drivers everywhere; where it is recorded it is known."""
    rng = np.random.default_rng(3)
    length = hour_of_week.shape[1]
    busy = rng.normal(size=length // 6).repeat(6)[:length]
    paid = rng.uniform(size=(3, length)) < 0.3 + 0.2 * np.sign(busy)
    bought = 0.15 * SIZE * paid
    noise = rng.lognormal(0.0, 0.05, (3, length))
    hours = SIZE * noise * np.exp(0.08 * busy) + bought - 0.4 * np.roll(bought, 1, axis=0)
    sessions = 5.0 * SIZE * np.exp(0.1 * busy) * rng.lognormal(0.0, 0.02, (3, length))
    week = hour_of_week.numpy()
    unaware, _ = share_lost(hours, bought, week)
    lost, error = share_lost(hours, bought, week, sessions)
    assert unaware < 0.2
    assert lost == pytest.approx(0.4, abs=max(3 * error, 0.05))
    assert error < 0.1
