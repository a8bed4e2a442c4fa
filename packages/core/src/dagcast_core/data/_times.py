"""Times written in other ways than ISO's, understood wholly or not at all.

Databases read the time they find at the head of a text and drop the rest, so that ``08:00 PM``
becomes the morning and ``08:00 America/Los_Angeles`` the zone of the table. SQL therefore reads
plain ISO alone; every other text comes here once, and what cannot be understood to its last letter
is no time. Years come first: 05/01/2026 is a day in May or in January, and has to be declared
(`Column.format`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._zone import zone_info
from dagcast_core.data._zones import local_to_utc, transitions

_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?(?![A-Za-z]))?"
)
_BASIC = r"(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_OFFSET = r"(?:\s*(?P<offset>[Zz](?![A-Za-z])|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?))?"
_ZONE = r"(?:\s*(?:(?P<zone>[A-Za-z][\w+:/-]*)|\[(?P<bracketed>[A-Za-z][\w+:/-]*)\]))?"
_FORMS = tuple(
    re.compile(form + _OFFSET + _ZONE, re.ASCII)
    for form in (
        rf"(?P<year>\d{{4}})([-/])(?P<month>\d\d?)\2(?P<day>\d\d?)(?:(?:\s+|T){_CLOCK})",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)T{_BASIC}",
    )
)
_DATE = re.compile(r"(?P<year>\d{4})([-/])(?P<month>\d\d?)\2(?P<day>\d\d?)", re.ASCII)
_SHIFT = re.compile(r"(?:UTC|GMT)([+-])(0?\d|1[0-5])(?::?([0-5]\d))?", re.ASCII)

_HOURS = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
    "JST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "HST": -10, "AKST": -9, "AKDT": -8,
    "PDT": -7, "MDT": -6, "EDT": -4,
}  # fmt: skip
"""Abbreviations that mean one offset wherever they are used. CST, IST, BST, EST, MST and PST each
name clocks of several countries, and count only where the table's own zone uses them."""


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Texts that are times.

    Attributes:
        texts: as written.
        instants: naive UTC, of each text.
        ambiguous: whether a text is a local time that occurs twice; the first was taken.
        nonexistent: whether it never occurs; the offset before the change was taken.
    """

    texts: tuple[str, ...]
    instants: tuple[datetime, ...]
    ambiguous: tuple[bool, ...]
    nonexistent: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Parsed:
    wall: datetime
    shift: timedelta | None
    zone: str | None


def understand(texts: Sequence[str], zone: str) -> ReadTimes:
    """Reads those of ``texts`` that are times.

    Args:
        texts: distinct, without blanks around.
        zone: IANA name, of times that name no other zone or offset.
    """
    at: dict[str, tuple[datetime, bool, bool]] = {}
    local: dict[str, list[tuple[str, datetime]]] = {}
    for entry in texts:
        found = _parse(entry, zone)
        if found is None:
            continue
        if found.shift is not None:
            at[entry] = (found.wall - found.shift, False, False)
        else:
            local.setdefault(found.zone or zone, []).append((entry, found.wall))
    for name, entries in local.items():
        walls = pd.DatetimeIndex(np.array([wall for _, wall in entries], dtype="datetime64[us]"))
        read = local_to_utc(walls, name)
        instants = read.instants.tz_localize(None).to_pydatetime()
        for place, (entry, _) in enumerate(entries):
            doubts = (bool(read.ambiguous[place]), bool(read.nonexistent[place]))
            at[entry] = (instants[place], *doubts)
    values = tuple(at.values())
    return ReadTimes(
        tuple(at),
        tuple(value[0] for value in values),
        tuple(value[1] for value in values),
        tuple(value[2] for value in values),
    )


def _parse(entry: str, zone: str) -> _Parsed | None:
    found = next((m for m in (form.fullmatch(entry) for form in _FORMS) if m is not None), None)
    found = found or _DATE.fullmatch(entry)
    if found is None:
        return None
    part = found.groupdict()
    if not 1 < int(part["year"]) < 9999:
        return None  # an offset would lead out of the calendar
    hour = int(part.get("hour") or 0)
    if part.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (part["half"] in "Pp")
    try:
        wall = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            hour,
            int(part.get("minute") or 0),
            int(part.get("second") or 0),
            int((part.get("fraction") or "0")[:6].ljust(6, "0")),
        )
    except ValueError:
        return None
    shift = _shift_of(part["offset"]) if part.get("offset") else None
    word = part.get("zone") or part.get("bracketed")
    if word is None:
        return _Parsed(wall, shift, None)
    fixed = _fixed(word, zone)
    if fixed is None and not _is_zone(word):
        return None
    if shift is None:
        return _Parsed(wall, fixed, None if fixed is not None else word)
    # An offset and a zone beside it are one statement, and have to agree.
    said = fixed if fixed is not None else _offset_at(wall - shift, word)
    return _Parsed(wall, shift, None) if said == shift else None


def _shift_of(offset: str) -> timedelta:
    if offset in "Zz":
        return timedelta(0)
    minutes = int(offset[1:3]) * 60 + int(offset[3:].lstrip(":") or 0)
    return timedelta(minutes=minutes if offset[0] == "+" else -minutes)


def _fixed(word: str, zone: str) -> timedelta | None:
    """The offset that an abbreviation means; None for one that means none, or several."""
    name = word.upper()
    shifted = _SHIFT.fullmatch(name)
    if shifted is not None:
        minutes = int(shifted[2]) * 60 + int(shifted[3] or 0)
        return timedelta(minutes=minutes if shifted[1] == "+" else -minutes)
    own = _own_abbreviations(zone).get(name)
    if own is not None:
        return timedelta(seconds=own)
    return timedelta(hours=_HOURS[name]) if name in _HOURS else None


@lru_cache(maxsize=64)
def _own_abbreviations(zone: str) -> dict[str, int]:
    """What a zone calls its offsets, where a name stands for one of them only."""
    info = zone_info(zone)
    found: dict[str, set[int]] = {}
    moments = [datetime(1990, 1, 1, tzinfo=UTC)]
    moments += [
        change.closes.replace(tzinfo=UTC) + timedelta(days=1) for change in transitions(zone)
    ]
    for moment in moments:
        there = moment.astimezone(info)
        offset = there.utcoffset() or timedelta(0)
        found.setdefault((there.tzname() or "").upper(), set()).add(int(offset.total_seconds()))
    return {name: min(offsets) for name, offsets in found.items() if len(offsets) == 1}


@lru_cache(maxsize=1024)
def _is_zone(word: str) -> bool:
    if "/" not in word:
        # Single words of the zone database (Cuba, Japan, EST5EDT, MST) are not how zones are meant.
        return False
    try:
        zone_info(word)
    except DeclarationError:
        return False
    return True


def _offset_at(instant: datetime, zone: str) -> timedelta | None:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
