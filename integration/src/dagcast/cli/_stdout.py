"""Standard output belongs to results: whatever else prints, prints on standard error.

Packages print when they are imported, libraries when they warn, subprocesses whenever they like;
one line of theirs makes JSON unreadable for whoever pipes it.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

# The real standard output while it is reserved: as Python and as the system know it.
_real: list[tuple[TextIO | None, int | None]] = []


@contextlib.contextmanager
def reserved() -> Iterator[None]:
    """Inside the block only what is shown ``as_result`` reaches standard output."""
    if _real:
        yield
        return
    _real.append(_turned_away())
    try:
        yield
    finally:
        _given_back(_real.pop())


@contextlib.contextmanager
def as_result() -> Iterator[None]:
    """Inside the block standard output is what it was."""
    if not _real:
        yield
        return
    _given_back(_real.pop())
    try:
        yield
    finally:
        _real.append(_turned_away())


def give_up() -> None:
    """Reserve standard output for good: the results are out, and the process is about to end."""
    _real.append(_turned_away())


def _turned_away() -> tuple[TextIO | None, int | None]:
    stream = sys.stdout
    _flush()
    handle = None
    with contextlib.suppress(OSError):
        handle = os.dup(1)
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream, handle


def _given_back(real: tuple[TextIO | None, int | None]) -> None:
    stream, handle = real
    _flush()
    if handle is not None:
        os.dup2(handle, 1)
        os.close(handle)
    sys.stdout = stream


def _flush() -> None:
    # Of whoever put it there; a closed or full one is found out when a result is shown.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
