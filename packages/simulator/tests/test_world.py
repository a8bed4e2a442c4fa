import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_simulator import MarketWorlds, WorldError
from dagcast_simulator._search import best_plan


def _naive_slope(world):
    """Rides on spend by least squares with fixed effects of region and hour of week."""
    hours = 168 * world.weeks
    rides = world._past.quantities()["rides"]
    spend = world.levers.incentive_spend[:, :, :hours].sum(axis=0)
    x, y = [], []
    for i in range(len(world.regions)):
        how = world.environment.hour_of_week[i, :hours]
        for values, target in ((spend[i], x), (rides[i], y)):
            usual = np.bincount(how, values, 168) / np.maximum(np.bincount(how, minlength=168), 1)
            target.append(values - usual[how])
    x, y = np.concatenate(x), np.concatenate(y)
    return float(x @ y / (x @ x))


def _true_slope(world):
    """Rides per USD from a tenth more and a tenth less of what was spent."""
    hours = world.environment.hours
    arms = [
        Arm(name, (Change("incentive_spend", "scale", f),))
        for name, f in (("less", 0.9), ("more", 1.1))
    ]
    question = Experiment(
        "slope",
        ("incentive_spend",),
        "rides",
        cells=Cells(
            world.region_names,
            hours[0].isoformat(),
            hours[168 * world.weeks - 1].isoformat(),
            dim="region",
        ),
        control=arms[0],
        treatment=arms[1],
        estimate=0.0,
        standard_error=1.0,
    )
    spend = world.levers.incentive_spend[:, :, : 168 * world.weeks].sum(axis=0).mean()
    return world.true_effect(question) / (0.2 * spend)


def test_past_spend_is_confounded_by_more_than_half():
    scenario = {"experiments": False, "new_region": False}
    world = MarketWorlds().create(3, 8, 2, {**scenario, "base": "strong_confounding"})
    truth = _true_slope(world)
    assert truth > 0
    assert _naive_slope(world) > 1.5 * truth


@pytest.mark.again
def test_without_foresight_the_naive_slope_is_much_nearer_the_truth():
    blind = {"confounding": 0.0, "driver_foresight": 0.0}
    scenario = {"experiments": False, "new_region": False, "unforeseen_hours": 0, **blind}
    world = MarketWorlds().create(3, 8, 2, scenario)
    truth = _true_slope(world)
    strong = MarketWorlds().create(3, 8, 2, {**scenario, "confounding": 1.2})
    bias, strong_bias = _naive_slope(world) / truth - 1, _naive_slope(strong) / _true_slope(strong)
    assert abs(bias) < 0.5 * abs(strong_bias - 1)


def test_spend_is_worth_something(calm, calm_plan):
    nothing = calm.outcome(calm_plan.assign(usd=0.0))
    operator = calm.outcome(calm_plan)
    assert operator["rides"].sum() > 1.02 * nothing["rides"].sum()
    assert operator["profit"].sum() > nothing["profit"].sum()


def test_profit_is_what_remains(calm, calm_plan):
    outcome = calm.outcome(calm_plan)
    costs = outcome[["driver_pay", "incentive_spend", "coupon_spend"]].sum(axis=1)
    assert np.allclose(outcome["profit"], outcome["revenue"] - costs)
    hours = outcome[["idle_hours", "en_route_hours", "carry_hours"]].sum(axis=1)
    assert np.allclose(outcome["driver_hours"], hours)
    assert (outcome["rides"] <= outcome["requests"]).all()
    assert (outcome["requests"] <= outcome["sessions"]).all()


def test_outcome_covers_the_planning_week_by_region_and_hour(calm, calm_plan):
    outcome = calm.outcome(calm_plan)
    assert list(outcome["region"].unique()) == list(calm.region_names)
    assert pd.DatetimeIndex(outcome["hour"].unique()).equals(calm.planning_hours)
    assert str(outcome["hour"].dtype) == "datetime64[us, UTC]"


def test_replications_average_over_luck(calm, calm_plan):
    singles = [
        calm.objective({"rides": 1.0}, calm.operator_spend(), 1),
        calm.outcome(calm_plan, replications=4)["rides"].sum(),
    ]
    assert singles[0] != singles[1]
    assert singles[1] == pytest.approx(singles[0], rel=0.05)
    again = calm.outcome(calm_plan, replications=4)["rides"].sum()
    assert again == singles[1]


