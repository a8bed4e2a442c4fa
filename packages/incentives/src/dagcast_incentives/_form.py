"""What the history says of the form of the response: concave, or nothing below a hurdle.

    hours / size = level * ((1 - wary) * concave + wary * wary[hurdle]) / size
                   + region by hour of week + region by week + demand + bought elsewhere + error

``concave`` are the hours that bonuses bought if everybody answers any offer, ``wary[hurdle]`` those
if nobody answers one below it. Their common ``level`` is free here: who spends where demand is
foreseen makes bonuses look stronger than they are. Such habits make small and large offers look
stronger alike, so the shape is left: ``bend`` is the share of wary drivers that they can have made
or hidden, a stated bound. Of the level the history says as much as recorded demand lets it
(``level_seen``): by how much bonuses look weaker once demand is known tells what else may stand
behind them
(Altonji, Elder & Taber 2005, doi:10.1086/426036).

Errors of a day go together (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13), so likelihoods count
as many times less as they make variances larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY, _WEEK = 24, 168
# The hours of the first bonuses lack what came before; drivers follow demand for some hours.
_FIRST, _LAGS = 8, 3
# Sweeps of taking out two kinds of means in turn.
_SWEEPS = 6
# Weeks of a region below which its hours of the week say nothing.
_FEWEST_WEEKS = 3
# Standard errors that the level must lie above 0: what nobody answered has no shape.
_SEEN = 2.0
# Share of wary drivers, on which what is seen is laid out.
SHARES = np.concatenate([[1e-4, 1e-3, 0.01], np.linspace(0.03, 0.99, 33)])


@final
@dataclass(frozen=True)
class Form:
    """What is believed of two parameters, each normal.

    Attributes:
        odds: mean of the log odds of the share of wary drivers,
        odds_spread: and its standard deviation.
        hurdle: mean of the logarithm of the hurdle,
        hurdle_spread: and its standard deviation.
    """

    odds: float
    odds_spread: float
    hurdle: float
    hurdle_spread: float

    @property
    def middle(self) -> tuple[float, float]:
        """The share and the hurdle in the middle of the belief."""
        return 1.0 / (1.0 + float(np.exp(-self.odds))), float(np.exp(self.hurdle))

    def after(self, hurdles: Array, logs: Array) -> Form:
        """The belief after evidence.

        Args:
            hurdles: on which it is laid out.
            logs: log likelihood by share (``SHARES``) and hurdle.
        """
        odds = np.log(SHARES / (1.0 - SHARES))
        deviates = (odds - self.odds) / self.odds_spread
        heights = (np.log(hurdles) - self.hurdle) / self.hurdle_spread
        # Shares are spaced unevenly in log odds; each stands for what lies around it.
        widths = np.log(np.gradient(odds))[:, None]
        prior = widths - 0.5 * (deviates[:, None] ** 2 + heights[None, :] ** 2)
        usual, seen = _weights(prior), _weights(prior + logs)
        rows, columns = odds, np.log(hurdles)
        # The grid ends before the prior does: moments move by what evidence does on the grid.
        moments = [
            (_moments(rows, weights.sum(axis=1)), _moments(columns, weights.sum(axis=0)))
            for weights in (usual, seen)
        ]
        (odds_before, height_before), (odds_after, height_after) = moments
        return Form(
            self.odds + odds_after[0] - odds_before[0],
            self.odds_spread * odds_after[1] / odds_before[1],
            self.hurdle + height_after[0] - height_before[0],
            self.hurdle_spread * height_after[1] / height_before[1],
        )


@final
@dataclass(frozen=True)
class Past:
    """A history to look at; arrays are (region, hour).

    Attributes:
        hours: driver hours; missing is NaN.
        clock: local hour of the week, 0 to 167.
        sessions: demand, if it is known.
    """

    hours: Array
    clock: Array
    sessions: Array | None


def form_seen(past: Past, concave: Array, wary: Sequence[Array], bend: float) -> Array | None:
    """Log likelihood of shares of wary drivers and hurdles.

    Args:
        past: the history.
        concave: hours bought if nobody is wary.
        wary: and if all are, one for each hurdle.
        bend: share of wary drivers that habits can have made or hidden.

    Returns:
        By share (``SHARES``) and hurdle; None where the history cannot say.
    """
    seen = _seen(past, (concave, *wary))
    if seen is None:
        return None
    left = _left(seen.rows, seen.known)
    return _likelihood(left[0], left[1], left[2:], seen.day, bend)


def room_seen(past: Past, bought: Sequence[Array], rooms: Array, bound: float) -> Array | None:
    """Log likelihood of rooms: how soon the response is full.

    Args:
        past: the history.
        bought: hours bought in each room, from the smallest to the largest.
        rooms: logarithms of them.
        bound: by how much habits can have moved them.

    Returns:
        By room; None where the history cannot say.
    """
    seen = _seen(past, bought)
    if seen is None:
        return None
    hours, *accounts = _left(seen.rows, seen.known)
    basis = np.array(accounts)
    crossed, squared = basis @ hours, (basis * basis).sum(axis=1)
    if not (squared > 0.0).all() or not (crossed > 0.0).any():
        return None
    explained = np.where(crossed > 0.0, crossed**2 / squared, 0.0)
    best = int(explained.argmax())
    level = float(crossed[best] / squared[best])
    errors = hours - level * basis[best]
    first, last = max(best - 1, 0), min(best + 1, len(rooms) - 1)
    turn = level * (basis[last] - basis[first]) / (rooms[last] - rooms[first])
    turn = turn - basis[best] * float(turn @ basis[best]) / squared[best]
    trusted = _trusted(errors, basis[best], turn, level, seen.day, bound)
    if trusted is None:
        return None
    found: Array = trusted * (explained - explained.max())
    return found


def level_seen(past: Past, bought: Sequence[Array]) -> tuple[Array, Array, float] | None:
    """How many of the hours that were bought by several accounts the history shows.

    Args:
        past: the history, with sessions.
        bought: hours bought, by each account.

    Returns:
        Factors on each account: given demand, and if nobody looked at demand; and the standard
        error of the first in logs, the largest of all. None where the history cannot say.
    """
    seen = None if past.sessions is None else _seen(past, bought)
    if seen is None:
        return None
    factors = []
    for known in (seen.known, seen.known[: seen.elsewhere]):
        hours, *accounts = _left(seen.rows, known)
        sizes = np.array([account @ account for account in accounts])
        if not (sizes > 0.0).all():
            return None
        factors.append(np.array([account @ hours for account in accounts]) / sizes)
    hours, *accounts = _left(seen.rows, seen.known)
    errors = 0.0
    for factor, account in zip(factors[0], accounts, strict=True):
        scores = account * (hours - factor * account)
        variance = max(_shared(scores, seen.day), 1.0) * float(scores @ scores)
        deviation = variance**0.5 / float(account @ account)
        if factor < _SEEN * deviation:
            return None
        errors = max(errors, deviation / factor)
    return factors[0], factors[1], errors


@final
@dataclass(frozen=True)
class _Seen:
    """Rows of values, one for each cell that was seen, weighted with size.

    Attributes:
        rows: hours, and those bought by each account; means of the calendar are taken out.
        known: what else moves hours; the first ``elsewhere`` of them are bonuses elsewhere.
        elsewhere: how many.
        day: of each cell.
    """

    rows: Array
    known: Array
    elsewhere: int
    day: Ints


def _seen(past: Past, bought: Sequence[Array]) -> _Seen | None:
    seen = np.isfinite(past.hours) & np.isfinite(past.clock)
    seen[:, :_FIRST] = False
    alive = seen.sum(axis=1) >= _FEWEST_WEEKS * _WEEK
    if not alive.any():
        return None
    hours, seen = past.hours[alive], seen[alive]
    size = np.maximum(np.nanmean(np.where(seen, hours, np.nan), axis=1), 1e-9)[:, None]
    accounts = [np.nan_to_num(item[alive]) / size for item in bought]
    known = []
    if len(hours) > 1:
        shared = accounts[0] * size / np.maximum(size.sum() - size, 1e-9)
        known.append(shared.sum(axis=0) - shared)
    elsewhere = len(known)
    if past.sessions is not None:
        riders = np.nan_to_num(past.sessions[alive])
        busy = riders / np.maximum(riders.mean(axis=1, keepdims=True), 1e-9)
        known += [np.roll(busy, lag, axis=1) for lag in range(_LAGS + 1)]
    week = np.where(seen, past.clock[alive], 0).astype(np.int64)
    weight = np.sqrt(np.broadcast_to(size, hours.shape)[seen])
    rows = np.stack(
        [
            _within(np.where(seen, item, np.nan), week)[seen] * weight
            for item in (hours / size, *accounts, *known)
        ]
    )
    day = np.broadcast_to(np.arange(hours.shape[1]) // _DAY, hours.shape)[seen]
    first = 1 + len(accounts)
    return _Seen(rows[:first], rows[first:], elsewhere, day)


def _left(rows: Array, known: Array) -> Array:
    """Rows less what is explained by others."""
    if not len(known):
        return rows
    # What moves nothing explains nothing.
    inverse = np.linalg.pinv(known @ known.T, hermitian=True)
    left: Array = rows - (rows @ known.T) @ inverse @ known
    return left


def _likelihood(hours: Array, concave: Array, wary: Array, day: Ints, bend: float) -> Array | None:
    """See ``form_seen``; all of them without what else moves hours."""
    basis = np.vstack([concave[None], wary])
    gram, cross = basis @ basis.T, basis @ hours
    shares = SHARES[:, None]
    # Of a mixture: its square, and its product with hours; (share, hurdle).
    crossed = (1.0 - shares) * cross[0] + shares * cross[1:]
    squared = (
        (1.0 - shares) ** 2 * gram[0, 0]
        + 2.0 * shares * (1.0 - shares) * gram[0, 1:]
        + shares**2 * gram.diagonal()[1:]
    )
    if not (squared > 0.0).all():
        return None
    explained = np.where(crossed > 0.0, crossed**2 / squared, 0.0)
    best = np.unravel_index(int(explained.argmax()), explained.shape)
    share, hurdle = float(SHARES[best[0]]), int(best[1])
    level = float(crossed[best] / squared[best])
    mixture = (1.0 - share) * concave + share * wary[hurdle]
    errors = hours - level * mixture
    # What a further wary driver changes, beside what the level can say.
    turn = level * (wary[hurdle] - concave)
    turn = turn - mixture * float(turn @ mixture) / float(mixture @ mixture)
    trusted = _trusted(errors, mixture, turn, level, day, bend)
    if trusted is None:
        return None
    found: Array = trusted * (explained - explained.max())
    return found


def _trusted(
    errors: Array, account: Array, turn: Array, level: float, day: Ints, bound: float
) -> float | None:
    """Log likelihood of a square of hours explained; None where no level or turn is seen.

    Args:
        errors: hours less ``level`` times the account.
        account: hours bought.
        turn: what a step of the parameter in question changes, beside the level.
        level: of the hours bought that the history shows.
        day: of each cell.
        bound: what habits can do to the parameter.
    """
    variance = float(errors @ errors) / max(len(errors) - _WEEK, 1)
    apart = float(turn @ turn)
    if variance <= 0.0 or apart <= 0.0:
        return None
    shared = max(_shared(account * errors, day), _shared(turn * errors, day), 1.0)
    if level < _SEEN * (shared * variance / float(account @ account)) ** 0.5:
        return None
    spread = shared * variance / apart
    return float(0.5 * spread / (spread + bound**2) / (shared * variance))


def _shared(scores: Array, day: Ints) -> float:
    """How many times larger the variance of a sum is than if errors of a day were independent."""
    total = np.bincount(day, scores)
    return float(total @ total) / max(float(scores @ scores), 1e-300)


def _within(values: Array, week: Ints) -> Array:
    """Less the means of each row's hours of the week and of its weeks."""
    age = np.broadcast_to(np.arange(values.shape[1]) // _WEEK, values.shape)
    for _ in range(_SWEEPS):
        for keys in (week, age):
            for row, key in zip(values, keys, strict=True):
                known = np.isfinite(row)
                total = np.bincount(key[known], row[known], minlength=int(key.max()) + 1)
                count = np.bincount(key[known], minlength=int(key.max()) + 1)
                row -= (total / np.maximum(count, 1))[key]
    return values


def _weights(logs: Array) -> Array:
    weights: Array = np.exp(logs - logs.max())
    weights /= weights.sum()
    return weights


def _moments(values: Array, weights: Array) -> tuple[float, float]:
    mean = float(weights @ values)
    return mean, max(float(weights @ (values - mean) ** 2) ** 0.5, 1e-3)


__all__ = ["SHARES", "Form", "Past", "form_seen", "level_seen"]
