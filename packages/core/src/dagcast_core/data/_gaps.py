"""Holes in what was ingested: labels that fall silent, and tables that contradict each other.

A count of zero and a log that stopped look the same in one table. Two things tell them apart. A
label that has rows in nearly every hour of its day does not lose a whole day by chance; and where
rides were driven, somebody drove. Both are findings of the report. Where a table says what implies
its rows (`EventTable.implied_by`), reads leave such cells missing instead of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.data._declare import EventTable
from dagcast_core.data._manifest import Manifest
from dagcast_core.data._read import Reader
from dagcast_core.data._report import Hole
from dagcast_core.data._window import Window, identity

_UNLIKELY = -20.0
"""Logarithm of how likely a silence may be and still be a finding: 2e-9, so that a store of a
million label-hours has none by chance."""
_LEARNED = pd.Timedelta(weeks=8)
"""How far before the new rows a label's habit is learned from."""
_KEPT = 100


def find_holes(
    folder: Path,
    manifest: Manifest,
    table: EventTable,
    start: str,
    end: str,
    sure: set[str] | None = None,
) -> tuple[Hole, ...]:
    """Holes of one table, the longest first, at most a hundred.

    Args:
        folder: of the store.
        manifest: what it holds.
        table: to look at.
        start: first hour to report on, ISO UTC.
        end: last one.
        sure: files that the holder of the store's lock looked at already.
    """
    if table.empty == "missing" and not table.implied_by:
        return ()
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    stated = [b.coverage for b in manifest.of_table(table.name) if b.coverage is not None]
    if not stated:
        return ()
    labels: dict[str, set[str]] = {}
    for name in (table.name, *(implied.table for implied in table.implied_by)):
        for batch in manifest.of_table(name):
            for dim, found in (batch.coverage.labels if batch.coverage else {}).items():
                labels.setdefault(dim, set()).update(found)
    ordered = {dim: tuple(sorted(found)) for dim, found in labels.items()}

    def reader_of(begin: pd.Timestamp) -> tuple[Reader, pd.DatetimeIndex]:
        hours = pd.DatetimeIndex(pd.date_range(begin, last, freq="h", name="hour")).as_unit("us")
        window = Window(hours, pd.Timestamp("2100-01-01", tz="UTC"), ordered)
        return Reader(folder, manifest, window, identity(window), sure), hours

    reader, hours = reader_of(first)
    present, expected = reader.presence(table)
    names = list(product(*(ordered[dim] for dim in table.dims)))
    holes: list[Hole] = []

    def report(silent: npt.NDArray[np.bool_], why: str) -> None:
        for row, run in _runs(silent.reshape(len(names), -1)):
            cells = dict(zip(table.dims, names[row], strict=True))
            start, end = (f"{hours[n]:%Y-%m-%dT%H:%MZ}" for n in (run.start, run.stop - 1))
            holes.append(Hole(table.name, cells, start, end, run.stop - run.start, why))

    # What was usual before is read only where a new hour is silent.
    if table.empty != "missing" and names and (expected & ~present).any():
        begin = max(min(first, *(pd.Timestamp(c.start) for c in stated)), first - _LEARNED)
        learned, before = reader_of(begin)
        both = [cells.reshape(len(names), -1) for cells in learned.presence(table)]
        silent = _silences(both[0], both[1], before, len(before) - len(hours))
        report(
            silent[:, len(before) - len(hours) :],
            "it has rows in nearly all such hours of other days",
        )
    for implied in table.implied_by:
        happened = reader.happened(implied, table)
        report(happened & ~present, f"{implied.table} says that something happened ({implied.of})")
    holes.sort(key=lambda hole: (-hole.hours, hole.start, str(hole.labels), hole.why))
    return tuple(holes[:_KEPT])


def _silences(
    present: npt.NDArray[np.bool_],
    expected: npt.NDArray[np.bool_],
    hours: pd.DatetimeIndex,
    since: int,
) -> npt.NDArray[np.bool_]:
    """Runs of hours without rows that the label's habit at those hours of the day rules out.

    Only of those that reach an hour from the place ``since`` on.
    """
    found = np.zeros_like(present)
    silent = expected & ~present
    rows = np.flatnonzero(silent[:, since:].any(axis=1))
    if not rows.size:
        return found
    day = np.asarray(hours.hour)
    days = _by_hour(expected[rows], day)
    # Half a row and half a silence more than were seen: a habit of one day is no certainty.
    share = (_by_hour(present[rows] & expected[rows], day) + 0.5) / (days + 1)
    habit = np.log1p(-share)
    # An hour that no label has rows in is an outage of the source, and counted as such.
    outage = np.asarray(~present.any(axis=0))
    for row, run in _runs(silent[rows]):
        if run.stop > since:
            weight = np.where(outage[run], 0.0, habit[row, day[run]])
            if weight.sum() < _UNLIKELY:
                found[rows[row], run] = True
    return found


def _by_hour(cells: npt.NDArray[np.bool_], day: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many cells of each row are true at each hour of the day; hours follow one another."""
    lead = int(day[0])
    padded = np.zeros((len(cells), -(-(lead + len(day)) // 24) * 24), dtype=bool)
    padded[:, lead : lead + len(day)] = cells
    return np.asarray(padded.reshape(len(cells), -1, 24).sum(axis=1))


def _runs(cells: npt.NDArray[np.bool_]) -> Iterator[tuple[int, slice]]:
    """Unbroken runs along the second axis."""
    padded = np.zeros((cells.shape[0], cells.shape[1] + 2), dtype=bool)
    padded[:, 1:-1] = cells
    before, after = padded[:, :-1], padded[:, 1:]
    rows, starts = np.nonzero(after & ~before)
    stops = np.nonzero(before & ~after)[1]
    for row, start, stop in zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True):
        yield row, slice(start, stop)
