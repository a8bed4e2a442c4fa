"""The event loop: riders, drivers and matching, all regions together, minute by minute.

One compiled function advances every region through a range of hours. Riders arrive at random
seconds within the minute; drivers decide every five minutes whether to start or stop and are
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

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import Levers, Pressure, pressure
from dagcast_simulator._random import DRIVER_STREAM, SESSION_STREAM, entity, stream_key, uniform
from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

OFFLINE, IDLE, EN_ROUTE, CARRYING = 0, 1, 2, 3
_RING = 512  # minutes ahead for which pickups and drop-offs can be booked
_STEP = 5  # minutes between two decisions of a driver
_CLOCKS = 5  # first row of the clocks in a state's region array

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

    Integer arrays per driver: status, region, home, next pickup or drop-off (``minute``, region),
    start of the present spell; per driver float: hours driven of late, hours of the stint.
    Per region floats: prime time shown and coming, recent sessions, memory of prices, earnings,
    and for starts, stops and moves the hazard left until the next and the number so far.
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
        self._fixed = _parameters(scenario)
        pool = np.ceil(scenario.pool_ratio * env.supply_reference).astype(np.int64)
        self._homes = np.repeat(np.arange(len(env.regions)), pool)
        self._width = int(_component_totals(self._neighbours, pool).max())
        size = np.array([region.size for region in env.regions])
        # Bigger markets cover more ground.
        self._extent = scenario.pickup_scale * (size / scenario.sessions_per_hour) ** 0.25

    def initial_state(self) -> State:
        """Everyone at home, at the first minute of the history."""
        drivers, regions = len(self._homes), len(self.env.regions)
        driver = np.zeros((6, drivers), dtype=np.int64)
        driver[1] = driver[2] = self._homes
        region = np.zeros((_CLOCKS + 6, regions))
        region[4] = self.scenario.reference_wage
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
        sessions = np.empty((len(SESSION_FIELDS), capacity))
        spells = 40 * hours * len(self.env.regions) + 40 * state.driver.shape[1] + capacity
        shifts = np.empty((len(SHIFT_FIELDS), spells), dtype=np.int64)
        minutes = np.zeros((len(self.env.regions), hours, 3))
        now = slice(first, first + hours)
        control = np.ascontiguousarray(
            np.stack(
                [
                    rates.sessions[:, now],
                    rates.start_rate[:, now],
                    rates.quit_factor[:, now],
                    rates.pull[:, now],
                    levers.base_fare[:, now],
                    levers.fare_split[:, now],
                    levers.prime_scale[:, now],
                    levers.prime_add[:, now],
                    self.env.slowdown[:, now],
                ]
            )
        )
        keys = np.array(
            [
                stream_key(self.seed, SESSION_STREAM, replication),
                stream_key(self.seed, DRIVER_STREAM, replication),
            ],
            dtype=np.uint64,
        )
        counts = _loop(
            keys,
            self._fixed,
            self._neighbours,
            self._extent,
            self._width,
            control,
            state.minute,
            hours,
            state.driver,
            state.tired,
            state.region,
            sessions,
            shifts,
            minutes,
        )
        if counts[0] < 0:
            return None
        end = State(state.driver, state.tired, state.region, state.minute + 60 * hours)
        seen = sessions[:, : counts[0]].copy()
        # As the app shows them: hundredths of a minute, cents.
        seen[2] = np.round(seen[2], 2)
        seen[6:8] = np.round(seen[6:8], 2)
        return Run(first, hours, seen, shifts[:, : counts[1]].copy(), minutes, end)


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


_FIXED = (
    "value_of_waiting",
    "value_of_waiting_sd",
    "willingness",
    "willingness_sd",
    "patience",
    "patience_shape",
    "cancel_rate",
    "access_time",
    "trip_time",
    "trip_sd",
    "border_reach",
    "border_trips",
    "eta_limit",
    "stint",
    "fatigue",
    "fatigue_half_life",
    "earnings_elasticity",
    "reference_wage",
    "prime_target",
    "prime_slope",
    "prime_limit",
    "driver_share",
    "price_memory",
    "price_memory_half_life",
    "base_fare",
)


def _parameters(scenario: Scenario) -> Array:
    return np.array([float(getattr(scenario, name)) for name in _FIXED])


@njit(cache=True)
def nearest(n: float, u: float) -> float:
    """Distance to the nearest of ``n`` uniform points on the unit disc, at quantile 1 - ``u``.

    From ``P(distance > d) = (1 - d^2)^n``; its mean is ``B(1/2, n + 1) / 2``.
    """
    return np.sqrt(1.0 - u ** (1.0 / n))  # type: ignore[no-any-return]


@njit(cache=True)
def _strikes(key: np.uint64, market: Array, region: int, kind: int, hazard: float) -> bool:
    """Whether one driver acts who adds ``hazard`` to the region's clock of this kind."""
    row = _CLOCKS + 2 * kind
    if market[row + 1, region] == 0.0:
        market[row, region] = -np.log(uniform(entity(key, region, kind, 0), 0))
        market[row + 1, region] = 1.0
    market[row, region] -= hazard
    struck = False
    while market[row, region] < 0.0:
        struck = True
        number = int(market[row + 1, region])
        market[row, region] -= np.log(uniform(entity(key, region, kind, number), 0))
        market[row + 1, region] = number + 1.0
    return struck