def test_cells_left_out_of_a_plan_get_nothing(calm, calm_plan):
    some = calm_plan[calm_plan["incentive"] == "boost"]
    full = calm_plan.assign(usd=calm_plan["usd"].where(calm_plan["incentive"] == "boost", 0.0))
    pd.testing.assert_frame_equal(calm.outcome(some), calm.outcome(full))
    empty = calm.outcome(calm_plan.iloc[:0])
    assert empty["incentive_spend"].sum() == 0


def test_the_order_of_decisions_does_not_matter(calm, calm_plan):
    shuffled = calm_plan.sample(frac=1.0, random_state=0)
    pd.testing.assert_frame_equal(calm.outcome(shuffled), calm.outcome(calm_plan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="usd"), "lack the column 'usd'"),
        (lambda d: d.assign(region="Atlantis"), "region 'Atlantis'; this world has SFO, OAK"),
        (lambda d: d.assign(incentive="bribe"), "incentive 'bribe'; this world has guarantee"),
        (lambda d: d.assign(usd=-1.0), r"hold -1.0 USD/h in row 0"),
        (lambda d: d.assign(usd=np.nan), "finite numbers"),
        (lambda d: pd.concat([d, d.iloc[:1]]), "more than once"),
        (lambda d: d.assign(hour=d["hour"] - pd.Timedelta(weeks=1)), "outside what this world"),
        (lambda d: d.assign(hour=d["hour"].dt.tz_localize(None)), "without a time zone"),
    ],
)
def test_decisions_that_do_not_fit_are_refused(calm, calm_plan, change, message):
    with pytest.raises(WorldError, match=message):
        calm.outcome(change(calm_plan))


def test_a_world_plays_whole_days_from_now_on(calm, calm_plan, tmp_path):
    rows = calm.play(tmp_path, calm_plan, calm.planning_hours[:48])
    assert rows["weather.parquet"] == 2 * 48
    for hours in (calm.planning_hours[:30], calm.planning_hours[24:48], calm.planning_hours[:0]):
        with pytest.raises(WorldError, match="plays whole days from"):
            calm.play(tmp_path, calm_plan, hours)


def test_a_world_can_play_more_weeks_if_asked_in_time(tmp_path):
    world = MarketWorlds().create(1, 1, 0, {"base": "calm", "horizon_weeks": 2})
    hours = world.environment.hours[168:]
    assert world.play(tmp_path, world.operator_decisions(), hours)["weather.parquet"] == 336 + 168


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((0, 4, 0), "regions"), ((2, 0, 0), "weeks"), ((2, 4, -1), "seed"), ((2.0, 4, 0), "regions")],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(WorldError, match=f"{message} must be a whole number"):
        MarketWorlds().create(*sizes, {})


def test_a_folder_without_a_world_is_refused(tmp_path):
    with pytest.raises(WorldError, match=r"no world.json in"):
        MarketWorlds().load(tmp_path)
    (tmp_path / "world.json").write_text("[]")
    with pytest.raises(WorldError, match="not a world's manifest"):
        MarketWorlds().load(tmp_path)
    (tmp_path / "world.json").write_text(json.dumps({"kind": "market", "format": 99}))
    with pytest.raises(WorldError, match=r"format 99; this simulator reads 'market', format 2"):
        MarketWorlds().load(tmp_path)


def test_the_best_plan_beats_nothing_and_the_operator():
    world = MarketWorlds().create(1, 2, 3, {"base": "calm"})
    best = best_plan(world, "profit", replications=1, evaluations=150)
    assert best.value >= best.operator
    assert best.value > 1.01 * best.zero
    assert best.evaluations <= 150
    outcome = world.outcome(best.decisions)
    assert outcome["profit"].sum() == pytest.approx(best.value)
    assert best.decisions["usd"].sum() == pytest.approx(best.spend)


