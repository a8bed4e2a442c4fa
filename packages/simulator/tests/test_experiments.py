import json

import numpy as np
import pytest

from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_simulator import MarketWorlds, WorldError
from dagcast_simulator._schedule import PARTS_OF_DAY
from dagcast_simulator._trials import TrialError, apply_trial, fare_split, geo, switchback
from dagcast_simulator._truth import TruthError

GUARANTEE = ("guarantee",)


@pytest.fixture(scope="module")
def ten_weeks():
    """Long enough for one bonus after the other."""
    return MarketWorlds().create(5, 10, 1, {})


@pytest.fixture(scope="module")
def measured(ten_weeks):
    return {item.experiment.name: item for item in ten_weeks.experiments()}


def _experiment(world, lever, outcome, arms, *, scale="absolute", weeks=(1, 2), **changes):
    hours = world.environment.hours
    return Experiment(
        "question",
        (lever,),
        outcome,
        cells=Cells(
            world.region_names[:2],
            hours[168 * weeks[0]].isoformat(),
            hours[168 * weeks[1] - 1].isoformat(),
            dim="region",
        ),
        control=Arm("control", (arms[0],)),
        treatment=Arm("treatment", (arms[1],)),
        estimate=0.0,
        standard_error=1.0,
        scale=scale,
        **changes,
    )


def test_the_default_set_informs_every_link(measured):
    links = {(e.experiment.levers[0], e.experiment.outcome) for e in measured.values()}
    assert links == {
        ("incentive_spend", "incremental_driver_hours"),
        ("incentive_spend", "driver_hours"),
        ("incentive_spend", "rides"),
        ("driver_hours", "eta"),
        ("driver_hours", "prime_time"),
        ("driver_hours", "rides"),
        ("coupon_spend", "sessions"),
        ("base_fare", "conversion"),
    }
    assert len(measured) == 11


def test_estimates_from_one_trial_come_with_their_covariance(ten_weeks, measured):
    known = ten_weeks.experiment_set()
    assert set(known.covariances) == {"bonus-pause", "supply-switchback"}
    hours, rides = (measured[f"bonus-pause-{outcome}"] for outcome in ("hours", "rides"))
    assert known.covariances["bonus-pause"][0][1] == pytest.approx(
        hours.influence @ rides.influence
    )
    for item in measured.values():
        error = np.sqrt(item.influence @ item.influence)
        assert item.experiment.standard_error == pytest.approx(error)


def test_longer_histories_try_two_doses_and_parts_of_the_day():
    world = MarketWorlds().create(3, 16, 1, {})
    trials = {trial.name: trial for trial in world.trials}
    full, low = (trials[f"streak{dose}-switchback"] for dose in ("", "-low"))
    assert low.treatment[0].value == pytest.approx(full.treatment[0].value / 3, abs=0.5)
    assert full.start + full.hours == low.start
    names = {item.experiment.name for item in world.experiments()}
    assert {f"{kind}-low-hours" for kind in ("guarantee", "streak", "boost")} <= names
    assert {f"bonus-pause-{part}-hours" for part in PARTS_OF_DAY} <= names
    assert len(names) == 17


def test_parts_of_the_day_share_out_all_hours():
    assert sorted(hour for part in PARTS_OF_DAY.values() for hour in part) == list(range(24))


def test_estimates_agree_with_the_truth_within_their_errors(ten_weeks, measured):
    for name, item in measured.items():
        if name == "fare-conversion":
            continue
        truth = ten_weeks.true_effect(item.experiment)
        z = (item.experiment.estimate - truth) / item.experiment.standard_error
        assert abs(z) < 3.5, (name, item.experiment.estimate, truth)
        assert np.sign(truth) == (-1 if item.experiment.outcome in ("eta", "prime_time") else 1)


def test_a_user_split_overstates_a_price_change_for_all(ten_weeks, measured):
    """Treated riders leave drivers to the others; if all pay more, everybody waits less."""
    split = measured["fare-conversion"].experiment
    truth = ten_weeks.true_effect(split)
    assert split.estimate < truth < 0
    assert split.estimate == pytest.approx(-0.25, abs=0.12)