@njit(cache=True, error_model="numpy")
def _loop(
    keys: NDArray[np.uint64],
    fixed: Array,
    neighbours: Ints,
    extent: Array,
    width: int,
    control: Array,
    start_minute: int,
    hours: int,
    driver: Ints,
    tired: Array,
    market: Array,
    sessions: Array,
    shifts: Ints,
    minutes: Array,
) -> tuple[int, int]:
    """Advance the market in place; returns the sessions and shifts written, -1 if out of room."""
    (
        vot,
        vot_sd,
        wtp,
        wtp_sd,
        patience,
        patience_shape,
        cancel_rate,
        access,
        trip_time,
        trip_sd,
        reach,
        border_trips,
        eta_limit,
        stint,
        fatigue,
        fatigue_half_life,
        elasticity,
        wage,
        target,
        slope,
        limit,
        share,
        memory,
        memory_half_life,
        fare_norm,
    ) = fixed
    regions = control.shape[1]
    drivers = driver.shape[1]
    status, place, home = driver[0], driver[1], driver[2]
    due, heading, since = driver[3], driver[4], driver[5]
    worked, online = tired[0], tired[1]
    prime, coming, recent, price_memory, earned = (
        market[0],
        market[1],
        market[2],
        market[3],
        market[4],
    )

    # Idle drivers of a region as a list with positions, for removal in constant time; the lists
    # are rebuilt in order of driver, so a state needs no more than the drivers' own fields.
    idle = np.empty((regions, width), dtype=np.int64)
    count = np.zeros((regions, 4), dtype=np.int64)
    spot = np.zeros(drivers, dtype=np.int64)
    head = np.full(_RING, -1, dtype=np.int64)
    chain = np.full(drivers, -1, dtype=np.int64)
    for d in range(drivers - 1, -1, -1):
        count[place[d], status[d]] += 1
        if status[d] >= 2:
            chain[d] = head[due[d] % _RING]
            head[due[d] % _RING] = d
    fill = np.zeros(regions, dtype=np.int64)
    for d in range(drivers):
        if status[d] == 1:
            r = place[d]
            idle[r, fill[r]] = d
            spot[d] = fill[r]
            fill[r] += 1

    share_of_hour = _STEP / 60.0
    tired_decay = 0.5 ** (share_of_hour / fatigue_half_life)
    memory_decay = 0.5 ** (1.0 / (60.0 * memory_half_life))
    pay = np.zeros(regions)
    n_sessions = 0
    n_shifts = 0
    capacity = sessions.shape[1]
    shift_capacity = shifts.shape[1]

    for minute in range(start_minute, start_minute + 60 * hours):
        h = (minute - start_minute) // 60

        # The day's roll-over: open spells are reported at midnight UTC and go on as new ones.
        if minute % 1440 == 0 and minute > start_minute:
            for d in range(drivers):
                if status[d] != 0 and since[d] < minute:
                    shifts[0, n_shifts] = d
                    shifts[1, n_shifts] = place[d]
                    shifts[2, n_shifts] = since[d]
                    shifts[3, n_shifts] = minute
                    n_shifts += 1
                    since[d] = minute

        # Pickups and drop-offs that are due.
        d = head[minute % _RING]
        head[minute % _RING] = -1
        while d >= 0:
            following = chain[d]
            r = place[d]
            if status[d] == 2 and heading[d] >= 0:
                status[d] = 3
                count[r, 2] -= 1
                count[r, 3] += 1
                # ``since`` must stay; the trip's length was put beside the destination.
                trip = heading[d] // regions
                heading[d] = heading[d] % regions
                due[d] = minute + trip
                chain[d] = head[due[d] % _RING]
                head[due[d] % _RING] = d
            else:
                count[r, status[d]] -= 1
                to = r if status[d] == 2 else heading[d]
                if to != r:
                    if since[d] < minute:
                        shifts[0, n_shifts] = d
                        shifts[1, n_shifts] = r
                        shifts[2, n_shifts] = since[d]
                        shifts[3, n_shifts] = minute
                        n_shifts += 1
                    since[d] = minute
                    place[d] = to
                status[d] = 1
                count[to, 1] += 1
                idle[to, fill[to]] = d
                spot[d] = fill[to]
                fill[to] += 1
            d = following

        # Starts, stops and moves over the border; each driver decides every five minutes.
        for d in range(minute % _STEP, drivers, _STEP):
            worked[d] *= tired_decay
            state = status[d]
            if state == 0:
                r = home[d]
                rate = control[1, r, h]
                if rate > 0.0:
                    rested = 1.0 / (1.0 + (worked[d] / fatigue) ** 2)
                    rate *= rested * (max(earned[r], 1.0) / wage) ** elasticity
                    if _strikes(keys[1], market, r, 0, rate * share_of_hour):
                        status[d] = 1
                        place[d] = r
                        since[d] = minute
                        online[d] = 0.0
                        count[r, 0] -= 1
                        count[r, 1] += 1
                        idle[r, fill[r]] = d
                        spot[d] = fill[r]
                        fill[r] += 1
            else:
                worked[d] += share_of_hour
                online[d] += share_of_hour
                if state == 1:
                    r = place[d]
                    rate = control[2, r, h] / stint * (0.9 + 0.6 * min(3.0, online[d] / stint))
                    leaves = _strikes(keys[1], market, r, 1, rate * share_of_hour)
                    to = -1
                    if not leaves:
                        best = control[3, r, h]
                        for k in range(neighbours.shape[1]):
                            q = neighbours[r, k]
                            if q >= 0 and control[3, q, h] > best:
                                best = control[3, q, h]
                                to = q
                        if to >= 0:
                            gain = best - control[3, r, h]
                            if not _strikes(keys[1], market, r, 2, gain * share_of_hour):
                                to = -1
                    if leaves or to >= 0:
                        if since[d] < minute:
                            shifts[0, n_shifts] = d
                            shifts[1, n_shifts] = r
                            shifts[2, n_shifts] = since[d]
                            shifts[3, n_shifts] = minute
                            n_shifts += 1
                        last = idle[r, fill[r] - 1]
                        idle[r, spot[d]] = last
                        spot[last] = spot[d]
                        fill[r] -= 1
                        count[r, 1] -= 1
                        if leaves:
                            status[d] = 0
                            place[d] = home[d]
                            count[home[d], 0] += 1
                        else:
                            place[d] = to
                            since[d] = minute
                            count[to, 1] += 1
                            idle[to, fill[to]] = d
                            spot[d] = fill[to]
                            fill[to] += 1

        if n_shifts + 2 * drivers > shift_capacity:
            return -1, 0

        for r in range(regions):
            # Prime time: set every five minutes from the balance, shown five minutes later.
            if minute % 5 == 0:
                prime[r] = coming[r]
                ratio = 0.65 * recent[r] * 8.0 / (fill[r] + 0.5)
                wish = min(limit, max(0.0, slope * (ratio - target)))
                coming[r] = np.round(20.0 * (0.5 * prime[r] + 0.5 * wish)) / 20.0
            shown = max(0.0, control[6, r, h] * prime[r] + control[7, r, h])

            near = 0.0
            for k in range(neighbours.shape[1]):
                if neighbours[r, k] >= 0:
                    near += reach * fill[neighbours[r, k]]

            # Riders open the app: a Poisson number, by inversion, so that it grows with the rate.
            fare_level = control[4, r, h]
            log_price = np.log(fare_level / fare_norm * (1.0 + shown))
            rate = control[0, r, h] / 60.0 * np.exp(-memory * price_memory[r])
            arrivals = 0
            if rate > 0.0:
                u = uniform(entity(keys[0], r, minute, 0), 0)
                term = np.exp(-rate)
                total = term
                while u > total and arrivals < 1000:
                    arrivals += 1
                    term *= rate / arrivals
                    total += term
            price_memory[r] = memory_decay * price_memory[r] + (1.0 - memory_decay) * log_price
            recent[r] += (arrivals - recent[r]) / 15.0

            for j in range(arrivals):
                if n_sessions >= capacity:
                    return -1, 0
                word = entity(keys[0], r, minute, j + 1)
                # Quote.
                slow = control[8, r, h]
                own = fill[r]
                n = own + near
                eta = eta_limit
                if own > 0 or near >= 0.5:
                    radius = nearest(max(n, 1.0), uniform(word, 0))
                    eta = min(eta_limit, slow * (access + extent[r] * radius))
                treated = uniform(word, 1) < 0.5
                # Length of the trip and willingness to pay: two independent normals.
                spread = np.sqrt(-2.0 * np.log(uniform(word, 2)))
                angle = 2.0 * np.pi * uniform(word, 3)
                length = np.exp(trip_sd * spread * np.cos(angle) - 0.5 * trip_sd * trip_sd)
                worth = np.exp(wtp + wtp_sd * spread * np.sin(angle))
                hurry = np.exp(
                    vot_sd
                    * np.sqrt(-2.0 * np.log(uniform(word, 4)))
                    * np.cos(2.0 * np.pi * uniform(word, 5))
                )
                scale = 0.35 + 0.65 * length
                fare = fare_level * scale * (1.0 + shown)
                if treated:
                    fare *= control[5, r, h]
                longest = patience * (-np.log(uniform(word, 6))) ** (1.0 / patience_shape)
                cost = fare + vot * hurry * eta / 60.0
                requested = worth * fare_norm * scale > cost and eta < longest
                completed = False
                if requested and eta < eta_limit and n > 0.0:
                    # The nearest driver: one of the region's, or one across the border.
                    q = r
                    pick = uniform(word, 7) * n
                    if pick >= own:
                        pick -= own
                        for k in range(neighbours.shape[1]):
                            s = neighbours[r, k]
                            if s >= 0:
                                if pick < reach * fill[s]:
                                    q = s
                                    break
                                pick -= reach * fill[s]
                        if q == r and own == 0:
                            for k in range(neighbours.shape[1]):
                                if neighbours[r, k] >= 0 and fill[neighbours[r, k]] > 0:
                                    q = neighbours[r, k]
                    if fill[q] > 0:
                        d = idle[q, int(uniform(word, 8) * fill[q])]
                        last = idle[q, fill[q] - 1]
                        idle[q, spot[d]] = last
                        spot[last] = spot[d]
                        fill[q] -= 1
                        count[q, 1] -= 1
                        count[q, 2] += 1
                        status[d] = 2
                        if q != r:
                            near -= reach
                        wait = max(1, int(np.ceil(eta)))
                        patience_left = -np.log(uniform(word, 9)) / cancel_rate
                        if patience_left < eta:
                            # The rider gives up on the way: the driver's time is lost.
                            due[d] = minute + max(1, int(np.ceil(patience_left)))
                            heading[d] = -1
                        else:
                            completed = True
                            trip = max(2, int(np.ceil(trip_time * length * slow)))
                            trip = min(trip, 300)
                            to = r
                            if uniform(word, 10) < border_trips:
                                options = 0
                                for k in range(neighbours.shape[1]):
                                    if neighbours[r, k] >= 0:
                                        options += 1
                                if options > 0:
                                    to = neighbours[r, int(uniform(word, 11) * options)]
                            due[d] = minute + wait
                            heading[d] = trip * regions + to
                            pay[r] += share * fare
                        chain[d] = head[due[d] % _RING]
                        head[due[d] % _RING] = d
                i = n_sessions
                sessions[0, i] = minute + uniform(word, 12)
                sessions[1, i] = r
                sessions[2, i] = eta
                sessions[3, i] = shown
                sessions[4, i] = 1.0 if requested else 0.0
                sessions[5, i] = 1.0 if completed else 0.0
                sessions[6, i] = fare if completed else 0.0
                sessions[7, i] = share * fare if completed else 0.0
                sessions[8, i] = 1.0 if treated else 0.0
                n_sessions += 1

            busy = count[r, 2] + count[r, 3]
            minutes[r, h, 0] += count[r, 1]
            minutes[r, h, 1] += count[r, 2]
            minutes[r, h, 2] += count[r, 3]
            # Earnings per hour online, over the last three hours or so.
            here = count[r, 1] + busy
            if here > 0:
                earned[r] += (60.0 * pay[r] / here - earned[r]) / 180.0
            pay[r] = 0.0

    # Spells that are still open are reported at the end of a day; a run that ends at midnight
    # closes them here so that history and play meet without a gap or a double count.
    end = start_minute + 60 * hours
    if end % 1440 == 0:
        for d in range(drivers):
            if status[d] != 0 and since[d] < end:
                shifts[0, n_shifts] = d
                shifts[1, n_shifts] = place[d]
                shifts[2, n_shifts] = since[d]
                shifts[3, n_shifts] = end
                n_shifts += 1
                since[d] = end
    return n_sessions, n_shifts
