"""Where a process puts what does not fit in memory: a folder that only its owner can read.

One folder for each user holds one for each process. What a process left that was killed goes when
the next one begins.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path


def scratch_folder() -> Path:
    """A folder of this process alone, which is not made yet.

    Nobody can put another one in its place: those of others are never used, and its name is not to
    be guessed.
    """
    shared = Path(tempfile.gettempdir()) / f"dagcast-{os.getuid()}"
    own = f"{os.getpid()}-{secrets.token_hex(8)}"
    try:
        shared.mkdir(mode=0o700)
    except FileExistsError:
        if not _private(shared):
            return shared.with_name(f"{shared.name}-{own}")
    except OSError:
        # No folder for temporary files, or none that can be written: only what spills needs it.
        return shared / own
    _sweep(shared)
    return shared / own


def _private(folder: Path) -> bool:
    status = folder.lstat()
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )


def _sweep(shared: Path) -> None:
    """Removes what processes left that are no more."""
    with contextlib.suppress(OSError):
        for left in shared.iterdir():
            number = left.name.partition("-")[0]
            if number.isdigit() and _no_process(number):
                shutil.rmtree(left, ignore_errors=True)


def _no_process(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
