"""The compiled event loop: riders, drivers and matching of all regions, minute by minute.

Within a minute: trips that are due end, drivers whose turn it is start, stop or cross a border,
then region by region prime time is set, riders open the app, and drivers are assigned. ``run``
advances everything in place; the arrays are those of ``_engine.State`` and ``_engine.Run``.

It stays one file because numba's cache of a compiled function knows only its own file: if a callee
in another file changed, its callers would go on as they were compiled. So a change of ``_random``
needs an empty cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dagcast_simulator._random import entity, uniform

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Status of a driver.
OFFLINE, IDLE, EN_ROUTE, CARRYING = 0, 1, 2, 3
# Rows of ``Board.driver``. HEADING is the region of the drop-off, with the length of a trip that
# has not begun put beside it (minutes times number of regions); -1 if the rider will give up.
# SPOT is the place in the region's list of idle drivers, CHAIN the next driver due in the minute.
STATUS, PLACE, HOME, DUE, HEADING, SINCE, SPOT, CHAIN = 0, 1, 2, 3, 4, 5, 6, 7
# Rows of ``Board.hours``: driven of late, and online in this stint.
WORKED, ONLINE = 0, 1
# Rows of the rates (rate, region, hour) that levers and environment set.
SESSIONS, STARTS, QUITS, PULL, FARE, SPLIT, PRIME_SCALE, PRIME_ADD = 0, 1, 2, 3, 4, 5, 6, 7
SLOWDOWN, WILLING = 8, 9
# Starts without bonuses, what guarantee and boost add for those who answer, the offers, and the
# share of what they add that neighbours lose.
UNPAID, LIFT_GUARANTEE, LIFT_BOOST = 10, 11, 12
OFFER_GUARANTEE, OFFER_STREAK, OFFER_BOOST, CROSSING = 13, 14, 15, 16
# Rows of what regions remember: prime time shown and coming, recent sessions, memory of prices,
# earnings per hour, pay of the minute, from CLOCKS on two rows for each way to act, starts that
# neighbours' drivers owe, this week's sessions and long waits, and the share of sessions lost.
PRIME, COMING, RECENT, MEMORY, EARNED, PAY, CLOCKS = 0, 1, 2, 3, 4, 5, 6
START, STOP, MOVE, DRAW = 0, 1, 2, 3
OWED, SEEN, SOURED, LOST = 14, 15, 16, 17
MARKET_ROWS = 18
RING = 512  # minutes ahead for which pickups and drop-offs can be booked
_STEP = 5  # minutes between two decisions of a driver, and between two changes of prime time
_TURN = _STEP / 60.0  # the same in hours
_WEEK = 10080  # minutes
_LONGEST_TRIP = 300  # minutes, well within the ring
_MOST_LOST = 0.9  # share of a region's sessions that long waits can cost


class Laws(NamedTuple):
    """Parameters of a scenario that the loop needs; units as in ``Scenario``."""

    value_of_waiting: float
    value_of_waiting_sd: float
    willingness: float
    willingness_sd: float
    patience: float
    patience_shape: float
    cancel_rate: float
    access_time: float
    trip_time: float
    trip_sd: float
    border_reach: float
    border_trips: float
    eta_limit: float
    stint: float
    fatigue: float
    fatigue_half_life: float
    earnings_elasticity: float
    reference_wage: float
    prime_target: float
    prime_slope: float
    prime_limit: float
    driver_share: float
    price_memory: float
    price_memory_half_life: float
    base_fare: float
    threshold_median: float
    pickup_exponent: float
    matching_radius: float
    crossing_share: float
    retention_loss: float
    retention_wait: float
    retention_half_life: float


class Board(NamedTuple):
    """Where every driver is.

    Few arrays, as each costs the compiler and every call a little.
    """

    driver: Ints  # (row, driver)
    hours: Array  # (row, driver)
    idle: Ints  # (region, place in the list) idle drivers
    tally: Ints  # (region, status) number of drivers; offline ones count at home
    ring: Ints  # (minute modulo RING,) first driver due in the minute, -1 for none
    neighbours: Ints  # (region, place in the list), -1 where there is none
    callers: Ints  # (region, place in the list) regions in which its drivers may start for a bonus
    extent: Array  # (region,) pickup time at the edge, min
    threshold: Array  # (driver,) offer below which a bonus leaves her unmoved, USD/driver-hour


class Log(NamedTuple):
    """What is written down; ``written`` counts sessions and shifts."""

    sessions: Array
    shifts: Ints
    minutes: Array  # (region, hour, 3) driver minutes idle, en route, carrying
    written: Ints


@njit(cache=True, error_model="numpy")
def nearest(n: float, u: float) -> float:
    """Distance to the nearest of ``n`` uniform points on the unit disc, at quantile 1 - ``u``.

    From ``P(distance > d) = (1 - d^2)^n``; its mean is ``B(1/2, n + 1) / 2``.
    """
    return np.sqrt(1.0 - u ** (1.0 / n))  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def strikes(key: np.uint64, market: Array, region: int, kind: int, hazard: float) -> bool:
    """Whether one driver acts who adds ``hazard`` to the region's clock of this kind.

    Two rows of ``market`` hold the hazard left until the next point of the region's Poisson
    process of rate one, and the number of points so far.
    """
    row = CLOCKS + 2 * kind
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
def arrivals(u: float, rate: float) -> int:
    """A Poisson number by inversion, so that it never falls when ``rate`` rises."""
    number = 0
    term = np.exp(-rate)
    total = term
    while u > total and number < 1000:
        number += 1
        term *= rate / number
        total += term
    return number


@njit(cache=True, error_model="numpy")
def _write_spell(board: Board, log: Log, d: int, minute: int) -> None:
    """Close a driver's spell in a region and begin the next."""
    if board.driver[SINCE, d] < minute:
        n = log.written[1]
        log.shifts[0, n] = d
        log.shifts[1, n] = board.driver[PLACE, d]
        log.shifts[2, n] = board.driver[SINCE, d]
        log.shifts[3, n] = minute
        log.written[1] = n + 1
    board.driver[SINCE, d] = minute


