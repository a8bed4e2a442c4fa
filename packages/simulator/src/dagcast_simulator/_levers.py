"""What people decide, and how it reaches riders and drivers.

A bonus of each kind works by its own mechanism:

- ``guarantee`` (an hourly guarantee) makes idle licence holders start;
- ``streak`` (a bonus for consecutive trips) makes drivers stay, and builds up over three hours;
- ``boost`` (a zone boost) makes some start and draws idle drivers over the border.

Their laws are logarithms of the offer per typical driver hour. What a dollar buys further depends
on who is still at home and how much they drove of late, which only the event loop knows. The same
loop knows each driver's threshold, where drivers have one: it takes offers and what they would add.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagcast_simulator._environment import Environment
from dagcast_simulator._response import response
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]

INCENTIVES = ("guarantee", "streak", "boost")


@dataclass(frozen=True)
class Levers:
    """Decisions and interventions of one run, arrays (region, hour) unless said otherwise.

    Args:
        incentive_spend: (incentive, region, hour), USD/h.
        coupon_spend: USD/h.
        base_fare: USD/ride.
        fare_split: factor on the fare of the treated half of riders; 1 for no split.
        starts: factor on drivers' starts (an intervention on driver hours).
        demand: factor on sessions (an intervention on sessions).
        prime_scale: factor on automatic prime time.
        prime_add: added to it afterwards.
    """

    incentive_spend: Array
    coupon_spend: Array
    base_fare: Array
    fare_split: Array
    starts: Array
    demand: Array
    prime_scale: Array
    prime_add: Array

    def replace(self, **changes: Array) -> "Levers":
        """A copy with some arrays exchanged."""
        return dataclasses.replace(self, **changes)

    def slice(self, first: int, last: int) -> "Levers":
        """The hours from ``first`` up to, not including, ``last``."""
        return Levers(
            **{f.name: getattr(self, f.name)[..., first:last] for f in dataclasses.fields(self)}
        )


@dataclass(frozen=True)
class Pressure:
    """What the levers do to rates, arrays (region, hour); the input of the event loop.

    Args:
        sessions: expected session/h.
        start_rate: hazard of starting per driver at home, bonuses included, 1/h.
        quit_factor: factor on the hazard of stopping.
        pull: hazard that an idle neighbour crosses the border, 1/h.
        unpaid_rate: hazard of starting without bonuses, 1/h.
        guarantee_lift: share of it that a guarantee adds for those who answer.
        boost_lift: the same for a boost.
        guarantee_offer: USD per typical driver hour.
        streak_offer: the same, smoothed over three hours.
        boost_offer: the same.
    """

    sessions: Array
    start_rate: Array
    quit_factor: Array
    pull: Array
    unpaid_rate: Array
    guarantee_lift: Array
    boost_lift: Array
    guarantee_offer: Array
    streak_offer: Array
    boost_offer: Array


def coupon_lift(scenario: Scenario, env: Environment, coupon_spend: Array) -> Array:
    """Share of sessions added by coupons; negative in the hours that pay it back."""
    size = np.array([region.size for region in env.regions])[:, None]
    lift = scenario.coupon_effect * (coupon_spend / size) ** scenario.coupon_exponent
    total = np.cumsum(lift, axis=1)
    before = np.concatenate([np.zeros((len(size), 1)), total[:, :-1]], axis=1)
    day_before = np.concatenate([np.zeros((len(size), 24)), before[:, :-24]], axis=1)
    net: Array = lift - scenario.coupon_payback * (before - day_before) / 24
    return net


def pressure(scenario: Scenario, env: Environment, levers: Levers) -> Pressure:
    """Rates of the whole horizon under ``levers``; cheap and exact, no randomness."""
    sessions = env.sessions * (1 + coupon_lift(scenario, env, levers.coupon_spend))
    offer = levers.incentive_spend / env.supply_reference[None, :, None]
    streak = (offer[1] + _lag(offer[1], 1) + _lag(offer[1], 2)) / 3
    strength = response(scenario, offer)
    guarantee = strength[0] * (
        scenario.guarantee_effect * np.log1p(offer[0] / scenario.guarantee_scale)
    )
    boost = strength[2] * (scenario.boost_effect * np.log1p(offer[2] / scenario.boost_scale))
    stay = 1 + strength[1] * (scenario.streak_effect * np.log1p(streak / scenario.streak_scale))
    pool = scenario.pool_ratio * env.supply_reference[:, None]
    # Starts replace those who stop and follow the regular pattern of the week.
    needed = np.maximum(env.supply / scenario.stint + (env.supply_next - env.supply), 0)
    regular = needed / np.maximum(pool - env.supply, 0.3 * pool)
    return Pressure(
        sessions=np.maximum(sessions * levers.demand, 0),
        start_rate=regular * (1 + guarantee + boost) * levers.starts * env.open,
        quit_factor=1 / stay,
        pull=strength[2] * (scenario.boost_pull * np.log1p(offer[2] / scenario.boost_scale)),
        unpaid_rate=regular * levers.starts * env.open,
        guarantee_lift=guarantee,
        boost_lift=boost,
        guarantee_offer=offer[0],
        streak_offer=streak,
        boost_offer=offer[2],
    )


def _lag(x: Array, steps: int) -> Array:
    return np.concatenate([np.repeat(x[:, :1], steps, axis=1), x[:, :-steps]], axis=1)
