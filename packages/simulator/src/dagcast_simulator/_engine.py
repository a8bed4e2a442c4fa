"""Runs of the market: what goes into the event loop and what comes out.

The compiled loop (``_loop``) advances every region through a range of hours. Riders arrive at
random seconds within the minute; drivers decide every five minutes whether to start or stop and are
assigned, drive to the rider and carry in whole minutes.

Space is the finite-n law of the nearest of n drivers placed uniformly on a disc,
``P(distance > d) = (1 - d^2)^n``, so the pickup time has its own spread and falls as n^-1/2 only
where idle drivers are many. Where they are few it does not, long pickups absorb drivers, and the
market slides into the wild-goose chase (Castillo, Knoepfle & Weyl 2017,
doi:10.1145/3033274.3085098).

Every draw is a hash of who and when (see ``_random``): a plan changes who is there, never what a
rider would draw. Drivers act by a region's clock: each adds the hazard of starting (stopping,
crossing the border) to it, and whoever carries it past the next point of a Poisson process of rate
one acts, which is exactly the law of independent drivers. The points do not depend on the plan, so
two plans differ by as many starts as their hazards differ (the common reaction paths of Rathinam,
Sheppard & Khammash 2010, doi:10.1063/1.3280166), where draws by driver would drift apart.
"""

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dagcast_simulator import _loop
from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import Levers, Pressure, pressure
from dagcast_simulator._random import (
    DRIVER_STREAM,
    SESSION_STREAM,
    THRESHOLD_STREAM,
    stream_key,
    uniforms,
)
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SESSION_FIELDS = (
    "minute",
    "region",
    "eta_min",
    "prime_time",
    "requested",
    "completed",
    "fare",
    "driver_pay",
    "treated",
)
SHIFT_FIELDS = ("driver", "region", "on", "off")


@dataclass(frozen=True)
class State:
    """The whole state of a market between two hours: enough to go on from there.

    Args:
        driver: (row, driver), rows as named in ``_loop``.
        tired: (row, driver) hours driven of late and online in this stint.
        region: (row, region), rows as named in ``_loop``.
        minute: since the start of the history.
    """

    driver: Ints
    tired: Array
    region: Array
    minute: int

    def copy(self) -> "State":
        """An independent copy, as the event loop works in place."""
        return State(self.driver.copy(), self.tired.copy(), self.region.copy(), self.minute)


@dataclass(frozen=True)
class Run:
    """What happened between two moments.

    Args:
        first: first hour, counted from the start of the history.
        hours: number of hours.
        sessions: columns of ``SESSION_FIELDS``, one row per session in order of region-minute.
        shifts: columns of ``SHIFT_FIELDS``; spells of a driver in a region, in minutes.
        driver_minutes: (region, hour, 3) minutes idle, en route, carrying.
        state: at the end.
    """

    first: int
    hours: int
    sessions: Array
    shifts: Ints
    driver_minutes: Array
    state: State