@njit(cache=True, error_model="numpy")
def _roll_over(board: Board, log: Log, minute: int) -> None:
    for d in range(board.driver.shape[1]):
        if board.driver[STATUS, d] != OFFLINE:
            _write_spell(board, log, d, minute)


@njit(cache=True, error_model="numpy")
def _join_idle(board: Board, d: int, r: int) -> None:
    board.driver[STATUS, d] = IDLE
    board.driver[PLACE, d] = r
    spot = board.tally[r, IDLE]
    board.idle[r, spot] = d
    board.driver[SPOT, d] = spot
    board.tally[r, IDLE] = spot + 1


@njit(cache=True, error_model="numpy")
def _leave_idle(board: Board, d: int, r: int) -> None:
    last = board.idle[r, board.tally[r, IDLE] - 1]
    spot = board.driver[SPOT, d]
    board.idle[r, spot] = last
    board.driver[SPOT, last] = spot
    board.tally[r, IDLE] -= 1


@njit(cache=True, error_model="numpy")
def _book(board: Board, d: int, minute: int) -> None:
    board.driver[DUE, d] = minute
    board.driver[CHAIN, d] = board.ring[minute % RING]
    board.ring[minute % RING] = d


@njit(cache=True, error_model="numpy")
def _set_up(board: Board) -> None:
    """Lists and links from the drivers' own fields, in order of driver."""
    drivers = board.driver.shape[1]
    for d in range(drivers - 1, -1, -1):
        if board.driver[STATUS, d] == IDLE:
            continue
        board.tally[board.driver[PLACE, d], board.driver[STATUS, d]] += 1
        if board.driver[STATUS, d] >= EN_ROUTE:
            _book(board, d, board.driver[DUE, d])
    for d in range(drivers):
        if board.driver[STATUS, d] == IDLE:
            _join_idle(board, d, board.driver[PLACE, d])