def test_a_search_can_go_on_from_a_plan_for_several_outcomes():
    world = MarketWorlds().create(1, 2, 3, {"base": "calm"})
    weights = {"profit": 1.0, "rides": 4.0}
    start = world.operator_decisions()
    budget = 0.5 * float(start["usd"].sum())
    best = best_plan(world, weights, budget=budget, start=start, replications=1, evaluations=40)
    outcome = world.outcome(best.decisions)
    assert outcome["profit"].sum() + 4 * outcome["rides"].sum() == pytest.approx(best.value)
    assert best.value > best.operator
    # Hours keep their pattern within a class: the operator's plan is not even there.
    spends = best.decisions["usd"].to_numpy()
    assert len(np.unique(spends)) > 40
    with pytest.raises(WorldError, match="lack the column 'usd'"):
        best_plan(world, weights, start=start.drop(columns="usd"))
    with pytest.raises(ValueError, match="weights of some: profit, rides"):
        best_plan(world, {"profit": 1.0, "eta": -1.0})


def test_an_objective_can_be_judged_on_other_replications():
    world = MarketWorlds().create(1, 2, 3, {"base": "calm"})
    spend = world.operator_spend()
    parts = [world.objective({"rides": 1.0}, spend, [i]) for i in (0, 1, 5)]
    assert world.objective({"rides": 1.0}, spend, 2) == pytest.approx(sum(parts[:2]) / 2)
    assert world.objective({"rides": 1.0}, spend, (0, 5)) == pytest.approx(
        (parts[0] + parts[2]) / 2
    )
    assert len(set(parts)) == 3


def test_the_best_plan_keeps_its_budget():
    world = MarketWorlds().create(1, 2, 3, {"base": "calm"})
    budget = 0.5 * float(world.operator_spend().sum())
    best = best_plan(world, "rides", budget=budget, replications=1, evaluations=60)
    assert best.spend <= budget * (1 + 1e-9)
    assert best.value > best.zero
    with pytest.raises(ValueError, match="must be a weekly sum"):
        best_plan(world, "eta")
    with pytest.raises(ValueError, match="budget must be at least 0"):
        best_plan(world, "rides", budget=-1.0)


def test_the_plugin_offers_the_market_without_importing_numba():
    code = (
        "import sys, dagcast_simulator.plugin as p; "
        "assert not {'numba', 'torch', 'pandas'} & set(sys.modules); "
        "print(p.dagcast_worlds()[0].name); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "market"


def test_the_market_is_found_through_its_entry_point():
    from importlib.metadata import entry_points

    (entry,) = [e for e in entry_points(group="dagcast.models") if e.name == "simulator"]
    assert entry.value == "dagcast_simulator.plugin"


def test_every_public_name_can_be_imported():
    import dagcast_simulator

    for name in dagcast_simulator.__all__:
        assert getattr(dagcast_simulator, name) is not None
    assert dagcast_simulator.__all__ == sorted(dagcast_simulator.__all__)
    with pytest.raises(AttributeError, match="no attribute 'marketworld'"):
        dagcast_simulator.marketworld


def test_replaying_the_history_unchanged_gives_the_history(world):
    again = world.replay(world.levers, first=2 * 168, hours=168)
    hours = world.history_hours[2 * 168 : 3 * 168]
    happened = world.history()
    happened = happened[happened["hour"].isin(hours)].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, happened)


def test_replications_meet_other_riders_in_the_same_environment(world):
    one, three = (
        world.replay(world.levers, first=168, hours=168, replications=count) for count in (1, 3)
    )
    assert one["rides"].sum() == pytest.approx(three["rides"].sum(), rel=0.03)
    assert (one["rides"] != three["rides"]).any()
    np.testing.assert_allclose(three["rides"] * 3, (three["rides"] * 3).round(), atol=1e-9)


def test_a_replay_outside_the_history_is_refused(world):
    for part in ({"first": -1, "hours": 5}, {"first": 6 * 168 - 4, "hours": 5}):
        with pytest.raises(WorldError, match="this history has 1008 hours"):
            world.replay(world.levers, **part)


def test_an_effect_averaged_over_replications_is_near_that_of_the_history(world):
    bonus = next(item.experiment for item in world.experiments() if item.experiment.levers)
    once, often = (world.true_effect(bonus, replications=count) for count in (1, 4))
    assert once != often
    assert once == pytest.approx(often, rel=0.5)
    with pytest.raises(WorldError, match="at least 1"):
        world.true_effect(bonus, replications=0)
