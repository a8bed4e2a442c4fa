"""Locks that tell work under way from what a killed process left.

A lock on a file goes with the process that holds it. Whoever waits for one, or takes one on
something just made, may find that another process put another file in its place meanwhile.
"""

import fcntl
import os
import secrets
from pathlib import Path

# How names of unfinished files and folders end; they begin with a dot. What other programs have not
# finished, such as a download among the events, is called otherwise.
PART = ".dagcast.part"


def still_there(handle: int, path: Path) -> bool:
    """Whether an open file is what lies at a path now; links are not followed."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def hidden_file(path: Path) -> tuple[Path, int]:
    """A new, locked file beside ``path``, to be renamed to it; with the mode that the umask says.

    Returns:
        Where it is, and its open handle for writing.
    """
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if still_there(handle, part):
            return part, handle
        # Between creation and lock it was taken for a leftover.
        os.close(handle)
