"""Regions as ``regions.json`` beside a marketplace's events describes them."""

import unicodedata
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from dagcast_core.contract import ContractError, LabelSet, parsed_json
from dagcast_core.data import DataError

FILE = "regions.json"
# Characters of a label in the events.
_LONGEST = 200
# As in the events.
_YEARS = range(1990, 2100)
_FIELDS = "a list of objects with region, zone, neighbours and opened_on"


def read_regions(events: Path) -> LabelSet | None:
    """Reads ``regions.json`` in a folder of event files, or in the folder above it.

    ``opened_on`` is a date, whose 00:00 UTC counts, or an instant.

    Returns:
        The regions in the file's order; none where there is no such file.

    Raises:
        DataError: the file is damaged, names a region twice or beside itself, an unknown zone or
            neighbour, or what is no name.
    """
    path = next((p for p in (events / FILE, events.parent / FILE) if p.is_file()), None)
    if path is None:
        return None
    try:
        entries = parsed_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise _unexpected(path, _FIELDS, f"content that is not JSON ({error})") from error
    if not isinstance(entries, list) or not entries:
        raise _unexpected(path, _FIELDS, f"{type(entries).__name__} without entries")
    names: list[str] = []
    zones: dict[str, str] = {}
    since: dict[str, str] = {}
    near: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        try:
            name, zone = _named(entry["region"]), str(entry["zone"])
            near[name] = _listed(entry["neighbours"])
            # A number is refused there: of 20260112 nobody knows whether it counts days or seconds.
            opened = datetime.fromisoformat(entry["opened_on"])
            if opened.year not in _YEARS:
                raise ValueError("no year of a business")
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected(path, _FIELDS, f"{entry!r}") from error
        names.append(name)
        zones[name] = _known(path, zone)
        opened = opened if opened.tzinfo is not None else opened.replace(tzinfo=UTC)
        since[name] = opened.astimezone(UTC).isoformat()
    for name, count in Counter(names).items():
        if count > 1:
            raise _unexpected(path, "every region once", f"{name!r} twice")
        if name in near[name]:
            raise _unexpected(path, "neighbours beside a region", f"{name!r} beside itself")
        for other, times in Counter(near[name]).items():
            if times > 1:
                found = f"{other!r} beside {name!r} twice"
                raise _unexpected(path, "every neighbour once", found)
            if other not in zones:
                found = f"{other!r} beside {name!r}"
                raise _unexpected(path, "neighbours among the regions", found)
    try:
        return LabelSet("region", tuple(names), zones=zones, since=since, near=near)
    except ContractError as error:
        raise _unexpected(path, "regions that can be told apart", str(error)) from error


def _named(name: object) -> str:
    """A name as labels of events are kept: composed characters (NFC), no blanks around.

    Raises:
        ValueError: it is no text, blank, or holds what cannot be seen.
    """
    if not isinstance(name, str):
        raise ValueError("no text")
    kept = unicodedata.normalize("NFC", name).strip()
    if not kept or not kept.isprintable() or len(kept) > _LONGEST:
        raise ValueError("no name")
    return kept


def _listed(names: object) -> tuple[str, ...]:
    """Names in a list; a text would be one of its letters.

    Raises:
        ValueError: it is no list, or holds what is no name.
    """
    if not isinstance(names, list):
        raise ValueError("no list")
    return tuple(map(_named, names))


def _known(path: Path, zone: str) -> str:
    """The zone itself; a misspelt one is refused before any event is read."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise _unexpected(
            path, "IANA names of zones such as 'America/New_York'", f"no such zone as {zone!r}"
        ) from error
    return zone


def _unexpected(path: Path, expected: str, found: str) -> DataError:
    return DataError(
        f"cannot read {path}: expected {expected}; found {found}. Correct the file; nothing was "
        f"changed on disk."
    )