@njit(cache=True, error_model="numpy")
def _end_trips(board: Board, log: Log, minute: int) -> None:
    """Pickups and drop-offs that are due, and riders who gave up."""
    regions = board.tally.shape[0]
    d = board.ring[minute % RING]
    board.ring[minute % RING] = -1
    while d >= 0:
        following = board.driver[CHAIN, d]
        r = board.driver[PLACE, d]
        board.tally[r, board.driver[STATUS, d]] -= 1
        if board.driver[STATUS, d] == EN_ROUTE and board.driver[HEADING, d] >= 0:
            board.driver[STATUS, d] = CARRYING
            board.tally[r, CARRYING] += 1
            trip = board.driver[HEADING, d] // regions
            board.driver[HEADING, d] = board.driver[HEADING, d] % regions
            _book(board, d, minute + trip)
        else:
            to = r if board.driver[STATUS, d] == EN_ROUTE else board.driver[HEADING, d]
            if to != r:
                _write_spell(board, log, d, minute)
            _join_idle(board, d, to)
        d = following


@njit(cache=True, error_model="numpy")
def _stronger_neighbour(board: Board, rates: Array, r: int, h: int) -> int:
    best, to = rates[PULL, r, h], -1
    for k in range(board.neighbours.shape[1]):
        q = board.neighbours[r, k]
        if q >= 0 and rates[PULL, q, h] > best:
            best, to = rates[PULL, q, h], q
    return to


@njit(cache=True, error_model="numpy")
def _answered(rates: Array, board: Board, d: int, r: int, h: int) -> float:
    """Share of her regular starts that bonuses above a driver's own threshold add."""
    lift = 0.0
    if rates[OFFER_GUARANTEE, r, h] > board.threshold[d]:
        lift += rates[LIFT_GUARANTEE, r, h]
    if rates[OFFER_BOOST, r, h] > board.threshold[d]:
        lift += rates[LIFT_BOOST, r, h]
    return lift


@njit(cache=True, error_model="numpy")
def _called_to(board: Board, market: Array, r: int) -> int:
    """Where a driver of region ``r`` starts: at home, or where most starts are owed."""
    most, to = 0.5, r
    for k in range(board.callers.shape[1]):
        q = int(board.callers[r, k])
        if q >= 0 and market[OWED, q] > most:
            most, to = market[OWED, q], q
    return to


@njit(cache=True, error_model="numpy")
def _lose_riders(laws: Laws, market: Array) -> None:
    """At the end of a week: what its long waits cost the weeks after."""
    keep = 0.5 ** (1.0 / laws.retention_half_life)
    for r in range(market.shape[1]):
        soured = market[SOURED, r] / max(market[SEEN, r], 1.0)
        lost = keep * market[LOST, r] + laws.retention_loss * soured
        market[LOST, r] = min(_MOST_LOST, lost)
        market[SEEN, r] = market[SOURED, r] = 0.0


