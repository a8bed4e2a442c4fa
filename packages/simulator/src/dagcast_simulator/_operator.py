"""The operator's past rule, which foresaw demand: the source of confounding.

Spend rises where an hour of the week is usually tight and where the operator sees demand coming
(a share ``confounding`` per standard deviation of the demand shock). The data do not show what
the operator saw. Part of the variation has no reason (``spend_noise``, idle blocks, better and
worse weeks), so past spend is confounded but not collinear with demand. Where the scenario says so,
the operator also reacts to the waits of the week before.
"""

import numpy as np
from numpy.typing import NDArray

from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._random import generator
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]

_BLOCK = 6  # hours for which the operator keeps a bonus
_MOST_REACTION = 3.0  # factor up or down that waits can bring


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


def reaction(scenario: Scenario, eta: Array, sessions: Array) -> Array:
    """Factor on the operator's spend in the week after, from the waits of a week.

    Args:
        scenario: parameters.
        eta: (region, hour) of one week, shown pickup time in minutes; NaN where nobody looked.
        sessions: the same cells, session/h.

    Returns:
        (region, hour) of one week, even over blocks of six hours; 1 where nobody looked.
    """
    regions, count = eta.shape
    blocks = (regions, count // _BLOCK, _BLOCK)
    waited = np.where(sessions > 0, eta * sessions, 0.0).reshape(blocks).sum(axis=2)
    seen = sessions.reshape(blocks).sum(axis=2)
    wait = np.where(seen > 0, waited / np.maximum(seen, 1.0), scenario.reaction_wait)
    factor = (wait / scenario.reaction_wait) ** scenario.operator_reaction
    bounded = np.clip(factor, 1 / _MOST_REACTION, _MOST_REACTION)
    return np.repeat(bounded, _BLOCK, axis=1)


def _usual_tightness(env: Environment) -> Array:
    """Usual sessions per usual driver by hour of week, mean 1, as (region, hour)."""
    result = np.ones_like(env.sessions)
    for i in range(len(env.regions)):
        live = env.open[i] > 0
        if live[: env.settled].any():
            live[env.settled :] = False
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
    # Linear rather than exponential, so that a few panic hours do not carry all the variation.
    reason = _usual_tightness(env) * np.maximum(1 + scenario.confounding * env.foreseen, 0.1)
    spend = np.empty((len(INCENTIVES), regions, count))
    for k, kind in enumerate(INCENTIVES):
        for i in range(regions):
            whims = [
                _whims(scenario, generator(seed, f"operator {kind}{week}", i), weeks)
                for week, weeks in _drawn(env)
            ]
            week, block = (np.concatenate(part) for part in zip(*whims, strict=True))
            level = scenario.spend_level * env.supply_reference[i] * week
            spend[k, i] = level * block * reason[i]
    return np.round(spend * env.open, 2)


def _whims(scenario: Scenario, rng: np.random.Generator, weeks: int) -> tuple[Array, Array]:
    """Better and worse weeks, and blocks, by hour: the part of spend that has no reason."""
    blocks = 168 // _BLOCK * weeks
    week = np.repeat(np.exp(0.35 * rng.normal(size=weeks)), 168)
    noise = np.exp(scenario.spend_noise * rng.normal(size=blocks))
    active = rng.random(blocks) < 0.8
    return week, np.repeat(noise * active, _BLOCK)


def _coupons(scenario: Scenario, env: Environment, seed: int) -> Array:
    spend = np.zeros(env.sessions.shape)
    # Coupons go where demand looks weak: confounded with the opposite sign.
    weak = np.exp(-0.4 * scenario.confounding * env.foreseen)
    for i, region in enumerate(env.regions):
        levels = []
        for week, weeks in _drawn(env):
            rng, days = generator(seed, f"coupons{week}", i), 7 * weeks
            levels.append((rng.random(days) < 0.3) * rng.uniform(0.4, 1.8, size=days))
        level = np.concatenate(levels)
        spend[i] = scenario.coupon_level * region.size * np.repeat(level, 24)
    daytime = (env.hour_of_week % 24 >= 8) & (env.hour_of_week % 24 < 23)
    return np.round(spend * weak * daytime * env.open, 2)


def _fares(scenario: Scenario, env: Environment, seed: int) -> Array:
    fares = np.empty(env.sessions.shape)
    for i in range(len(env.regions)):
        changes = []
        level = scenario.base_fare
        for week, weeks in _drawn(env):
            rng = generator(seed, f"fares{week}", i)
            if not week:
                level *= np.exp(0.08 * rng.normal())
            chance = rng.random(weeks) < 0.15
            changes.append(chance * rng.choice([-0.06, 0.06, 0.1], size=weeks))
        change = np.concatenate(changes)
        change[0] = 0.0
        path = np.clip(np.cumsum(change), -0.15, 0.25)
        fares[i] = np.repeat(np.round(level * (1 + path), 2), 168)
    return fares


def _drawn(env: Environment) -> list[tuple[str, int]]:
    """What is drawn at once: the weeks with which the world began, then each week for itself.

    As names of streams and numbers of weeks. A longer world would otherwise have another past.
    """
    first, weeks = env.settled // 168, env.sessions.shape[1] // 168
    return [("", first), *((f" of week {week}", 1) for week in range(first, weeks))]