class Engine:
    """Runs one world's market under given levers."""

    def __init__(self, scenario: Scenario, env: Environment, seed: int) -> None:
        self.scenario = scenario
        self.env = env
        self.seed = seed
        self._neighbours = _neighbour_table(env)
        # Undeclared, each region draws drivers from the next: the next hears the call of the last.
        self._callers = (
            self._neighbours
            if scenario.crossing_declared
            else np.roll(np.arange(len(env.regions)), 1)[:, None]
        )
        self._laws = _loop.Laws(*(float(getattr(scenario, name)) for name in _loop.Laws._fields))
        pool = np.ceil(scenario.pool_ratio * env.supply_reference).astype(np.int64)
        self._homes = np.repeat(np.arange(len(env.regions)), pool)
        borders = [self._neighbours]
        if scenario.crossing_share > 0:
            borders += [self._callers, _suppliers(self._callers)]
        self._width = int(_component_totals(np.hstack(borders), pool).max())
        size = np.array([region.size for region in env.regions])
        # Bigger markets cover more ground.
        self._extent = scenario.pickup_scale * (size / scenario.sessions_per_hour) ** 0.25
        if scenario.pickup_exponent != 0.5:
            self._extent = self._extent * _same_distance(scenario.pickup_exponent)
        self._willing = _willingness(scenario, env, size)
        drivers = np.arange(len(self._homes), dtype=np.int64)
        ranks = uniforms(stream_key(seed, THRESHOLD_STREAM), drivers, 0)
        # Without thresholds any offer above nothing is answered, by a law that adds nothing at 0.
        self._threshold = scenario.threshold_median * np.exp(scenario.threshold_sd * ndtri(ranks))

    def initial_state(self) -> State:
        """Everyone at home, at the first minute of the history."""
        drivers, regions = len(self._homes), len(self.env.regions)
        driver = np.zeros((8, drivers), dtype=np.int64)
        driver[_loop.PLACE] = driver[_loop.HOME] = self._homes
        region = np.zeros((_loop.MARKET_ROWS, regions))
        region[_loop.EARNED] = self.scenario.reference_wage
        return State(driver, np.zeros((2, drivers)), region, 0)

    def run(self, levers: Levers, state: State, hours: int, replication: int = 0) -> Run:
        """Advance ``state`` by ``hours``; ``levers`` cover the whole horizon of the world.

        Args:
            levers: arrays over all hours of the world.
            state: at the start; left as it is.
            hours: at least 1.
            replication: another number gives other riders and drivers in the same environment.
        """
        first = state.minute // 60
        if first + hours > len(self.env.hours):
            raise ValueError(
                f"cannot simulate {hours} hours from hour {first}: this world has "
                f"{len(self.env.hours)} hours. A longer horizon_weeks makes it longer."
            )
        rates = pressure(self.scenario, self.env, levers)
        expected = float(rates.sessions[:, first : first + hours].sum())
        capacity = int(1.5 * expected + 6 * np.sqrt(expected) + 1000)
        while True:
            done = self._advance(levers, rates, state.copy(), first, hours, replication, capacity)
            if done is not None:
                return done
            capacity *= 2

    def _advance(
        self,
        levers: Levers,
        rates: Pressure,
        state: State,
        first: int,
        hours: int,
        replication: int,
        capacity: int,
    ) -> Run | None:
        regions, drivers = len(self.env.regions), state.driver.shape[1]
        spells = 40 * hours * regions + 40 * drivers + capacity
        log = _loop.Log(
            sessions=np.empty((len(SESSION_FIELDS), capacity)),
            shifts=np.empty((len(SHIFT_FIELDS), spells), dtype=np.int64),
            minutes=np.zeros((regions, hours, 3)),
            written=np.zeros(2, dtype=np.int64),
        )
        now = slice(first, first + hours)
        arrays = (
            rates.sessions,
            rates.start_rate,
            rates.quit_factor,
            rates.pull,
            levers.base_fare,
            levers.fare_split,
            levers.prime_scale,
            levers.prime_add,
            self.env.slowdown,
            self._willing,
            rates.unpaid_rate,
            rates.guarantee_lift,
            rates.boost_lift,
            rates.guarantee_offer,
            rates.streak_offer,
            rates.boost_offer,
            self._crossing(rates.unpaid_rate),
        )
        keys = [
            stream_key(self.seed, stream, replication) for stream in (SESSION_STREAM, DRIVER_STREAM)
        ]
        complete = _loop.run(
            np.array(keys, dtype=np.uint64),
            self._laws,
            np.stack([array[:, now] for array in arrays]),
            self._board(state),
            state.region,
            log,
            state.minute,
            hours,
        )
        if not complete:
            return None
        end = State(state.driver, state.tired, state.region, state.minute + 60 * hours)
        counts = log.written
        seen = log.sessions[:, : counts[0]].copy()
        # As the app shows them: hundredths of a minute, cents.
        seen[2] = np.round(seen[2], 2)
        seen[6:8] = np.round(seen[6:8], 2)
        return Run(first, hours, seen, log.shifts[:, : counts[1]].copy(), log.minutes, end)

    def _board(self, state: State) -> _loop.Board:
        regions = len(self.env.regions)
        return _loop.Board(
            driver=state.driver,
            hours=state.tired,
            idle=np.empty((regions, self._width), dtype=np.int64),
            tally=np.zeros((regions, 4), dtype=np.int64),
            ring=np.full(_loop.RING, -1, dtype=np.int64),
            neighbours=self._neighbours,
            callers=self._callers,
            extent=self._extent,
            threshold=self._threshold,
        )

    def _crossing(self, unpaid_rate: Array) -> Array:
        """Share of what bonuses add that neighbours lose: none where nobody there would start."""
        starting = np.zeros(unpaid_rate.shape)
        for region, callers in enumerate(self._callers):
            for caller in callers[(callers >= 0) & (callers != region)]:
                starting[caller] = np.maximum(starting[caller], unpaid_rate[region])
        return np.where(starting > 0, self.scenario.crossing_share, 0.0)


def _willingness(scenario: Scenario, env: Environment, size: Array) -> Array:
    """(region, hour) what rain and demand add to the log willingness to pay."""
    busy = np.log(np.where(env.sessions > 0, env.sessions / size[:, None], 1.0))
    rain = np.log1p(env.precipitation / 0.6)
    added: Array = scenario.rain_on_willingness * rain + scenario.demand_on_willingness * busy
    return added


def _same_distance(exponent: float) -> float:
    """Factor that leaves the mean distance to the nearest of five as it is on a disc.

    The mean is ``G(1 + g) G(n + 1) / G(n + 1 + g)`` for exponent g and n drivers, G for gamma.
    """
    n = 5.0

    def log_mean(g: float) -> float:
        return lgamma(1 + g) - lgamma(n + 1 + g)

    return float(np.exp(log_mean(0.5) - log_mean(exponent)))


def _suppliers(callers: Ints) -> Ints:
    """The same borders seen from the other side, as one column: who can be called by each."""
    table = np.full((len(callers), 1), -1, dtype=np.int64)
    for region, row in enumerate(callers):
        for caller in row[row >= 0]:
            table[caller, 0] = region
    return table


def _neighbour_table(env: Environment) -> Ints:
    names = {region.name: i for i, region in enumerate(env.regions)}
    width = max(1, max(len(region.neighbours) for region in env.regions))
    table = np.full((len(env.regions), width), -1, dtype=np.int64)
    for i, region in enumerate(env.regions):
        for j, name in enumerate(region.neighbours):
            table[i, j] = names[name]
    return table


def _component_totals(neighbours: Ints, pool: Ints) -> Ints:
    """Drivers who can ever be in each region: those of all regions that borders connect."""
    component = np.arange(len(pool))
    changed = True
    while changed:
        reach = np.where(neighbours >= 0, component[neighbours], component[:, None])
        lowest = np.minimum(component, reach.min(axis=1))
        changed = bool((lowest < component).any())
        component = lowest
    return np.bincount(component, pool, minlength=len(pool)).astype(np.int64)[component]
