"""Messages about plans to an address of the settings, in the order of the log.

The log is the outbox: a file beside it counts the lines that were told. So a message is lost with
no process, a receiver that is down gets it with the next one, and one that answered too late gets
it twice; each carries the digest of its line, by which twice is told from two. A decision never
waits for the receiver: its line is written before anything is sent.
"""

import fcntl
import hashlib
import hmac
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dagcast._whole import write_text
from dagcast.figures import counted
from dagcast.journal import Entry
from dagcast.project import Project

FILE = "webhook.json"
_LOCK = ".webhook.lock"
_EVENTS = (
    *("proposed", "edited", "endorsed", "approved", "rejected", "sent back", "released"),
    *("halted", "resumed"),
)
# What is older when the address is first told is no news.
_NEWS = timedelta(hours=1)
_AT_ONCE = 50
_TOLD = (
    "seal",
    "spend",
    "released",
    "parent",
    "status",
    "with",
    "despite",
    "horizon_start",
    "hours",
)


def notify(project: Project) -> str:
    """Send what was not told yet; waits twice the timeout at most.

    Returns:
        What could not be sent, in words; empty where nothing is left or no address is declared.
    """
    if not project.config.webhook.url:
        return ""
    said: list[str] = []
    # A receiver that answers a byte a second would pass every timeout of a socket.
    worker = threading.Thread(target=lambda: said.append(_flush(project)), daemon=True)
    worker.start()
    worker.join(2 * project.config.webhook.timeout_seconds)
    if worker.is_alive():
        return f"webhook: {project.config.webhook.url} has not answered yet; it is told again"
    return said[0] if said else ""


def _flush(project: Project) -> str:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(project.folder / _LOCK, flags, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever sends now tells this as well, or the next one does.
            return ""
        return _sent(project)
    finally:
        os.close(handle)


def _sent(project: Project) -> str:
    contents = project.journal.examine()
    entries = contents.entries
    start = _told(project, entries)
    waiting = [k for k in range(start, len(entries)) if _messages(entries[k])]
    for done, number in enumerate(waiting[:_AT_ONCE]):
        try:
            for event in _messages(entries[number]):
                _post(project, number, entries[number], event)
        except (OSError, ValueError, urllib.error.URLError) as error:
            _mark(project, number)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            reason = getattr(error, "reason", error)
            return (
                f"webhook: {counted(len(waiting) - done, 'line')} of the log to be told, as "
                f"{project.config.webhook.url} answered: {reason}; they are sent with the next"
            )
    left = waiting[_AT_ONCE:]
    _mark(project, left[0] if left else len(entries))
    return (
        f"webhook: {counted(len(left), 'line')} of the log to be told with the next" if left else ""
    )


def _told(project: Project, entries: Sequence[Entry]) -> int:
    """How many lines were told or are no news."""
    try:
        kept = json.loads((project.folder / FILE).read_text(encoding="utf-8"))
        return min(max(int(kept["lines"]), 0), len(entries))
    except (OSError, ValueError, KeyError, TypeError):
        news = datetime.now(UTC) - _NEWS
        return next((k for k, e in enumerate(entries) if e.at >= news), len(entries))


def _mark(project: Project, lines: int) -> None:
    write_text(project.folder / FILE, json.dumps({"lines": lines}) + "\n")


def _messages(entry: Entry) -> tuple[str, ...]:
    """What a line is called to the receiver; nothing where it is no news to them."""
    if entry.event == "approved" and "released" in entry.details:
        return ("approved", "released")
    if entry.event in _EVENTS:
        return (entry.event,)
    # The robot of the week found a plan beyond what it may approve: it calls a person.
    calls = entry.event == "week" and entry.details.get("step") == "approve"
    return ("needs you",) if calls else ()


def _post(project: Project, number: int, entry: Entry, event: str) -> None:
    settings = project.config.webhook
    told: Mapping[str, Any] = {k: v for k, v in entry.details.items() if k in _TOLD}
    why = entry.why or str(entry.details.get("beyond", ""))
    values = {
        "project": project.config.name,
        "line": number + 1,
        "event": event,
        "plan": entry.plan or entry.details.get("plan"),
        "who": entry.who,
        "why": why,
        "at": entry.at.isoformat(timespec="seconds"),
        "details": told,
    }
    line = json.dumps(entry.to_json(), sort_keys=True)
    values["id"] = hashlib.sha256(f"{number}:{event}:{line}".encode()).hexdigest()
    body = json.dumps(values, sort_keys=True).encode()
    headers = {"content-type": "application/json", "user-agent": "dagcast"}
    if key := os.environ.get(settings.secret_env, "") if settings.secret_env else "":
        signed = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers["x-dagcast-signature"] = f"sha256={signed}"
    request = urllib.request.Request(settings.url, body, headers, method="POST")
    opener = urllib.request.build_opener(_Stay)
    with opener.open(request, timeout=settings.timeout_seconds) as answer:
        answer.read(1024)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere but to the address of the settings."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        return None
