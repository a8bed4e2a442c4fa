"""The world goes on: weeks that are played one after another."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dagcast_core.contract import Change, ExperimentSet
from dagcast_simulator import MarketWorlds, WorldError, switchback
from dagcast_simulator._market import make_market

SCENARIO = {
    "retention_loss": 0.3,
    "retention_wait": 4.0,
    "tiring": 0.5,
    "operator_reaction": 0.5,
    "unforeseen_hours": 0,
}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """A world and three weeks that were played after its history, each with its own plan."""
    folder = tmp_path_factory.mktemp("weeks")
    world = MarketWorlds().create(2, 2, 4, SCENARIO)
    world.write_events(folder / "history")
    played = []
    for number, factor in enumerate((1.0, 0.0, 2.0)):
        plan = world.operator_decisions()
        plan["usd"] *= factor
        target = folder / f"played-{number}"
        outcome = world.outcome(plan)
        world.play(target, plan, world.planning_hours)
        played.append((world, target, outcome))
        world = world.after(target)
    return folder, played, world


def test_what_was_played_is_the_history_of_the_world_that_goes_on(weeks):
    _, played, last = weeks
    history = last.history()
    assert last.weeks == 5
    for world, _, outcome in played:
        part = history[history["hour"].isin(world.planning_hours)].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, outcome)
        again = last.replay(last.levers, first=168 * world.weeks, hours=168)
        pd.testing.assert_frame_equal(again, outcome)


def test_the_past_stays_as_it_was(weeks):
    _, ((first, *_), *_), last = weeks
    history = last.history()
    before = history[history["hour"].isin(first.history_hours)].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, first.history())


def test_a_world_goes_on_from_its_folders_alone(weeks):
    folder, played, last = weeks
    world = MarketWorlds().load(folder / "history")
    for _, target, _ in played:
        world = world.after(target)
    plan = last.operator_decisions()
    pd.testing.assert_frame_equal(world.operator_decisions(), plan)
    pd.testing.assert_frame_equal(world.outcome(plan), last.outcome(plan))


def test_sessions_and_shifts_keep_their_own_ids(weeks):
    folder, played, _ = weeks
    for name, key in (("sessions", "session_id"), ("shifts", "shift_id")):
        ids = np.concatenate(
            [
                pq.read_table(path / f"{name}.parquet").to_pandas()[key].unique()
                for path in (folder / "history", *(target for _, target, _ in played))
            ]
        )
        assert len(np.unique(ids)) == len(ids)


def test_each_week_brings_what_the_next_one_needs(weeks):
    _, played, _ = weeks
    for world, target, _ in played:
        ahead = world.planning_hours + pd.Timedelta(weeks=1)
        now = ahead[0]
        for name in ("calendar", "coupons", "fares", "weather"):
            table = pq.read_table(target / f"{name}.parquet").to_pandas()
            known = table[table["known_at"] <= now]
            for region in world.region_names:
                hours = pd.DatetimeIndex(known.loc[known["region"] == region, "hour"])
                assert set(ahead) <= set(hours), name
        weather = pq.read_table(target / "weather.parquet").to_pandas()
        assert (weather["is_forecast"] == weather["hour"].isin(ahead)).all()


def test_what_was_announced_is_what_happens(weeks):
    _, ((_, first, _), (second, *_), *_), _ = weeks
    announced = pq.read_table(first / "fares.parquet").to_pandas()
    start = 168 * second.weeks
    levers = second.levers.base_fare[:, start : start + 168]
    assert np.array_equal(announced["base_fare"].to_numpy(), levers.ravel())


def test_plans_of_the_past_go_on_to_matter(weeks):
    """Drivers who were paid less tire less: the same offer is worth more afterwards."""
    _, ((first, *_), *_), _ = weeks
    replies = []
    for factor in (0.0, 3.0):
        levers = first.levers
        spend = levers.incentive_spend.copy()
        spend[:, :, :168] *= factor
        base = first._past.market.engine.run(
            levers.replace(incentive_spend=spend), first._past.state_at(1), 168
        )
        replies.append(base.driver_minutes.sum())
    assert replies[0] > replies[1]


def test_weeks_follow_in_the_order_in_which_they_were_played(weeks, tmp_path):
    folder, played, last = weeks
    world = MarketWorlds().load(folder / "history")
    with pytest.raises(WorldError, match=r"holds week 3 of 2 regions x 2 weeks, seed 4"):
        world.after(played[1][1])
    with pytest.raises(WorldError, match="no played week in"):
        world.after(tmp_path)
    other = MarketWorlds().create(2, 2, 5, SCENARIO)
    with pytest.raises(WorldError, match="goes on with week 2 of 2 regions x 2 weeks, seed 5"):
        other.after(played[0][1])
    shutil.copytree(played[0][1], tmp_path / "damaged")
    (tmp_path / "damaged" / ".world" / "week.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(WorldError, match="does not describe a played week"):
        world.after(tmp_path / "damaged")
    with pytest.raises(WorldError, match="has gone on for 3 weeks"):
        last.write_events(tmp_path)


def test_a_part_of_a_week_is_no_week_to_go_on_from(weeks, tmp_path):
    _, ((world, *_), *_), _ = weeks
    world.play(tmp_path, world.operator_decisions(), world.planning_hours[:48])
    with pytest.raises(WorldError, match="a whole week"):
        world.after(tmp_path)


def test_a_market_that_is_drawn_further_has_the_same_past():
    short, long = (
        make_market(MarketWorlds().create(4, 3, 7, {}).scenario, 4, 3, 7, further)
        for further in (0, 4)
    )
    assert len(long.hours) == len(short.hours) + 4 * 168
    for a, b in ((short.environment, long.environment), (short.habits, long.habits)):
        for field in dataclasses.fields(a):
            x, y = getattr(a, field.name), getattr(b, field.name)
            if isinstance(x, np.ndarray):
                cut = y[..., : x.shape[-1]] if x.ndim > 1 else y
                assert np.array_equal(x, cut), field.name


# Experiments within a played week


def _trial(world, name="guarantee-again", **changes):
    start = changes.pop("start", 168 * world.weeks)
    quantity = changes.pop("quantity", "incentive_spend")
    arms = {
        "control": (Change(quantity, "set", 0.0),),
        "treatment": (Change(quantity, "set", 12.0),),
    }
    sizes = {"hours": 168, "window": 28, "washout": 8, **changes}
    return switchback(name, world.environment, regions=[0, 1], start=start, seed=1, **arms, **sizes)


def test_an_experiment_runs_inside_a_played_week(weeks, tmp_path):
    _, ((world, *_), *_), _ = weeks
    trial = _trial(world)
    plan = world.operator_decisions()
    rows = world.play(tmp_path, plan, trials=[trial])
    written = ExperimentSet.from_json(json.loads((tmp_path / "experiments.json").read_text()))
    assert rows["experiments.json"] == len(written) == 2
    hours = written["guarantee-again-incremental_driver_hours"]
    going_on = world.after(tmp_path)
    truth = going_on.true_effect(hours, replications=4)
    assert truth > 0
    assert abs(hours.estimate - truth) < 4 * hours.standard_error

    # Cells of the trial were paid what it says, and the plan everywhere else had there been more.
    spend = going_on.levers.incentive_spend[:, :, 168 * world.weeks : 168 * going_on.weeks]
    paid = np.where(trial.arm_by_hour(), 12.0, 0.0)
    assert np.array_equal(spend, np.broadcast_to(paid, spend.shape))
    ids = [item.experiment for item in going_on.experiments()]
    assert [item for item in ids if item.name in {x.name for x in written}] == list(written)


def test_a_trial_may_begin_and_end_in_weeks_to_come(weeks, tmp_path):
    _, ((world, *_), *_), _ = weeks
    sizes = {"quantity": "coupon_spend", "window": 56, "washout": 28}
    now = _trial(world, "coupons-again", **sizes)
    with pytest.raises(WorldError, match="sets coupon_spend from hour 336 on, which is announced"):
        world.play(tmp_path / "no", world.operator_decisions(), trials=[now])
    later = _trial(world, "coupons-again", **sizes, start=168 * world.weeks + 168, hours=336)
    first = _play(world, tmp_path / "1", trials=[later])
    announced = pq.read_table(first / "coupons.parquet").to_pandas()["usd"].to_numpy()
    paid = np.where(later.arm_by_hour(), 12.0, 0.0)
    assert np.array_equal(announced.reshape(2, 168), paid[:, :168])
    world = world.after(first)
    second = _play(world, tmp_path / "2")
    assert not (second / "experiments.json").exists()
    world = world.after(second)
    third = _play(world, tmp_path / "3")
    written = json.loads((third / "experiments.json").read_text())["experiments"]
    assert [item["name"] for item in written] == ["coupons-again-sessions"]
    coupons = world.after(third).levers.coupon_spend[:, later.start : later.start + 336]
    assert np.array_equal(coupons, paid)


def test_trials_that_cannot_begin_are_refused(weeks, tmp_path):
    _, ((world, *_), *_), _ = weeks
    plan = world.operator_decisions()
    for trial, message in (
        (_trial(world, start=168), "begins in hour 168; the week to play begins in hour 336"),
        (_trial(world), "has the name of another trial"),
    ):
        with pytest.raises(WorldError, match=message):
            world.play(tmp_path, plan, trials=[trial, trial])
    with pytest.raises(WorldError, match="begins with a play of 48 hours; expected a week"):
        world.play(tmp_path, plan, world.planning_hours[:48], trials=[_trial(world)])


def _play(world, folder, **options):
    world.play(folder, world.operator_decisions(), **options)
    return folder


def test_plans_are_judged_by_riders_whom_neither_play_nor_search_meets(weeks):
    _, ((world, *_), *_), _ = weeks
    weights = {"profit": 1.0, "rides": 4.0}
    plan = world.operator_decisions()
    fresh = [world.objective(weights, world.operator_spend(), [1000 + k]) for k in range(2)]
    assert world.worth(plan, weights, replications=2) == pytest.approx(np.mean(fresh))
    lived = world.outcome(plan)
    assert world.worth(plan, weights, replications=1) != pytest.approx(
        float((lived["profit"] + 4 * lived["rides"]).sum())
    )
    with pytest.raises(WorldError, match="no outcome 'happiness'"):
        world.worth(plan, {"happiness": 1.0})


def test_best_decisions_keep_the_budget_and_are_no_worse_than_their_start(weeks):
    _, ((world, *_), *_), _ = weeks
    weights = {"profit": 1.0, "rides": 4.0}
    start = world.operator_decisions()
    budget = 0.5 * float(start["usd"].sum())
    best = world.best_decisions(weights, budget=budget, start=start, evaluations=12)
    assert best["usd"].sum() <= budget * (1 + 1e-9)
    start["usd"] *= 0.5
    spent = [
        frame.set_index(["incentive", "region", "hour"])["usd"].to_numpy().reshape(3, 2, 168)
        for frame in (start, best)
    ]
    before, after = (world.objective(weights, spend, 2) for spend in spent)
    assert after >= before
