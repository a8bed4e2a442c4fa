import math

import numpy as np
import pytest

from dagcast_simulator import MarketWorlds
from dagcast_simulator._hourly import hourly
from dagcast_simulator._loop import nearest


def _steady(world, **changes):
    """The operator's levers without bonuses, coupons or price changes."""
    ones = np.ones_like(world.levers.base_fare)
    return world.levers.replace(
        incentive_spend=np.zeros_like(world.levers.incentive_spend),
        coupon_spend=0 * ones,
        base_fare=world.scenario.base_fare * ones,
        **changes,
    )


def _week(world, levers, replication=0):
    run = world._past.market.engine.run(levers, world._past.state_at(1), 168, replication)
    return run, hourly(run, levers)


@pytest.mark.parametrize("n", [1.0, 3.0, 20.0])
def test_distance_to_the_nearest_follows_the_closed_form(n):
    u = (np.arange(20_000) + 0.5) / 20_000
    mean = np.mean([nearest(n, x) for x in u])
    beta = math.gamma(0.5) * math.gamma(n + 1) / math.gamma(n + 1.5)
    assert mean == pytest.approx(beta / 2, rel=1e-3)


def test_driver_hours_are_idle_en_route_or_carrying(world):
    for run in world._past.runs():
        driver, region, on, off = run.shifts
        online = np.zeros((len(world.regions), run.hours))
        first = 60 * run.first
        for r, a, b in zip(region, on - first, off - first, strict=True):
            for h in range(a // 60, (b - 1) // 60 + 1):
                online[r, h] += min(b, 60 * h + 60) - max(a, 60 * h)
        assert np.array_equal(online, run.driver_minutes.sum(axis=2))
        assert (off > on).all()
        assert driver.min() >= 0


def test_rides_are_requests_are_sessions(world):
    for run in world._past.runs():
        requested, completed = run.sessions[4] > 0, run.sessions[5] > 0
        assert not (completed & ~requested).any()
        assert ((run.sessions[6] > 0) == completed).all()
        assert run.sessions[7].sum() < run.sessions[6].sum()


def test_no_driver_is_in_two_places(calm):
    run = calm._past.runs()[0]
    driver, _, on, off = run.shifts
    order = np.lexsort((on, driver))
    same = driver[order][1:] == driver[order][:-1]
    assert (on[order][1:][same] >= off[order][:-1][same]).all()


def test_trips_take_what_carrying_takes(calm):
    """A law of the whole: minutes carrying per ride are the mean trip in mean traffic."""
    history = calm.history()
    per_ride = 60 * history["carry_hours"].sum() / history["rides"].sum()
    assert 13.0 < per_ride < 13.0 * 1.35


def test_a_world_repeats_bit_by_bit():
    def runs():
        world = MarketWorlds().create(2, 1, 11, {"base": "calm"})
        return world._past.runs()[0]

    a, b = runs(), runs()
    assert np.array_equal(a.sessions, b.sessions)
    assert np.array_equal(a.shifts, b.shifts)


def test_another_seed_gives_another_world():
    worlds = [MarketWorlds().create(1, 1, seed, {"base": "calm"}) for seed in (1, 2)]
    totals = [world.history()["sessions"].sum() for world in worlds]
    assert totals[0] != totals[1]


def test_a_run_leaves_its_starting_state_alone(calm):
    state = calm._past.state_at(1)
    before = state.copy()
    calm._past.market.engine.run(calm.levers, state, 24)
    assert np.array_equal(state.driver, before.driver)
    assert np.array_equal(state.region, before.region)


def test_a_plan_changes_nothing_before_it_begins(calm):
    levers = calm.levers
    spend = levers.incentive_spend.copy()
    spend[:, :, 168 + 72 :] += 10.0
    _, before = _week(calm, levers)
    _, after = _week(calm, levers.replace(incentive_spend=spend))
    for name in before:
        assert np.array_equal(before[name][:, :72], after[name][:, :72], equal_nan=True), name
    assert not np.array_equal(before["driver_hours"], after["driver_hours"])


def test_riders_open_the_app_whatever_the_drivers_do():
    world = MarketWorlds().create(2, 1, 5, {"base": "calm", "price_memory": 0.0})
    levers = _steady(world)
    more = levers.replace(starts=1.5 * levers.starts)
    runs = [world._past.market.engine.run(x, world._past.state_at(0), 168) for x in (levers, more)]
    assert np.array_equal(runs[0].sessions[0], runs[1].sessions[0])
    assert np.array_equal(runs[0].sessions[8], runs[1].sessions[8])


def test_common_random_numbers_take_most_of_the_noise_out_of_differences(calm):
    levers = _steady(calm)
    more = levers.replace(starts=1.1 * levers.starts)
    results = [[_week(calm, x, i)[1]["rides"].sum() for i in range(8)] for x in (levers, more)]
    a, b = np.array(results)
    paired = (b - a).std(ddof=1)
    crossed = (np.roll(b, 1) - a).std(ddof=1)
    assert paired < 0.55 * crossed
    assert (b > a).all()


def test_more_drivers_shorten_pickups_and_serve_more(calm):
    levers = _steady(calm)
    _, few = _week(calm, levers)
    _, many = _week(calm, levers.replace(starts=1.3 * levers.starts))
    assert many["driver_hours"].sum() > 1.1 * few["driver_hours"].sum()
    assert np.nanmean(many["eta"]) < np.nanmean(few["eta"])
    assert many["rides"].sum() > few["rides"].sum()


def test_long_pickups_absorb_the_drivers_of_a_tight_market():
    """The wild-goose chase: twice the demand adds pickups' minutes, hardly any rides."""
    world = MarketWorlds().create(2, 2, 5, {"base": "tight"})
    levers = _steady(world, prime_scale=np.zeros_like(world.levers.prime_scale))

    def week(demand):
        _, q = _week(world, levers.replace(demand=demand * levers.demand))
        hours = q["driver_hours"].sum()
        return q["rides"].sum() / hours, q["en_route_hours"].sum() / hours

    (rides, chase), (more_rides, more_chase) = week(1.0), week(2.0)
    assert more_rides < 1.15 * rides
    assert more_chase > 1.15 * chase > 0.25


def test_requests_have_the_stated_price_elasticity_within_the_hour():
    world = MarketWorlds().create(2, 4, 5, {"base": "calm"})
    # Half the riders see a higher fare at the same pickup times and prime time.
    levers = _steady(world, fare_split=np.full_like(world.levers.base_fare, 1.2))
    run = world._past.market.engine.run(levers, world._past.state_at(0), 4 * 168)
    treated, requested = run.sessions[8] > 0, run.sessions[4]
    ratio = requested[treated].mean() / requested[~treated].mean()
    assert np.log(ratio) / np.log(1.2) == pytest.approx(-0.25, abs=0.05)


def test_prime_time_rises_with_demand(calm):
    levers = _steady(calm)
    _, usual = _week(calm, levers)
    _, crowded = _week(calm, levers.replace(demand=1.4 * levers.demand))
    assert np.nanmean(crowded["prime_time"]) > 1.5 * np.nanmean(usual["prime_time"])
    assert crowded["prime_time"].max() <= calm.scenario.prime_limit


def test_bonus_hours_now_leave_fewer_for_later():
    """Carry-over, then substitution: who came stays a while, who is tired starts less."""
    world = MarketWorlds().create(
        2, 2, 5, {"base": "calm", "fatigue": 1.5, "fatigue_half_life": 12.0}
    )
    levers = _steady(world)
    spend = levers.incentive_spend.copy()
    spend[0, :, 168 + 48 : 168 + 60] = 40.0
    effect = np.zeros(168)
    for i in range(12):
        _, base = _week(world, levers, i)
        _, paid = _week(world, levers.replace(incentive_spend=spend), i)
        effect += (paid["driver_hours"] - base["driver_hours"]).sum(axis=0) / 12
    assert effect[48:60].mean() > 3
    assert effect[60] > 0.3
    assert effect[62:76].mean() < -0.7
    assert np.array_equal(effect[:48], np.zeros(48))


def test_a_boost_draws_drivers_over_the_border(calm):
    levers = _steady(calm)
    spend = levers.incentive_spend.copy()
    spend[2, 0, 168:] = 30.0
    _, base = _week(calm, levers)
    _, paid = _week(calm, levers.replace(incentive_spend=spend))
    change = (paid["driver_hours"] - base["driver_hours"]).sum(axis=1)
    assert change[0] > 0
    assert change[1] < 0


def test_a_run_beyond_the_world_is_refused(calm):
    with pytest.raises(ValueError, match="horizon_weeks"):
        calm._past.market.engine.run(calm.levers, calm._past.state_at(2), 169)
