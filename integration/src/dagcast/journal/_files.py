"""The files of the log: opened under a lock and never through a link, written in place."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dagcast._locking import still_there
from dagcast.errors import ProjectError


def open_own(path: Path, flags: int) -> int:
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if not path.is_symlink():
            raise
        raise ProjectError(
            f"a file of its own at {path}",
            f"a link to {os.readlink(path)}",
            "Put the file itself there: what is written must stay in the project.",
        ) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ProjectError(f"a file at {path}", "something else", "Restore it from a copy.")
    return handle


def write_at(handle: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written


@contextlib.contextmanager
def locked(path: Path, *, write: bool) -> Iterator[int]:
    """The log under its lock: many readers, or one who checks and appends.

    A link would lead writers out of the project, and is refused.
    """
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    flags |= os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
    while True:
        handle = open_own(path, flags)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
            # Somebody may have put another file there while this one waited.
            if still_there(handle, path):
                yield handle
                return
        finally:
            os.close(handle)