@njit(cache=True, error_model="numpy")
def _decide(
    key: np.uint64,
    laws: Laws,
    rates: Array,
    board: Board,
    market: Array,
    log: Log,
    minute: int,
    h: int,
) -> None:
    """Starts, stops and moves over the border of the drivers whose turn it is."""
    decay = 0.5 ** (_TURN / laws.fatigue_half_life)
    choosy = laws.threshold_median > 0.0
    personal = choosy or laws.crossing_share > 0.0
    for d in range(minute % _STEP, board.driver.shape[1], _STEP):
        board.hours[WORKED, d] *= decay
        if board.driver[STATUS, d] == OFFLINE:
            r = board.driver[HOME, d]
            if rates[STARTS, r, h] <= 0.0:
                continue
            rested = 1.0 / (1.0 + (board.hours[WORKED, d] / laws.fatigue) ** 2)
            pays = (max(market[EARNED, r], 1.0) / laws.reference_wage) ** laws.earnings_elasticity
            rate = rates[STARTS, r, h]
            if personal:
                # Of what bonuses add, a share is owed by neighbours: they start here, not there.
                lift, away = _answered(rates, board, d, r, h), rates[CROSSING, r, h]
                rate = rates[UNPAID, r, h] * (1.0 + (1.0 - away) * lift)
                owed = rates[UNPAID, r, h] * away * lift * rested * pays * _TURN
                if owed > 0.0 and strikes(key, market, r, DRAW, owed):
                    market[OWED, r] += 1.0
            if strikes(key, market, r, START, rate * rested * pays * _TURN):
                board.tally[r, OFFLINE] -= 1
                board.driver[SINCE, d] = minute
                board.hours[ONLINE, d] = 0.0
                to = _called_to(board, market, r) if personal else r
                if to != r:
                    market[OWED, to] -= 1.0
                _join_idle(board, d, to)
            continue
        board.hours[WORKED, d] += _TURN
        board.hours[ONLINE, d] += _TURN
        if board.driver[STATUS, d] != IDLE:
            continue
        r = board.driver[PLACE, d]
        weary = 0.9 + 0.6 * min(3.0, board.hours[ONLINE, d] / laws.stint)
        quits = rates[QUITS, r, h]
        if choosy and rates[OFFER_STREAK, r, h] <= board.threshold[d]:
            quits = 1.0
        if strikes(key, market, r, STOP, quits / laws.stint * weary * _TURN):
            _write_spell(board, log, d, minute)
            _leave_idle(board, d, r)
            board.driver[STATUS, d] = OFFLINE
            board.driver[PLACE, d] = board.driver[HOME, d]
            board.tally[board.driver[HOME, d], OFFLINE] += 1
            continue
        to = _stronger_neighbour(board, rates, r, h)
        if to >= 0 and not (choosy and rates[OFFER_BOOST, to, h] <= board.threshold[d]):
            gain = rates[PULL, to, h] - rates[PULL, r, h]
            if strikes(key, market, r, MOVE, gain * _TURN):
                _write_spell(board, log, d, minute)
                _leave_idle(board, d, r)
                _join_idle(board, d, to)


@njit(cache=True, error_model="numpy")
def _drivers_near(laws: Laws, board: Board, r: int) -> float:
    near = 0.0
    for k in range(board.neighbours.shape[1]):
        if board.neighbours[r, k] >= 0:
            near += laws.border_reach * board.tally[board.neighbours[r, k], IDLE]
    return near


@njit(cache=True, error_model="numpy")
def _region_of_nearest(laws: Laws, board: Board, r: int, pick: float) -> int:
    """Whose driver is nearest: ``pick`` is uniform over own drivers and those within reach."""
    if pick < board.tally[r, IDLE]:
        return r
    pick -= board.tally[r, IDLE]
    someone = r
    for k in range(board.neighbours.shape[1]):
        q = int(board.neighbours[r, k])
        if q < 0:
            continue
        if pick < laws.border_reach * board.tally[q, IDLE]:
            return q
        pick -= laws.border_reach * board.tally[q, IDLE]
        if board.tally[r, IDLE] == 0 and board.tally[q, IDLE] > 0:
            someone = q
    return someone


@njit(cache=True, error_model="numpy")
def _destination(laws: Laws, board: Board, r: int, word: np.uint64) -> int:
    if uniform(word, 10) < laws.border_trips:
        options = 0
        for k in range(board.neighbours.shape[1]):
            if board.neighbours[r, k] >= 0:
                options += 1
        if options > 0:
            return int(board.neighbours[r, int(uniform(word, 11) * options)])
    return r


