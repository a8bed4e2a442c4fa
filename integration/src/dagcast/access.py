"""Tokens by which people sign in at the desk: what the project keeps of them is their digest.

A token is 256 random bits, so that a plain sha256 of it gives nothing away. Who holds one is who it
was made for, until it ends or is taken back; both are lines of the log.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import final

from dagcast._whole import write_text
from dagcast.errors import ProjectError, UsageError
from dagcast.project import Project, current_user

FILE = "access.json"
"""The file of a project that holds the digests of tokens."""
_LOCK = ".access.lock"
_LONGEST = 200


@final
@dataclass(frozen=True)
class Token:
    """What is kept of a token.

    Attributes:
        key: its short name, by which it is taken back.
        who: whom it signs in.
        digest: sha256 of it.
        made: when, ISO UTC.
        until: when it ends, ISO UTC.
    """

    key: str
    who: str
    digest: str
    made: str
    until: str

    def ended(self, now: datetime) -> bool:
        """Whether it signs nobody in any more."""
        return now >= datetime.fromisoformat(self.until)


def tokens(project: Project) -> tuple[Token, ...]:
    """All tokens of a project, oldest first.

    Raises:
        ProjectError: their file is damaged.
    """
    path = project.folder / FILE
    if not path.exists():
        return ()
    try:
        return tuple(Token(**item) for item in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ProjectError(
            f"tokens in {path}", f"{error}", "Remove the file and make new tokens."
        ) from error


def find(project: Project, given: str) -> Token | None:
    """The token that somebody shows, as long as it has not ended; None where there is none."""
    digest, now = _digest(given), datetime.now(UTC)
    found = None
    for item in tokens(project):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(item.digest, digest) and not item.ended(now):
            found = item
    return found


def grant(project: Project, who: str, *, days: float = 90.0, by: str | None = None) -> str:
    """Make a token for somebody; it is shown this once.

    Raises:
        UsageError: a name that nobody can have, or no time that it lasts.
        ProjectError: the file of tokens is damaged.
    """
    who = who.strip()
    if not 0 < len(who) <= _LONGEST or not who.isprintable():
        raise UsageError("a name of 1 to 200 characters that can be seen", repr(who), "Correct it.")
    if not 0 < days <= 3660:
        raise UsageError("0 to 3,660 days for a token to last", f"{days:g}", "Correct it.")
    given, now = secrets.token_urlsafe(32), datetime.now(UTC)
    made = Token(
        secrets.token_hex(4),
        who,
        _digest(given),
        now.isoformat(timespec="seconds"),
        (now + timedelta(days=days)).isoformat(timespec="seconds"),
    )
    with _changing(project):
        _write(project, (*tokens(project), made))
    project.record("granted", who=by, details={"to": who, "key": made.key, "until": made.until})
    return given


def revoke(project: Project, key: str, *, by: str | None = None) -> Token:
    """Take a token back; whoever signed in by it is signed out.

    Raises:
        UsageError: there is no such token.
        ProjectError: the file of tokens is damaged.
    """
    with _changing(project):
        held = tokens(project)
        found = next((item for item in held if item.key == key), None)
        if found is None:
            raise UsageError(
                f"one of the tokens {', '.join(item.key for item in held) or '(none)'}",
                repr(key),
                "`dagcast access list` names them.",
            )
        _write(project, tuple(item for item in held if item is not found))
    project.record("revoked", who=by or current_user(), details={"of": found.who, "key": key})
    return found


def _digest(given: str) -> str:
    return hashlib.sha256(given.encode("utf-8", errors="backslashreplace")).hexdigest()


def _write(project: Project, held: tuple[Token, ...]) -> None:
    path: Path = project.folder / FILE
    write_text(path, json.dumps([asdict(item) for item in held], indent=1) + "\n")
    path.chmod(0o600)


@contextlib.contextmanager
def _changing(project: Project) -> Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(project.folder / _LOCK, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
