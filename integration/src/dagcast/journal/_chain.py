"""The lines as a chain: each carries the digest of all before it, and follows from them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from dagcast.errors import PlanStateError
from dagcast.journal._entry import Entry, entry_of, made_by, values_of
from dagcast.journal._plans import PlanRecord, RefusedError, follow

PREVIOUS = "prev"
# Digest of no lines.
START = hashlib.sha256(b"").hexdigest()


@final
@dataclass(frozen=True)
class Damage:
    """What is wrong with a log.

    Attributes:
        line: first line that is not what was written, from 1.
        expected: what should be there; ``{log}`` stands for the file.
        found: what is there.
        mendable: whether nothing whole stands behind it, so that it can be set aside.
        lost: lines that the head counts and that are gone.
    """

    line: int
    expected: str
    found: str
    mendable: bool
    lost: int = 0


@final
@dataclass(frozen=True)
class Contents:
    """A log as it was read.

    Attributes:
        entries: the lines up to the first damaged one, oldest first.
        plans: every plan with its state after those, oldest first.
        made: folders of results that they say were made, relative to the project.
        digest: of those lines.
        chained_from: first line that carries the digest of those before it, from 1; None where
            none does, as in the log of an earlier version.
        damage: what is wrong behind them, if anything.
        size: bytes of those lines.
        ended: whether the last of them ends with a newline.
        behind: bytes of what follows them.
    """

    entries: tuple[Entry, ...]
    plans: Mapping[str, PlanRecord]
    made: frozenset[str]
    digest: str
    chained_from: int | None
    damage: Damage | None
    size: int
    ended: bool
    behind: bytes


def next_line(contents: Contents, entry: Entry) -> tuple[bytes, Mapping[str, PlanRecord]]:
    """The line that an entry becomes, and the plans after it.

    Raises:
        PlanStateError: it does not follow from those before it.
    """
    values = {**entry.to_json(), PREVIOUS: contents.digest}
    # ASCII alone: what a reader takes for the end of a line is never within one.
    line = json.dumps(values, sort_keys=True, allow_nan=False).encode("ascii")
    plans, made = dict(contents.plans), set(contents.made)
    try:
        written = _linked(json.loads(line), contents.digest, chained=True)
        follow(plans, written, strict=True)
        _make(made, written, strict=True)
    except RefusedError as error:
        raise PlanStateError(
            error.expected, error.found, "Nothing was recorded; see `dagcast log`."
        ) from error
    return line, plans


def digest_of(before: str, line: bytes) -> str:
    return hashlib.sha256(before.encode() + line).hexdigest()


def parse(data: bytes, until: int | None = None) -> tuple[Contents, list[str]]:
    """Read lines up to the first that is not whole.

    Args:
        data: of the log.
        until: read so many lines at most.

    Returns:
        The contents, and the digest after each number of lines.
    """
    lines = data.split(b"\n")
    ended = not lines[-1]
    if ended:
        lines.pop()
    entries: list[Entry] = []
    plans: dict[str, PlanRecord] = {}
    made: set[str] = set()
    digests = [START]
    size, chained_from, damage = 0, None, None
    for number, line in enumerate(lines[:until], start=1):
        try:
            values = values_of(line)
            strict = PREVIOUS in values
            entry = _linked(values, digests[-1], chained=chained_from is not None)
            follow(plans, entry, strict=strict)
            _make(made, entry, strict=strict)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            last = not any(_is_entry(later) for later in lines[number:])
            expected, found = f"a complete entry in line {number} of {{log}}", _shown(line)
            if isinstance(error, RefusedError):
                expected = f"line {number} of {{log}} to follow from those before it"
                found = f"{error.found} instead of {error.expected}"
            damage = Damage(number, expected, found, last)
            break
        if strict and chained_from is None:
            chained_from = number
        entries.append(entry)
        digests.append(digest_of(digests[-1], line))
        size += len(line) + 1
    size = min(size, len(data))
    contents = Contents(
        tuple(entries),
        plans,
        frozenset(made),
        digests[-1],
        chained_from,
        damage,
        size,
        not size or data[size - 1 : size] == b"\n",
        data[size:],
    )
    return contents, digests


def _shown(line: bytes) -> str:
    text = line[:60].decode("utf-8", errors="backslashreplace")
    return f"{text!r}{' ...' if len(line) > 60 else ''}"


def _is_entry(line: bytes) -> bool:
    try:
        values = values_of(line)
        values.pop(PREVIOUS, None)
        entry_of(values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _linked(values: Mapping[str, Any], before: str, *, chained: bool) -> Entry:
    """The entry of a line that is chained to those before it.

    Args:
        values: of the line.
        before: digest of the lines before it.
        chained: whether an earlier line carries one, so that this one must.

    Raises:
        RefusedError: the line carries another digest, or none where it has to.
        ValueError, TypeError, KeyError: it is no entry.
    """
    values = dict(values)
    previous = values.pop(PREVIOUS, None)
    if previous != before and (chained or previous is not None):
        raise RefusedError(
            "the digest of the lines before it",
            "none" if previous is None else "another: a line was changed, moved or removed",
        )
    return entry_of(values)


def _make(made: set[str], entry: Entry, *, strict: bool) -> None:
    """Note the folder that a line says was made: whose digest counts is said once.

    Raises:
        RefusedError: an earlier line says so of the same folder.
    """
    folder = made_by(entry)
    if folder is None:
        return
    if strict and folder in made:
        raise RefusedError("a new name for each folder of results", f"{folder} once more")
    made.add(folder)
