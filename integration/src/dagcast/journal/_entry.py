"""One line of the log: what an entry holds, and which texts are one."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, final

PROPOSALS = ("proposed", "edited")
"""Events by which a plan comes to be."""
RENEWALS = ("ingested", "fitted")
"""Events that make the checks of an approval out of date."""

# Names become folders below the project: none may lead elsewhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@final
@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes:
        at: when, UTC.
        who: the person or service that did it.
        event: what happened, such as ``created``, ``fitted``, ``proposed`` or ``approved``.
        plan: the plan concerned, if any.
        why: the reason given.
        details: further values, as JSON.
    """

    at: datetime
    who: str
    event: str
    plan: str | None = None
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values."""
        return {
            "at": self.at.astimezone(UTC).isoformat(timespec="seconds"),
            "who": self.who,
            "event": self.event,
            "plan": self.plan,
            "why": self.why,
            "details": _finite(dict(self.details)),
        }


def entry_of(values: Mapping[str, Any]) -> Entry:
    """One line as an entry, with what is read from it later.

    Args:
        values: of the line, without what chains it to those before it.

    Raises:
        ValueError: a value of the wrong kind, or a name that leads out of the project.
        TypeError: other keys than an entry has.
        KeyError: a proposal without a plan or the hours it decides about.
    """
    values = dict(values)
    at = datetime.fromisoformat(values["at"])
    try:
        values["at"] = at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{at} is no time") from error
    entry = Entry(**values)
    texts = (entry.who, entry.event, entry.why, entry.plan or "")
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry.details, Mapping):
        raise ValueError("a value of another kind")
    if entry.event in PROPOSALS and (entry.plan is None or not entry.details["horizon_start"]):
        raise KeyError("horizon_start")
    for name in (entry.plan, *(entry.details.get(key) for key in ("parent", "fit", "page"))):
        if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ValueError(f"{name!r} is no name")
    made = entry.details.get("made")
    if made is not None and not re.fullmatch(rf"events/{_NAME.pattern}", made):
        raise ValueError(f"{made!r} is no folder of events")
    return entry


def made_by(entry: Entry) -> str | None:
    """The folder of results that an entry says was made, relative to the project, if any."""
    if entry.event in PROPOSALS:
        return f"plans/{entry.plan}"
    # An approval is one line with its release: neither is there without the other.
    if entry.event == "released" or (entry.event == "approved" and "released" in entry.details):
        return f"released/{entry.plan}"
    if entry.event == "fitted" and "fit" in entry.details:
        return f"models/{entry.details['fit']}"
    return entry.details.get("made")


def values_of(line: bytes) -> dict[str, Any]:
    """One line as JSON; keys that occur twice and any depth are refused alike.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(line.decode("utf-8"), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _finite(value: Any) -> Any:
    """A value as JSON knows it: figures that are none become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
