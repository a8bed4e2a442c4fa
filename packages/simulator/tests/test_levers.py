import dataclasses

import numpy as np
import pytest

from dagcast_simulator._levers import coupon_lift, pressure


def _with_spend(world, kind, usd):
    spend = np.zeros_like(world.levers.incentive_spend)
    spend[kind] = usd
    return world.levers.replace(incentive_spend=spend)


def test_a_steady_coupon_lifts_by_its_power_law_less_the_payback(calm):
    size = calm.regions[0].size
    spend = np.zeros_like(calm.environment.sessions)
    spend[0] = 2.0 * size
    lift = coupon_lift(calm.scenario, calm.environment, spend)
    law = 0.16 * 2.0**0.65
    assert lift[0, 0] == pytest.approx(law)
    assert np.allclose(lift[0, 24:], law * (1 - 0.10))
    assert np.array_equal(lift[1], np.zeros(lift.shape[1]))


def test_one_hour_of_coupons_is_paid_back_within_a_day(calm):
    spend = np.zeros_like(calm.environment.sessions)
    spend[0, 50] = 100.0
    lift = coupon_lift(calm.scenario, calm.environment, spend)[0]
    assert lift[51:75].sum() == pytest.approx(-0.10 * lift[50])
    assert np.allclose(lift[75:], 0)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_bonuses_act_concavely(calm, kind):
    def effect(usd):
        rates = pressure(calm.scenario, calm.environment, _with_spend(calm, kind, usd))
        return (rates.start_rate / rates.quit_factor)[0, 40]

    base, low, high = effect(0.0), effect(5.0), effect(10.0)
    assert base < low < high
    assert high - low < low - base


def test_a_guarantee_raises_starts_by_the_stated_law(calm):
    reference = calm.environment.supply_reference[0]
    none = pressure(calm.scenario, calm.environment, _with_spend(calm, 0, 0.0))
    some = pressure(calm.scenario, calm.environment, _with_spend(calm, 0, 0.4 * reference))
    ratio = some.start_rate[0] / none.start_rate[0]
    assert np.allclose(ratio[none.start_rate[0] > 0], 1 + 0.34 * np.log1p(0.4 / 0.20))


def test_a_streak_bonus_builds_up_and_fades_over_three_hours(calm):
    levers = _with_spend(calm, 1, 0.0)
    levers.incentive_spend[1, 0, 30] = 10.0
    quit_factor = pressure(calm.scenario, calm.environment, levers).quit_factor[0]
    assert np.allclose(quit_factor[30:33], quit_factor[30])
    assert quit_factor[30] < 1
    assert quit_factor[29] == quit_factor[33] == 1


def test_nothing_happens_where_a_region_is_closed(world):
    rates = pressure(world.scenario, world.environment, world.levers)
    closed = world.environment.open == 0
    assert closed.any()
    assert rates.sessions[closed].max() == 0
    assert rates.start_rate[closed].max() == 0


def test_slicing_cuts_every_array(calm):
    part = calm.levers.slice(10, 34)
    for field in dataclasses.fields(part):
        assert getattr(part, field.name).shape[-1] == 24
