"""Which cells a read covers, and how they roll up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.data._errors import DataError
from dagcast_core.data._zone import zone_info
from dagcast_core.data._zones import local_to_utc

Moment: TypeAlias = str | datetime | pd.Timestamp
Frequency: TypeAlias = Literal["h", "D", "W", "MS"]


@dataclass(frozen=True, slots=True)
class Window:
    """The cells of a read.

    Attributes:
        hours: tz-aware UTC hour starts, in order, without gaps.
        as_of: only rows known by then are read; a full hour.
        labels: dim -> labels, in the order of the result.
    """

    hours: pd.DatetimeIndex
    as_of: pd.Timestamp
    labels: Mapping[str, tuple[str, ...]]

    def shape(self, dims: Sequence[str]) -> tuple[int, ...]:
        """Sizes of a cube with ``dims``, the last of which is hour."""
        return (*(len(self.labels[dim]) for dim in dims[:-1]), len(self.hours))


@dataclass(frozen=True, slots=True)
class Groups:
    """How cells roll up.

    Attributes:
        hours: bucket number of every hour of the window.
        buckets: tz-aware UTC start of every bucket.
        codes: dim -> group number of every label.
        labels: dim -> group labels.
    """

    hours: npt.NDArray[np.int32]
    buckets: pd.DatetimeIndex
    codes: Mapping[str, npt.NDArray[np.int32]]
    labels: Mapping[str, tuple[str, ...]]

    def shape(self, dims: Sequence[str]) -> tuple[int, ...]:
        """Sizes of the rolled-up cube."""
        return (*(len(self.labels[dim]) for dim in dims[:-1]), len(self.buckets))


def identity(window: Window) -> Groups:
    """The grouping that keeps every cell apart."""
    return Groups(
        hours=np.arange(len(window.hours), dtype=np.int32),
        buckets=window.hours,
        codes={dim: np.arange(len(names), dtype=np.int32) for dim, names in window.labels.items()},
        labels=window.labels,
    )


def moment_of(value: Moment, role: str) -> pd.Timestamp:
    try:
        found = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"cannot read with {role}={value!r}: expected a moment such as '2025-03-03T00:00Z'; "
            f"found something else ({error}). Correct it."
        ) from error
    if pd.isna(found):
        raise DataError(f"cannot read with {role}={value!r}: expected a moment; found none.")
    found = found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
    return found.as_unit("us")


def hour_of(value: Moment, role: str) -> pd.Timestamp:
    found = moment_of(value, role)
    if found != found.floor("h"):
        raise DataError(
            f"cannot read with {role}={value!r}: expected the start of an hour; found minutes. "
            f"Use {found.floor('h').isoformat()}."
        )
    return found


def grouped(
    window: Window, by: Mapping[str, Mapping[str, str]], frequency: str, zone: str
) -> tuple[Window, Groups]:
    labels, codes, kept = {}, {}, {}
    for dim, names in window.labels.items():
        if dim not in by:
            kept[dim], labels[dim] = names, names
            codes[dim] = np.arange(len(names), dtype=np.int32)
            continue
        mapping = by[dim]
        kept[dim] = tuple(name for name in names if name in mapping)
        labels[dim] = tuple(sorted({mapping[name] for name in kept[dim]}))
        codes[dim] = np.array([labels[dim].index(mapping[n]) for n in kept[dim]], dtype=np.int32)
    starts = _bucket_starts(window.hours, frequency, zone)
    buckets = pd.DatetimeIndex(starts.unique(), name="hour")
    after = window.hours[-1:] + pd.Timedelta(hours=1)
    cut_first = starts[0] != window.hours[0]
    cut_last = _bucket_starts(after, frequency, zone)[0] != after[0]
    if cut_first or cut_last:
        raise DataError(
            f"cannot roll up from {window.hours[0]} to {window.hours[-1]} by {frequency!r} in "
            f"{zone}: expected whole buckets; found the {'first' if cut_first else 'last'} one cut "
            f"in two. Start at local midnight of a bucket's first day, and end at 23:00 of its "
            f"last."
        )
    hours = np.asarray(buckets.get_indexer(starts), dtype=np.int32)
    return replace(window, labels=kept), Groups(hours, buckets, codes, labels)


def _bucket_starts(hours: pd.DatetimeIndex, frequency: str, zone: str) -> pd.DatetimeIndex:
    """The instant at which the bucket of each hour begins."""
    if frequency == "h":
        return hours
    local = hours.tz_convert(zone_info(zone)).tz_localize(None)
    days = local.normalize()
    if frequency == "W":
        days = days - pd.to_timedelta(days.day_of_week, unit="D")
    elif frequency == "MS":
        days = days - pd.to_timedelta(days.day - 1, unit="D")
    elif frequency != "D":
        raise DataError(
            f"cannot roll up by {frequency!r}: expected 'h', 'D', 'W' or 'MS'. Use one of them."
        )
    return local_to_utc(days, zone).instants.as_unit("us")
