"""Seals: what every file of a plan or a fit held when it was written.

The digest of a seal stands in the log: who changes a plan or a fit would have to change the log as
well.
"""

import hashlib
import json
import os
from pathlib import Path

from dagcast._held import held_text
from dagcast.errors import ProjectError

SEAL = "sha256.json"


def seal(folder: Path) -> str:
    """Write down what every file of a folder holds; it never changes afterwards.

    Returns:
        The digest of what was written, for the log.
    """
    found = {name: _flushed(folder / name) for name in _files(folder)}
    path = folder / SEAL
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return _flushed(path)


def verify(folder: Path, sealed: str | None, what: str) -> None:
    """Compare a folder with its seal, and its seal with the log.

    Args:
        folder: that was sealed.
        sealed: digest of the seal in the log; None where an earlier version wrote none.
        what: ``plan``, ``fit`` or ``release``: what it holds.

    Raises:
        ProjectError: a file is missing or was changed, or the log knows another seal.
    """

    def damaged(found: str) -> ProjectError:
        return ProjectError(
            f"the {what} in {folder} as it was written",
            found,
            remedy(what),
        )

    if not (folder / SEAL).is_file():
        if sealed is not None:
            raise damaged(f"no {SEAL}")
        # Of an earlier version; what it holds is checked by whoever reads it.
        return
    try:
        if sealed is not None and _digest(folder / SEAL) != sealed:
            raise damaged(f"another {SEAL} than the log knows")
        expected = json.loads(held_text(folder / SEAL))
        found = {name: _digest(folder / name) for name in _files(folder)}
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error
    if not isinstance(expected, dict):
        raise damaged(f"a {SEAL} that lists no files")
    for name, digest in expected.items():
        if name not in found:
            raise damaged(f"no {name}")
        if found[name] != digest:
            raise damaged(f"another {name} than was written")
    if more := sorted(found.keys() - expected.keys()):
        raise damaged(f"{more[0]} besides what was written")


def remedy(what: str) -> str:
    """What to do about a damaged folder: what was released is final, and is not made again."""
    again = "" if what == "release" else f", or make a new {what} with `dagcast {what}`"
    return f"Restore it from a copy{again}."


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SEAL
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flushed(path: Path) -> str:
    """The digest of a file that has reached the disk: the log never knows more than that."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return _digest(path)
