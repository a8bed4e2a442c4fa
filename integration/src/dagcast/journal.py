"""The append-only log of a project, and the states that plans reach through it.

The log is the record of who decided what, when and why. A line is never changed: a plan's state is
what its lines add up to.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

from dagcast.errors import PlanStateError, ProjectError, UsageError

PlanState = Literal["proposed", "superseded", "approved", "rejected"]
Decision = Literal["approved", "rejected"]
# Events by which a plan comes to be.
PROPOSALS = ("proposed", "edited")


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
            "details": dict(self.details),
        }


@final
@dataclass(frozen=True)
class PlanRecord:
    """Where one plan stands.

    Attributes:
        plan: its name.
        state: what its log lines add up to.
        horizon_start: first hour it decides about, ISO UTC.
        parent: the plan it was edited from, if any.
        superseded_by: the newer plan, if any.
        entry: the line that led to the present state.
    """

    plan: str
    state: PlanState
    horizon_start: str
    parent: str | None
    superseded_by: str | None
    entry: Entry


@final
class Journal:
    """Reads and appends to ``log.jsonl``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: Entry) -> None:
        """Write one line, whole or not at all, also when two processes write at once."""
        line = json.dumps(entry.to_json(), ensure_ascii=False, sort_keys=True) + "\n"
        with self._path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> tuple[Entry, ...]:
        """All lines, oldest first.

        Raises:
            ProjectError: a line is not a complete entry, as after a full disk, or decides about a
                plan that nobody proposed.
        """
        entries = []
        proposed: set[str | None] = set()
        # Bytes that are no text are shown as such in the message about their line.
        lines = self._path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                entry = _entry(json.loads(line))
                if entry.event in PROPOSALS:
                    proposed.add(entry.plan)
                elif entry.event in ("approved", "rejected") and entry.plan not in proposed:
                    raise ValueError(f"{entry.plan} was never proposed")
                entries.append(entry)
            except (ValueError, TypeError, KeyError) as error:
                raise ProjectError(
                    f"a complete entry in line {number} of {self._path}",
                    f"{line[:60]!r}",
                    "If it is the last line, a write was cut off: remove that line. "
                    "Otherwise restore the log from a copy; lines are never edited.",
                ) from error
        return tuple(entries)

    def plans(self) -> dict[str, PlanRecord]:
        """Every plan with its state, oldest first."""
        return _states(self.entries())

    def proposal(self, plan: str) -> Entry | None:
        """The line by which a plan was proposed or edited; None where the log does not know it."""
        for entry in reversed(self.entries()):
            if entry.plan == plan and entry.event in PROPOSALS:
                return entry
        return None

    def find(self, plan: str | None) -> PlanRecord:
        """The named plan, or the newest where no name is given.

        Raises:
            ProjectError: no plan was made yet.
            UsageError: no plan has that name; lists the newest ones.
        """
        plans = self.plans()
        if not plans:
            raise ProjectError("a plan", "none in the log", "Make one with `dagcast plan`.")
        if plan is None:
            return list(plans.values())[-1]
        if plan not in plans:
            raise UsageError(
                f"the name of a plan ({', '.join(list(plans)[-5:])})",
                repr(plan),
                "Name one of those, or leave the name out for the newest.",
            )
        return plans[plan]

    def approved(self, horizon_start: str) -> PlanRecord | None:
        """The plan approved for the horizon that starts there, if any."""
        for record in self.plans().values():
            if record.state == "approved" and record.horizon_start == horizon_start:
                return record
        return None

    def decide(self, plan: str | None, decision: Decision, *, who: str, why: str) -> PlanRecord:
        """Approve or reject a plan.

        Raises:
            PlanStateError: the plan is superseded or already decided, or another one is approved
                for the same hours.
        """
        record = self.find(plan)
        # An approved plan can still be withdrawn; every other step starts from a proposal.
        allowed = {"approved": ("proposed",), "rejected": ("proposed", "approved")}[decision]
        if record.state not in allowed:
            raise PlanStateError(
                f"plan {record.plan} to be {' or '.join(allowed)}",
                _describe(record),
                f"Decide about {record.superseded_by} instead."
                if record.superseded_by
                else "Make a new plan with `dagcast plan`.",
            )
        if decision == "approved" and (other := self.approved(record.horizon_start)):
            raise PlanStateError(
                f"no approved plan for the hours from {record.horizon_start}",
                _describe(other),
                f"Withdraw it first: `dagcast reject {other.plan} --why ...`.",
            )
        self.append(Entry(datetime.now(UTC), who=who, event=decision, plan=record.plan, why=why))
        return self.find(record.plan)


def _entry(values: dict[str, Any]) -> Entry:
    """One line, with what is read from it later.

    Raises:
        ValueError: a time that is none, or details that are no table.
        TypeError: no table, or other keys than an entry has.
        KeyError: a proposal without a plan or the hours it decides about.
    """
    values["at"] = datetime.fromisoformat(values["at"])
    entry = Entry(**values)
    if not isinstance(entry.details, Mapping):
        raise ValueError("details that are no table")
    if entry.event in PROPOSALS and (entry.plan is None or not entry.details["horizon_start"]):
        raise KeyError("horizon_start")
    return entry


def _states(entries: tuple[Entry, ...]) -> dict[str, PlanRecord]:
    records: dict[str, PlanRecord] = {}
    for entry in entries:
        if entry.plan is None:
            continue
        if entry.event in PROPOSALS:
            start = str(entry.details["horizon_start"])
            # A newer proposal for the same hours makes the undecided older ones obsolete.
            for name, record in records.items():
                if record.horizon_start == start and record.state == "proposed":
                    records[name] = PlanRecord(
                        name, "superseded", start, record.parent, entry.plan, entry
                    )
            records[entry.plan] = PlanRecord(
                entry.plan, "proposed", start, entry.details.get("parent"), None, entry
            )
        elif entry.event in ("approved", "rejected"):
            record = records[entry.plan]
            state: PlanState = "approved" if entry.event == "approved" else "rejected"
            records[entry.plan] = PlanRecord(
                entry.plan, state, record.horizon_start, record.parent, None, entry
            )
    return records


def _describe(record: PlanRecord) -> str:
    entry = record.entry
    text = f"{record.plan} {record.state}"
    if record.superseded_by:
        text += f" by {record.superseded_by}"
    text += f" since {entry.at:%Y-%m-%d %H:%M} UTC ({entry.who})"
    return f"{text}: {entry.why}" if entry.why else text