@njit(cache=True, error_model="numpy")
def _assign(
    laws: Laws, board: Board, r: int, minute: int, word: np.uint64, eta: float, trip: int, n: float
) -> int:
    """Send the nearest idle driver: 1 if the ride will take place, 0 if given up, -1 if none."""
    q = _region_of_nearest(laws, board, r, uniform(word, 7) * n)
    if board.tally[q, IDLE] == 0:
        return -1
    d = board.idle[q, int(uniform(word, 8) * board.tally[q, IDLE])]
    _leave_idle(board, d, q)
    board.driver[STATUS, d] = EN_ROUTE
    board.tally[q, EN_ROUTE] += 1
    patience_left = -np.log(uniform(word, 9)) / laws.cancel_rate
    if patience_left < eta:
        # The rider gives up on the way: the driver's time is lost.
        board.driver[HEADING, d] = -1
        _book(board, d, minute + max(1, int(np.ceil(patience_left))))
        return 0
    board.driver[HEADING, d] = trip * board.tally.shape[0] + _destination(laws, board, r, word)
    _book(board, d, minute + max(1, int(np.ceil(eta))))
    return 1


@njit(cache=True, error_model="numpy")
def _serve(
    laws: Laws,
    rates: Array,
    board: Board,
    market: Array,
    log: Log,
    r: int,
    minute: int,
    h: int,
    shown: float,
    word: np.uint64,
) -> None:
    """One rider: quote, decision, assignment, and the row of the log."""
    slow = rates[SLOWDOWN, r, h]
    near = _drivers_near(laws, board, r)
    n = board.tally[r, IDLE] + near
    eta = laws.eta_limit
    if board.tally[r, IDLE] > 0 or near >= 0.5:
        radius = nearest(max(n, 1.0), uniform(word, 0))
        if laws.pickup_exponent != 0.5:
            radius = radius ** (2.0 * laws.pickup_exponent)
        free = laws.access_time + board.extent[r] * radius
        if laws.matching_radius <= 0.0 or free <= laws.matching_radius:
            eta = min(laws.eta_limit, slow * free)
    treated = uniform(word, 1) < 0.5
    # Length of the trip and willingness to pay: two independent normals (Box-Muller).
    spread = np.sqrt(-2.0 * np.log(uniform(word, 2)))
    angle = 2.0 * np.pi * uniform(word, 3)
    length = np.exp(laws.trip_sd * spread * np.cos(angle) - 0.5 * laws.trip_sd * laws.trip_sd)
    usual = laws.willingness + rates[WILLING, r, h]
    worth = np.exp(usual + laws.willingness_sd * spread * np.sin(angle))
    normal = np.sqrt(-2.0 * np.log(uniform(word, 4))) * np.cos(2.0 * np.pi * uniform(word, 5))
    hurry = np.exp(laws.value_of_waiting_sd * normal)
    longest = laws.patience * (-np.log(uniform(word, 6))) ** (1.0 / laws.patience_shape)

    scale = 0.35 + 0.65 * length
    fare = rates[FARE, r, h] * scale * (1.0 + shown)
    if treated:
        fare *= rates[SPLIT, r, h]
    cost = fare + laws.value_of_waiting * hurry * eta / 60.0
    requested = worth * laws.base_fare * scale > cost and eta < longest
    completed = False
    if requested and eta < laws.eta_limit and n > 0.0:
        trip = min(_LONGEST_TRIP, max(2, int(np.ceil(laws.trip_time * length * slow))))
        completed = _assign(laws, board, r, minute, word, eta, trip, n) == 1
    if laws.retention_loss > 0.0:
        market[SEEN, r] += 1.0
        if eta > laws.retention_wait:
            market[SOURED, r] += 1.0
    paid = fare if completed else 0.0
    market[PAY, r] += laws.driver_share * paid
    i = log.written[0]
    log.sessions[0, i] = minute + uniform(word, 12)
    log.sessions[1, i] = r
    log.sessions[2, i] = eta
    log.sessions[3, i] = shown
    log.sessions[4, i] = 1.0 if requested else 0.0
    log.sessions[5, i] = 1.0 if completed else 0.0
    log.sessions[6, i] = paid
    log.sessions[7, i] = laws.driver_share * paid
    log.sessions[8, i] = 1.0 if treated else 0.0
    log.written[0] = i + 1


