"""The head of the log: how many lines there are, and the digest of all of them.

It stands in a file of its own, so that lines that are cut off at the end are missed.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.journal._chain import START, Contents, Damage
from dagcast.journal._files import open_own, write_at

_BYTES = len(f"{0:012d} {START}\n")


@final
@dataclass(frozen=True)
class Head:
    """What the log should hold at least.

    Attributes:
        count: of its lines.
        digest: of all of them.
    """

    count: int
    digest: str


def read_head(path: Path) -> Head | None:
    """The head in a file; None where there is none, or what is there is none."""
    try:
        handle = open_own(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        found = os.pread(handle, _BYTES + 1, 0)
    finally:
        os.close(handle)
    match = re.fullmatch(rb"(\d{12}) ([0-9a-f]{64})\n", found)
    return None if match is None else Head(int(match[1]), match[2].decode())


def write_head(path: Path, count: int, digest: str) -> None:
    """Write the head over the one before it, which needs no room on a full disk."""
    handle = open_own(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_at(handle, f"{count:012d} {digest}\n".encode(), 0)
        os.ftruncate(handle, _BYTES)
    finally:
        os.close(handle)


def missed(
    head: Head | None, contents: Contents, digests: Sequence[str], name: str
) -> tuple[Damage, int] | None:
    """What a log lacks of what its head says, and how many lines are whole; None where nothing.

    One line more than the head counts is what an append leaves that was killed in between.

    Args:
        head: of the log, if it has one.
        contents: of the log, without damage of its own.
        digests: of the first 0, 1, 2, ... lines.
        name: of the head's file.
    """
    count = len(contents.entries)
    if head is None:
        if contents.chained_from is None:
            return None
        return Damage(count, f"{name} beside {{log}}, its count", "none", True), count
    if head.count > count:
        gone = head.count - count
        expected = f"all {head.count} lines of {{log}}"
        found = f"{count}: {gone} at the end are gone"
        return Damage(count + 1, expected, found, True, gone), count
    if digests[head.count] == head.digest:
        return None
    # Only the last line can be set aside: behind any other stand whole ones.
    last = head.count == count
    expected = f"line {head.count} of {{log}} as it was written"
    return Damage(head.count, expected, "another text", last), count - 1 if last else count