def test_cells_hold_what_the_estimate_was_computed_from(measured):
    item = measured["guarantee-hours"]
    cells = item.cells
    assert {"region", "hour", "treated", "used", "driver_hours"} - set(cells) == {"driver_hours"}
    used = cells[cells["used"]]
    means = used.groupby("treated")["incremental_driver_hours"].mean()
    # Arms are balanced, so even the plain difference is in the estimate's neighbourhood.
    plain = means[True] - means[False]
    assert abs(plain - item.experiment.estimate) < 4 * item.experiment.standard_error
    # Pairs of windows, and SFO with OAK and NYC with EWR as one: they switch together.
    assert item.clusters == used.groupby(["cluster", used["window"] // 2]).ngroups
    assert used.groupby("cluster")["region"].nunique().tolist() == [2, 2]


def test_the_trials_are_in_the_recorded_history(ten_weeks):
    trial = next(t for t in ten_weeks.trials if t.name == "streak-switchback")
    spend = ten_weeks.levers.incentive_spend[1]
    rows, columns = np.asarray(trial.regions), np.arange(trial.start, trial.start + trial.hours)
    inside = spend[np.ix_(rows, columns)]
    assert set(np.unique(inside)) == {trial.control[0].value, trial.treatment[0].value}
    assert np.array_equal(inside > 0, trial.arm_by_hour())


def test_estimates_do_not_know_the_truth(ten_weeks, measured):
    """Scrambled outcomes give an estimate near zero: it comes from the cells alone."""
    from dagcast_simulator._measure import measure

    trial = next(t for t in ten_weeks.trials if t.name == "guarantee-switchback")
    quantities = ten_weeks._past.quantities()
    rng = np.random.default_rng(0)
    scrambled = {"driver_hours": rng.permuted(quantities["driver_hours"], axis=1)}
    item = measure(ten_weeks.environment, (trial,), scrambled, "null", "driver_hours")
    assert abs(item.experiment.estimate) < 3 * item.experiment.standard_error
    everything = measured["bonus-pause-hours"].experiment
    assert everything.estimate > 2 * everything.standard_error


def test_experiments_survive_a_round_trip_through_json(measured):
    for item in measured.values():
        data = json.loads(json.dumps(item.experiment.to_json()))
        assert Experiment.from_json(data) == item.experiment


def test_windows_of_a_pair_have_one_of_each_arm(ten_weeks):
    trial = next(t for t in ten_weeks.trials if t.name == "guarantee-switchback")
    pairs = trial.treated[:, : trial.treated.shape[1] // 2 * 2].reshape(len(trial.regions), -1, 2)
    assert (pairs.sum(axis=2) == 1).all()


def test_the_washout_costs_every_hour_of_the_day_alike(ten_weeks):
    trial = next(t for t in ten_weeks.trials if t.name == "guarantee-switchback")
    used = trial.used_hours()[: 168 * (trial.hours // 168)]
    per_hour = np.bincount(np.arange(len(used)) % 24, used, minlength=24)
    assert per_hour.min() == per_hour.max() > 0


def test_neighbours_switch_together_in_a_border_clustered_trial(ten_weeks):
    trial = next(t for t in ten_weeks.trials if t.name == "boost-switchback")
    assert np.array_equal(trial.treated[0], trial.treated[1])
    assert not np.array_equal(trial.treated[0], trial.treated[2])


def test_a_short_history_tries_the_bonuses_at_once_and_a_very_short_one_none():
    short = MarketWorlds().create(2, 4, 0, {})
    assert {trial.start for trial in short.trials} == {168}
    assert {t.name for t in short.trials} == {
        "guarantee-switchback",
        "streak-switchback",
        "boost-switchback",
        "coupon-switchback",
        "fare-split",
    }
    assert MarketWorlds().create(2, 3, 0, {}).trials == ()


@pytest.mark.parametrize(("regions", "weeks"), [(1, 4), (2, 4), (1, 8), (3, 5)])
def test_small_worlds_measure_what_they_can(regions, weeks):
    small = MarketWorlds().create(regions, weeks, 0, {})
    for item in small.experiments():
        assert item.experiment.standard_error > 0
        assert np.isfinite(item.experiment.estimate)


def test_the_late_region_takes_part_in_no_trial(ten_weeks):
    late = len(ten_weeks.regions) - 1
    assert all(late not in trial.regions for trial in ten_weeks.trials)


def test_a_replayed_geo_test_measures_a_strong_effect(ten_weeks):
    trial = geo(
        "geo-guarantee",
        ten_weeks.environment,
        regions=range(4),
        start=168 * 7,
        hours=168,
        control=(Change("incentive_spend", "set", 0.0, {"incentive": GUARANTEE}),),
        treatment=(Change("incentive_spend", "set", 60.0, {"incentive": GUARANTEE}),),
        seed=5,
    )
    item = ten_weeks.run(trial, "driver_hours")
    assert trial.treated.sum() == 2
    assert item.experiment.design == "geo"
    assert item.clusters == 4
    truth = ten_weeks.true_effect(item.experiment)
    assert item.experiment.estimate == pytest.approx(truth, abs=4 * item.experiment.standard_error)
    assert truth > 3


def test_a_replayed_switchback_can_be_stated_as_a_ratio(ten_weeks):
    trial = switchback(
        "replayed",
        ten_weeks.environment,
        regions=range(4),
        start=168 * 8,
        hours=168 * 2,
        control=(Change("incentive_spend", "scale", 0.0),),
        treatment=(Change("incentive_spend", "set", 20.0, {"incentive": GUARANTEE}),),
        seed=5,
    )
    ratio = ten_weeks.run(trial, "driver_hours", scale="ratio").experiment
    absolute = ten_weeks.run(trial, "driver_hours").experiment
    assert ratio.scale == "ratio"
    assert 0.05 < ratio.estimate < 1.0
    assert ratio.estimate / ratio.standard_error == pytest.approx(
        absolute.estimate / absolute.standard_error, rel=0.5
    )


def test_truth_of_no_change_is_zero(calm):
    same = Change("base_fare", "scale", 1.0)
    question = _experiment(calm, "base_fare", "rides", (Change("base_fare", "add", 0.0), same))
    assert calm.true_effect(question) == 0.0


def test_truth_of_spend_is_the_difference_of_two_replays(calm):
    question = _experiment(
        calm,
        "incentive_spend",
        "incremental_driver_hours",
        (
            Change("incentive_spend", "set", 0.0),
            Change("incentive_spend", "set", 10.0, {"incentive": GUARANTEE}),
        ),
    )
    spend = [calm.levers.incentive_spend.copy() for _ in range(2)]
    spend[0][:, :, 168:336] = 0.0
    spend[1][0, :, 168:336] = 10.0
    hours = [
        calm._past.replay(calm.levers.replace(incentive_spend=s), 168, 168)["driver_hours"].mean()
        for s in spend
    ]
    assert calm.true_effect(question) == pytest.approx(hours[1] - hours[0])


def test_truth_knows_the_levers_between_the_models(calm):
    for lever, outcome, sign in (
        ("driver_hours", "eta", -1),
        ("prime_time", "conversion", -1),
        ("sessions", "prime_time", 1),
        ("coupon_spend", "coupon_sessions", 1),
    ):
        arms = (Change(lever, "scale", 0.9), Change(lever, "scale", 1.1))
        if lever in ("coupon_spend", "prime_time"):
            value = 50.0 if lever == "coupon_spend" else 0.3
            arms = (Change(lever, "set", 0.0), Change(lever, "set", value))
        truth = calm.true_effect(_experiment(calm, lever, outcome, arms))
        assert np.sign(truth) == sign, lever


def test_driver_hours_are_brought_to_what_the_arm_asks(calm):
    base = calm._past.replay(calm.levers, 168, 168)["driver_hours"].mean()
    arms = (Change("driver_hours", "set", base), Change("driver_hours", "add", 2.0))
    truth = calm.true_effect(_experiment(calm, "driver_hours", "driver_hours", arms))
    assert truth == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(
    ("lever", "outcome", "message"),
    [
        ("weather", "rides", "cannot scale 'weather'; it can change incentive_spend"),
        ("base_fare", "happiness", "knows carry_hours, conversion"),
    ],
)
def test_truth_refuses_what_it_does_not_know(calm, lever, outcome, message):
    arms = (Change(lever, "scale", 1.0), Change(lever, "scale", 1.1))
    with pytest.raises(TruthError, match=message):
        calm.true_effect(_experiment(calm, lever, outcome, arms))


def test_truth_refuses_foreign_regions_and_hours(calm, world):
    arms = (Change("base_fare", "scale", 1.0), Change("base_fare", "scale", 1.1))
    far = _experiment(world, "base_fare", "rides", arms, weeks=(5, 6))
    with pytest.raises(TruthError, match="this world knows 2026-01-12"):
        calm.true_effect(far)
    foreign = Experiment.from_json(
        {**far.to_json(), "cells": {**far.cells.to_json(), "regions": ["Atlantis"]}}
    )
    with pytest.raises(TruthError, match="names the region 'Atlantis'; this world has SFO, OAK"):
        calm.true_effect(foreign)


def test_trials_that_do_not_fit_are_refused(ten_weeks):
    env = ten_weeks.environment
    arms = {"control": (), "treatment": (Change("coupon_spend", "set", 9.0),), "seed": 0}
    with pytest.raises(TrialError, match="at least two whole windows"):
        switchback("x", env, regions=[0], start=0, hours=30, **arms)
    with pytest.raises(TrialError, match="opens only in hour"):
        switchback("x", env, regions=[4], start=0, hours=168, **arms)
    with pytest.raises(TrialError, match="does not fit a world"):
        switchback("x", env, regions=[0], start=168 * 30, hours=168, **arms)
    with pytest.raises(TrialError, match="needs 4 regions or more; got 2"):
        geo("x", env, regions=[0, 1], start=400, hours=168, **arms)
    with pytest.raises(TrialError, match="factor 1 on the fare"):
        fare_split("x", env, regions=[0], start=0, hours=168, factor=1)
    with pytest.raises(WorldError, match="cannot be replayed"):
        ten_weeks.run(
            fare_split("x", env, regions=[0], start=0, hours=168, factor=1.1), "conversion"
        )
    unknown = Change("incentive_spend", "set", 1.0, {"incentive": ("bribe",)})
    trial = switchback(
        "x", env, regions=[0], start=0, hours=168, control=(), treatment=(unknown,), seed=0
    )
    with pytest.raises(TrialError, match="no incentive 'bribe'; known: guarantee"):
        apply_trial(ten_weeks.levers, trial)
