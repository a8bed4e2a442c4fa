"""Local wall-clock times to instants, and the two hours a year that clocks get wrong.

A zone's offset is constant between transitions, so the conversion is a lookup of local time in a
short table, which pandas and SQL share. Two rules close the cases that a clock leaves open:

- a local time that does not exist (clocks went forward over it) is read with the offset in force
  before, so 02:30 on the night of the change is the instant 03:30 in summer time. Sources that
  print such hours hold trips that did take place; they join the hour they took place in.
- a local time that exists twice (clocks went back) is read as its first occurrence.

Both are counted, never silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._zone import zone_info

FIRST_YEAR, LAST_YEAR = 1990, 2100
"""Dates outside [FIRST_YEAR, LAST_YEAR) are quarantined: they are defaults or typing errors."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a zone's offset.

    Attributes:
        opens: first local time that is ambiguous or does not exist (naive).
        closes: first local time that is plain again (naive).
        before: seconds to subtract from local time to get UTC, before the change.
        after: the same after the change.
    """

    opens: datetime
    closes: datetime
    before: int
    after: int

    @property
    def repeats(self) -> bool:
        """Whether the local times between occur twice rather than never."""
        return self.after < self.before


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """Instants read from local times, and how many of these were doubtful.

    Attributes:
        instants: tz-aware UTC index, as long as the input; NaT stays NaT.
        ambiguous: boolean array, local times that occur twice (the first was taken).
        nonexistent: boolean array, local times that never occur (offset before the change taken).
    """

    instants: pd.DatetimeIndex
    ambiguous: np.ndarray
    nonexistent: np.ndarray


@lru_cache(maxsize=64)
def transitions(
    zone: str, first: int = FIRST_YEAR, last: int = LAST_YEAR
) -> tuple[Transition, ...]:
    """Finds a zone's changes of offset between the years ``first`` and ``last``.

    zoneinfo does not publish its table, so the changes are bracketed day by day and bisected to
    the second.
    """
    info = zone_info(zone)

    def offset(instant: datetime) -> int:
        found = instant.astimezone(info).utcoffset()
        return 0 if found is None else int(found.total_seconds())

    found: list[Transition] = []
    at = datetime(first, 1, 1, tzinfo=UTC)
    end = datetime(last, 1, 1, tzinfo=UTC)
    here = offset(at)
    while at < end:
        ahead = at + timedelta(days=1)
        there = offset(ahead)
        if there != here:
            low, high = at, ahead
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (middle, high) if offset(middle) == here else (low, middle)
            walls = sorted(
                (high + timedelta(seconds=shift)).replace(tzinfo=None) for shift in (here, there)
            )
            found.append(Transition(walls[0], walls[1], here, there))
            here = there
        at = ahead
    return tuple(found)


def first_offset(zone: str, first: int = FIRST_YEAR) -> int:
    """The offset of ``zone`` in seconds at the start of the year ``first``."""
    found = datetime(first, 1, 1, tzinfo=UTC).astimezone(zone_info(zone)).utcoffset()
    return 0 if found is None else int(found.total_seconds())


def local_to_utc(local: pd.DatetimeIndex | pd.Series, zone: str) -> LocalTimes:
    """Reads naive local times as instants.

    Args:
        local: naive times on the wall clock of ``zone``; NaT is kept.
        zone: IANA name.

    Returns:
        The instants, and which of them were ambiguous or do not exist; see the module for the
        rules.

    Raises:
        DeclarationError: ``local`` carries a zone already, or ``zone`` is unknown.
    """
    walls = pd.DatetimeIndex(local)
    if walls.tz is not None:
        raise DeclarationError(
            f"cannot read local times of zone {zone!r}: expected naive times; found times with "
            f"zone {walls.tz}. Those are instants already: use tz_convert('UTC')."
        )
    walls = walls.as_unit("us")
    table = transitions(zone)
    closes = np.array([t.closes for t in table], dtype="datetime64[us]")
    offsets = np.array([first_offset(zone), *(t.after for t in table)], dtype=np.int64)
    values = walls.to_numpy()
    # A time belongs to the old offset until the two offsets agree that the change is over.
    # NaT sorts last and stays NaT in the subtraction.
    position = np.searchsorted(closes, values, side="right")
    shifted = values - offsets[position].astype("timedelta64[s]").astype("timedelta64[us]")
    doubtful = np.zeros((2, len(values)), dtype=bool)
    for transition in table:
        inside = (values >= np.datetime64(transition.opens, "us")) & (
            values < np.datetime64(transition.closes, "us")
        )
        doubtful[0 if transition.repeats else 1] |= inside
    instants = pd.DatetimeIndex(shifted, tz="UTC")
    return LocalTimes(instants, doubtful[0], doubtful[1])
