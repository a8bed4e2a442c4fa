"""Files and folders that are there whole or not at all.

A folder is made beside its final name, hidden, and renamed when it is whole. Whoever makes one
holds a lock on it, which the system releases with the process; that tells leftovers from work under
way.
"""

import atexit
import contextlib
import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dagcast._locking import PART, hidden_file, still_there
from dagcast.errors import ProjectError

# Names that this process has taken and not filled yet, with the lock on each.
RESERVED: dict[Path, int] = {}


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A hidden folder that becomes ``target`` when the block ends, and vanishes if it fails.

    Raises:
        ProjectError: something is there already, or another command is making it.
    """
    part = part_of(target)
    handle = claimed(target)
    try:
        require_free(target)
        yield part
        publish(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file whole or not at all; what is no character is written as its escape.

    See `write_bytes`.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"), replace=replace)


def write_bytes(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file so that a reader, or a power cut, sees all of it or nothing.

    Args:
        path: of the file; what lies there, a link as well, makes way for it.
        content: of the file.
        replace: whether anything that is there may make way.

    Raises:
        FileExistsError: there is something, and it may not.
        ProjectError: a folder, pipe or device is there, or a link to one.
    """
    if path.exists() and not path.is_file():
        # In place of `/dev/null` there would be a file.
        raise ProjectError(
            f"a file or nothing at {path}",
            "a folder" if path.is_dir() else "a pipe or device",
            "Name another file.",
        )
    # Beside a file that is in no project nobody else ever looks for what a killed process left.
    _sweep(path.parent, f".{glob.escape(path.name)}.*{PART}")
    part, handle = hidden_file(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if replace:
                os.replace(part, path)
            else:
                # Unlike a rename, a second name is never given over one that is taken.
                os.link(part, path)
                part.unlink()
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def part_of(target: Path) -> Path:
    """Where a folder lies, hidden, before it gets its name."""
    return target.with_name(f".{target.name}{PART}")


def claim(part: Path) -> int | None:
    """Make a hidden folder and lock it; None where another process holds it.

    What a killed process left under that name is removed first.
    """
    while True:
        try:
            part.mkdir()
            fresh = True
        except FileExistsError:
            fresh = False
        handle = locked(part)
        if handle is None:
            if part.exists():
                return None
            continue
        if fresh:
            return handle
        abandon(part, handle)


def locked(part: Path) -> int | None:
    """The lock on something hidden; None where somebody holds it, or it is gone by now."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(part, flags)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if not still_there(handle, part):
        os.close(handle)
        return None
    return handle


def claimed(target: Path) -> int:
    """Make the hidden folder of ``target`` and lock it.

    Raises:
        ProjectError: another command is making it.
    """
    handle = claim(part_of(target))
    if handle is None:
        raise ProjectError(
            f"nobody else to make {target}",
            "another command that does",
            "Wait for it and try again.",
        )
    return handle


def abandon(part: Path, handle: int) -> None:
    """Remove something hidden and give its lock back."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
    os.close(handle)


@atexit.register
def _release() -> None:
    """Free the names that were reserved for work that failed."""
    while RESERVED:
        abandon(*RESERVED.popitem())


def sweep(folder: Path) -> None:
    """Remove what was left unfinished in a folder; what a process is making is left alone."""
    _sweep(folder, f".*{PART}")


def _sweep(folder: Path, pattern: str) -> None:
    for part in sorted(folder.glob(pattern)):
        # What cannot be opened or removed keeps nobody from the rest.
        with contextlib.suppress(OSError):
            handle = locked(part)
            if handle is not None:
                abandon(part, handle)


def require_free(target: Path) -> None:
    """Refuse a name that is taken.

    Raises:
        ProjectError: something lies there that is no empty folder.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        free = False
    else:
        free = not target.exists() or not any(target.iterdir())
    if not free:
        raise ProjectError(
            f"nothing at {target}",
            "results of another command",
            "They are never replaced: run the command again, or choose another name.",
        )


def publish(part: Path, target: Path) -> None:
    """Give a hidden folder its name, for good."""
    # Over an empty folder at most: a rename never replaces one that holds something.
    os.rename(part, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
