"""What looks wrong about a series of one label: findings, each in a sentence.

Zeros that never end, a value that never changes, a jump of a hundredfold and a clock that is an
hour off do not contradict any single row; they show in the series alone.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Values = npt.NDArray[np.float64]
"""A cube with its dims of labels joined: dims (label, hour)."""

CONSTANT_HOURS = 48
"""A value other than 0 that stays the same for longer is no measurement of a busy hour."""
ZERO_SHARE = 0.9
"""A metric that is 0 everywhere in a larger share of the hours is seldom anything; no gap then."""
JUMP = 20.0
"""Ratio of one week's median to the one before that is a change of unit rather than of business."""
UNITS = (60.0, 100.0, 1000.0, 3600.0)
"""By how much units of what people set differ: cents, thousands, minutes, seconds."""
_NEAR = 1.3
_DAY, _WEEK = 24, 168


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one metric.

    Attributes:
        metric: its name.
        label: whose series it is; empty for all of them.
        what: in words.
        odd: whether it casts doubt on values, rather than saying that there are few.
    """

    metric: str
    label: str
    what: str
    odd: bool = True


def findings(
    metric: str,
    values: Values,
    labels: list[str],
    hours: pd.DatetimeIndex,
    *,
    adds: bool = True,
    decided: bool = False,
) -> Iterator[Finding]:
    """Findings about a cube.

    Args:
        metric: its name.
        values: dims (label, hour); NaN where a cell is missing.
        labels: of the rows, dims joined.
        hours: instants, in order and without gaps.
        adds: whether the metric is an amount, of which 0 is none; 0 degrees are nothing odd.
        decided: whether people set it: a price stands still and spend pauses because they do.
    """
    known = ~np.isnan(values)
    if not known.any():
        yield Finding(metric, "", "no cell has a value", odd=False)
        return
    quiet = known.any(axis=0) & (np.where(known, values, 0.0) == 0).all(axis=0)
    if adds and not decided and len(labels) > 1 and 0 < quiet.mean() < ZERO_SHARE:
        for run in _runs(quiet):
            if run.stop - run.start >= 3:
                yield Finding(
                    metric, "", f"0 for every label {_span(hours, run)}; true zeros, or an outage?"
                )
    for label, row, there in zip(labels, values, known, strict=True):
        if not there.any():
            yield Finding(metric, label, "no cell has a value", odd=False)
            continue
        found = row[there]
        zeros = float((found == 0).mean())
        if adds and ZERO_SHARE <= zeros < 1:
            yield Finding(metric, label, f"0 in {zeros:.0%} of its hours", odd=False)
        elif adds and zeros == 1:
            yield Finding(metric, label, "0 in every hour", odd=False)
        yield from _jumps(metric, label, row, hours, decided)
        if decided:
            continue
        yield from _constant(metric, label, row, hours)
        yield from _shifts(metric, label, row, hours)


def _constant(metric: str, label: str, row: Values, hours: pd.DatetimeIndex) -> Iterator[Finding]:
    same = np.zeros(len(row), dtype=bool)
    same[1:] = (row[1:] == row[:-1]) & (row[1:] != 0)
    if same.mean() > 0.5:
        return  # a price or a calendar is meant to stay
    for run in _runs(same):
        if run.stop - run.start >= CONSTANT_HOURS:
            whole = slice(run.start - 1, run.stop)
            what = f"{row[run.start]:g} without a change {_span(hours, whole)}"
            yield Finding(metric, label, what)


def _jumps(
    metric: str, label: str, row: Values, hours: pd.DatetimeIndex, decided: bool
) -> Iterator[Finding]:
    weeks = len(row) // _WEEK
    parts = row[: weeks * _WEEK].reshape(weeks, _WEEK)
    busy = np.where(parts > 0, parts, np.nan)
    enough = (parts > 0).sum(axis=1) >= _DAY
    medians = np.full(weeks, np.nan)
    if enough.any():
        medians[enough] = np.nanmedian(busy[enough], axis=1)
    ratios = medians[1:] / medians[:-1]
    large = np.maximum(ratios, 1 / ratios)
    jumped = large >= JUMP
    if decided:
        # A trial pays many times of what was usual: only the factor of a unit is odd then.
        jumped = np.any([(large > unit / _NEAR) & (large < unit * _NEAR) for unit in UNITS], axis=0)
    for before in np.nonzero(jumped)[0].tolist():
        at, ratio = f"{hours[(before + 1) * _WEEK]:%Y-%m-%d}", float(ratios[before])
        times = f"{ratio:.0f} times" if ratio > 1 else f"a {1 / ratio:.0f}th of"
        yield Finding(
            metric, label, f"in the week from {at} {times} the week before: another unit?"
        )


def _shifts(metric: str, label: str, row: Values, hours: pd.DatetimeIndex) -> Iterator[Finding]:
    """Weeks whose day fits the label's usual one better if their clock is moved."""
    first = int((-hours[0].hour) % _DAY)
    days = row[first : first + (len(row) - first) // _DAY * _DAY].reshape(-1, _DAY)
    weeks = len(days) // 7
    if weeks < 4:
        return
    with warnings.catch_warnings():
        # A week without a value has no mean, and is left out below.
        warnings.simplefilter("ignore", RuntimeWarning)
        profiles = np.nanmean(days[: weeks * 7].reshape(weeks, 7, _DAY), axis=1)
        usual = np.nanmedian(profiles, axis=0)
    if not np.isfinite(usual).all() or usual.std() <= 0.1 * abs(usual.mean()):
        return
    for week, shift in _lags(profiles, usual):
        # A lag of an hour is what a change of the clocks itself does to a week in UTC.
        if abs(shift) >= 2:
            at = f"{hours[first + week * _WEEK]:%Y-%m-%d}"
            yield Finding(
                metric,
                label,
                f"in the week from {at} its day lies {abs(shift)} hours "
                f"{'later' if shift > 0 else 'earlier'} than usual: another clock?",
            )


def _lags(profiles: Values, usual: Values) -> Iterator[tuple[int, int]]:
    """Weeks and the lag in hours by which each correlates best with the usual day, if clearly."""
    there = np.nonzero(np.isfinite(profiles).all(axis=1) & (np.ptp(profiles, axis=1) > 0))[0]
    rows = profiles[there] - profiles[there].mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    level = usual - usual.mean()
    level /= np.linalg.norm(level)
    # dims (week, lag)
    scores = rows @ np.stack([np.roll(level, lag) for lag in range(_DAY)], axis=1)
    for week, row in zip(there, scores, strict=True):
        best = int(np.argmax(row))
        if row[best] >= 0.9 and row[best] - row[0] >= 0.2:
            yield int(week), best if best <= _DAY // 2 else best - _DAY


def _runs(cells: npt.NDArray[np.bool_]) -> Iterator[slice]:
    padded = np.concatenate([[False], cells, [False]]).astype(np.int8)
    steps = np.diff(padded)
    for start, stop in zip(np.nonzero(steps == 1)[0], np.nonzero(steps == -1)[0], strict=True):
        yield slice(int(start), int(stop))


def _span(hours: pd.DatetimeIndex, run: slice) -> str:
    first, last = hours[run.start], hours[run.stop - 1]
    return f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {run.stop - run.start} hours"
