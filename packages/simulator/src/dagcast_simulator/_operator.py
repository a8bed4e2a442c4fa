"""The operator's past rule, which foresaw demand: the source of confounding.

Spend rises where an hour of the week is usually tight and where the operator sees demand coming
(a share ``confounding`` per standard deviation of the demand shock). The data do not show what
the operator saw. Part of the variation has no reason (``spend_noise``, idle blocks, better and
worse weeks), so past spend is confounded but not collinear with demand.
"""

import numpy as np
from numpy.typing import NDArray

from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._random import generator
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]

_BLOCK = 6  # hours for which the operator keeps a bonus


def operator_levers(scenario: Scenario, env: Environment, seed: int) -> Levers:
    """What the operator decides by habit, over the history and the weeks to plan."""
    ones = np.ones_like(env.sessions)
    return Levers(
        incentive_spend=_incentives(scenario, env, seed),
        coupon_spend=_coupons(scenario, env, seed),
        base_fare=_fares(scenario, env, seed),
        fare_split=ones,
        starts=ones,
        demand=ones,
        prime_scale=ones,
        prime_add=np.zeros_like(ones),
    )


def _usual_tightness(env: Environment) -> Array:
    """Usual sessions per usual driver by hour of week, mean 1, as (region, hour)."""
    result = np.ones_like(env.sessions)
    for i in range(len(env.regions)):
        live = env.open[i] > 0
        if not live.any():
            continue
        how = env.hour_of_week[i]
        demand = np.bincount(how[live], env.sessions[i, live], minlength=168)
        supply = np.bincount(how[live], env.supply[i, live], minlength=168)
        ratio = demand / np.maximum(supply, 1e-9)
        result[i] = (ratio / ratio.mean())[how]
    return result


def _incentives(scenario: Scenario, env: Environment, seed: int) -> Array:
    regions, count = env.sessions.shape
    blocks, weeks = count // _BLOCK, count // 168
    # Linear rather than exponential, so that a few panic hours do not carry all the variation.
    reason = _usual_tightness(env) * np.maximum(1 + scenario.confounding * env.foreseen, 0.1)
    spend = np.empty((len(INCENTIVES), regions, count))
    for k, kind in enumerate(INCENTIVES):
        for i in range(regions):
            rng = generator(seed, f"operator {kind}", i)
            week = np.repeat(np.exp(0.35 * rng.normal(size=weeks)), 168)
            noise = np.exp(scenario.spend_noise * rng.normal(size=blocks))
            active = rng.random(blocks) < 0.8
            level = scenario.spend_level * env.supply_reference[i] * week
            spend[k, i] = level * np.repeat(noise * active, _BLOCK) * reason[i]
    return np.round(spend * env.open, 2)


def _coupons(scenario: Scenario, env: Environment, seed: int) -> Array:
    regions, count = env.sessions.shape
    spend = np.zeros((regions, count))
    # Coupons go where demand looks weak: confounded with the opposite sign.
    weak = np.exp(-0.4 * scenario.confounding * env.foreseen)
    for i, region in enumerate(env.regions):
        rng = generator(seed, "coupons", i)
        days = count // 24
        level = (rng.random(days) < 0.3) * rng.uniform(0.4, 1.8, size=days)
        spend[i] = scenario.coupon_level * region.size * np.repeat(level, 24)
    daytime = (env.hour_of_week % 24 >= 8) & (env.hour_of_week % 24 < 23)
    return np.round(spend * weak * daytime * env.open, 2)


def _fares(scenario: Scenario, env: Environment, seed: int) -> Array:
    regions, count = env.sessions.shape
    fares = np.empty((regions, count))
    for i in range(regions):
        rng = generator(seed, "fares", i)
        level = scenario.base_fare * np.exp(0.08 * rng.normal())
        weeks = count // 168
        change = (rng.random(weeks) < 0.15) * rng.choice([-0.06, 0.06, 0.1], size=weeks)
        change[0] = 0.0
        path = np.clip(np.cumsum(change), -0.15, 0.25)
        fares[i] = np.repeat(np.round(level * (1 + path), 2), 168)
    return fares