@njit(cache=True, error_model="numpy")
def _open_app(
    key: np.uint64,
    laws: Laws,
    rates: Array,
    board: Board,
    market: Array,
    log: Log,
    r: int,
    minute: int,
    h: int,
) -> bool:
    """One region's minute: prime time, riders, earnings; False if the log has no room."""
    if minute % _STEP == 0:
        # Shown now is what was set five minutes ago from the balance then.
        market[PRIME, r] = market[COMING, r]
        ratio = 0.65 * market[RECENT, r] * 8.0 / (board.tally[r, IDLE] + 0.5)
        wish = min(laws.prime_limit, max(0.0, laws.prime_slope * (ratio - laws.prime_target)))
        market[COMING, r] = np.round(20.0 * (0.5 * market[PRIME, r] + 0.5 * wish)) / 20.0
    shown = max(0.0, rates[PRIME_SCALE, r, h] * market[PRIME, r] + rates[PRIME_ADD, r, h])
    number = 0
    rate = rates[SESSIONS, r, h] / 60.0 * np.exp(-laws.price_memory * market[MEMORY, r])
    rate *= 1.0 - market[LOST, r]
    if rate > 0.0:
        number = arrivals(uniform(entity(key, r, minute, 0), 0), rate)
    if log.written[0] + number > log.sessions.shape[1]:
        return False
    for j in range(number):
        word = entity(key, r, minute, j + 1)
        _serve(laws, rates, board, market, log, r, minute, h, shown, word)

    keep = 0.5 ** (1.0 / (60.0 * laws.price_memory_half_life))
    log_price = np.log(rates[FARE, r, h] / laws.base_fare * (1.0 + shown))
    market[MEMORY, r] = keep * market[MEMORY, r] + (1.0 - keep) * log_price
    market[RECENT, r] += (number - market[RECENT, r]) / 15.0
    here = board.tally[r, IDLE] + board.tally[r, EN_ROUTE] + board.tally[r, CARRYING]
    if here > 0:
        # Earnings per hour online, over the last three hours or so.
        market[EARNED, r] += (60.0 * market[PAY, r] / here - market[EARNED, r]) / 180.0
    market[PAY, r] = 0.0
    for status in range(3):
        log.minutes[r, h, status] += board.tally[r, status + 1]
    return True


@njit(cache=True, error_model="numpy")
def run(
    keys: NDArray[np.uint64],
    laws: Laws,
    rates: Array,
    board: Board,
    market: Array,
    log: Log,
    start_minute: int,
    hours: int,
) -> bool:
    """Advance the market in place; False if the log ran out of room."""
    _set_up(board)
    regions, drivers = board.tally.shape[0], board.driver.shape[1]
    for minute in range(start_minute, start_minute + 60 * hours):
        h = (minute - start_minute) // 60
        if log.written[1] + 4 * drivers > log.shifts.shape[1]:
            return False
        # The day's roll-over: open spells are reported at midnight UTC and go on as new ones.
        if minute % 1440 == 0 and minute > start_minute:
            _roll_over(board, log, minute)
        _end_trips(board, log, minute)
        _decide(keys[1], laws, rates, board, market, log, minute, h)
        for r in range(regions):
            if not _open_app(keys[0], laws, rates, board, market, log, r, minute, h):
                return False
        if laws.retention_loss > 0.0 and (minute + 1) % _WEEK == 0:
            _lose_riders(laws, market)
    # A run that ends at midnight reports what is open, so that the next goes on without a gap.
    if (start_minute + 60 * hours) % 1440 == 0:
        _roll_over(board, log, start_minute + 60 * hours)
    return True
