"""The append-only log of a project, and the states that plans reach through it.

The log is the record of who decided what, when and why. A line is never changed: a plan's state is
what its lines add up to. Three things make a change show:

- every line carries the digest of all lines before it, so that none can be edited, moved, doubled
  or taken out of the middle;
- the file ``log.head`` beside the log counts the lines and holds their digest, so that none can be
  cut off at the end;
- a line that the rules of this module would not have written, such as a second approval of the same
  hours, is refused when it is read.

Logs of earlier versions have lines without a digest. They are read as they are; the first line that
is appended covers them all. ``docs/design/trust.md`` says what this protects from, and what not.
"""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

from dagcast._locking import hidden_file, still_there
from dagcast.errors import PlanStateError, ProjectError, UsageError

PlanState = Literal["proposed", "superseded", "approved", "rejected"]
Decision = Literal["approved", "rejected"]
# Events by which a plan comes to be.
PROPOSALS = ("proposed", "edited")
# A plan that was carried out cannot be withdrawn any more.
CARRIED_OUT = ("played", "looked back")
# What makes the checks of an approval out of date.
RENEWALS = ("ingested", "fitted")

_PREVIOUS = "prev"
# Names become folders below the project: none may lead elsewhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_START = hashlib.sha256(b"").hexdigest()
_HEAD_BYTES = len(f"{0:012d} {_START}\n")


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
        carried_out: whether its week was lived through or looked back at while it was approved.
    """

    plan: str
    state: PlanState
    horizon_start: str
    parent: str | None
    superseded_by: str | None
    entry: Entry
    carried_out: bool = False


@final
@dataclass(frozen=True)
class Damage:
    """What is wrong with a log.

    Attributes:
        line: first line that is not what was written, from 1.
        expected: what should be there; ``{log}`` stands for the file.
        found: what is there.
        mendable: whether nothing whole stands behind it, so that it can be set aside.
        lost: lines that the head counts and that are gone.
    """

    line: int
    expected: str
    found: str
    mendable: bool
    lost: int = 0


@final
@dataclass(frozen=True)
class Contents:
    """A log as it was read.

    Attributes:
        entries: the lines up to the first damaged one, oldest first.
        plans: every plan with its state after those, oldest first.
        digest: of those lines.
        chained_from: first line that carries the digest of those before it, from 1; None where
            none does, as in the log of an earlier version.
        damage: what is wrong behind them, if anything.
        size: bytes of those lines.
        ended: whether the last of them ends with a newline.
        behind: bytes of what follows them.
    """

    entries: tuple[Entry, ...]
    plans: Mapping[str, PlanRecord]
    digest: str
    chained_from: int | None
    damage: Damage | None
    size: int
    ended: bool
    behind: bytes


@final
@dataclass(frozen=True)
class Repair:
    """What a repair did.

    Attributes:
        aside: the file that holds what was set aside; None where there was nothing to keep.
        bytes: how much that is.
        lost: lines that the head counted and that are gone.
        damage: what was wrong.
    """

    aside: Path | None
    bytes: int
    lost: int
    damage: Damage


@final
class Journal:
    """Reads and appends to ``log.jsonl``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = path.with_suffix(".head")

    def append(self, entry: Entry) -> None:
        """Write one line, whole or not at all, also when two processes write at once.

        Raises:
            PlanStateError: the line does not follow from those before it, such as a second
                proposal of a name.
            ProjectError: the log is damaged.
            OSError: the line could not be written; the log is as it was.
        """
        with self._opened(write=True) as handle:
            self._append(handle, self._whole(handle), entry)

    def entries(self) -> tuple[Entry, ...]:
        """All lines, oldest first.

        Raises:
            ProjectError: a line is not a complete entry, as after a full disk, is not what was
                written, or does not follow from those before it.
        """
        return self._read().entries

    def examine(self) -> Contents:
        """The log with what is wrong with it, for people; everybody else wants ``entries``."""
        with self._opened() as handle:
            return self._contents(handle)

    def plans(self) -> dict[str, PlanRecord]:
        """Every plan with its state, oldest first."""
        return dict(self._read().plans)

    def fits(self) -> dict[str, Entry]:
        """The line by which each fit came to be, oldest first."""
        return {
            str(entry.details["fit"]): entry
            for entry in self.entries()
            if entry.event == "fitted" and "fit" in entry.details
        }

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
        return _found(self.plans(), plan)

    def approved(self, horizon_start: str) -> PlanRecord | None:
        """The plan approved for the horizon that starts there, if any."""
        return _approved(self.plans(), horizon_start)

    def decide(
        self,
        plan: str | None,
        decision: Decision,
        *,
        who: str,
        why: str,
        details: Mapping[str, Any] | None = None,
        seen: PlanState | None = None,
        checked: int | None = None,
    ) -> PlanRecord:
        """Approve or reject a plan; the check and the line are one step.

        Args:
            plan: which one; the newest by default.
            decision: about it.
            who: decides.
            why: the reason.
            details: further values for the line.
            seen: the state in which the caller saw the plan; another one refuses the decision, so
                that nobody withdraws an approval that they do not know of.
            checked: how many lines the log had when the caller looked at data and fits; a later
                ingestion or fit refuses the decision.

        Raises:
            PlanStateError: the plan is superseded, already decided or carried out, another one is
                approved for the same hours, or the project moved on since it was checked.
        """
        with self._opened(write=True) as handle:
            contents = self._whole(handle)
            record = _found(contents.plans, plan)
            _require_open(contents.plans, record, decision)
            if seen is not None and record.state != seen:
                raise PlanStateError(
                    f"plan {record.plan} to be {seen} still",
                    _describe(record),
                    "Decide again if you still want to.",
                )
            if checked is not None:
                for entry in contents.entries[checked:]:
                    if entry.event in RENEWALS:
                        raise PlanStateError(
                            f"data and fits as they were when {record.plan} was checked",
                            f"{entry.event} meanwhile by {entry.who}",
                            "Decide again: it is then checked against what is there now.",
                        )
            entry = Entry(datetime.now(UTC), who, decision, record.plan, why, dict(details or {}))
            return self._append(handle, contents, entry)[record.plan]

    def repair(self, *, who: str) -> Repair | None:
        """Set a damaged tail aside and say so in the log; None where nothing is damaged.

        Raises:
            ProjectError: whole lines stand behind the damaged one: setting them aside would undo
                decisions.
        """
        with self._opened(write=True) as handle:
            contents = self._contents(handle)
            damage = contents.damage
            if damage is None:
                return None
            if not damage.mendable:
                raise self._error(damage)
            aside = self._set_aside(contents.behind) if contents.behind else None
            details = {
                "aside": aside.name if aside else None,
                "bytes": len(contents.behind),
                "sha256": hashlib.sha256(contents.behind).hexdigest(),
                "lost": damage.lost,
            }
            entry = Entry(datetime.now(UTC), who, "repaired", why=damage.found, details=details)
            line, _ = _next_line(contents, entry)
            whole = os.pread(handle, contents.size, 0)
            # The log is replaced in one step: whoever waits for its lock takes the new one's.
            part, new = hidden_file(self._path)
            try:
                _write(new, whole + (b"" if contents.ended else b"\n") + line + b"\n", 0)
                os.fsync(new)
                # A head that is ahead shows a repair that was cut off, which is then done again.
                self._write_head(len(contents.entries) + 1, _digest(contents.digest, line))
                os.replace(part, self._path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            finally:
                os.close(new)
            return Repair(aside, len(contents.behind), damage.lost, damage)

    def _read(self) -> Contents:
        with self._opened() as handle:
            return self._whole(handle)

    def _whole(self, handle: int) -> Contents:
        contents = self._contents(handle)
        if contents.damage is not None:
            raise self._error(contents.damage)
        return contents

    def _error(self, damage: Damage) -> ProjectError:
        fix = (
            "Set it aside with `dagcast log --repair`, which keeps it and says so in the log."
            if damage.mendable
            else "Restore the log from a copy; lines are never edited."
        )
        return ProjectError(damage.expected.format(log=self._path), damage.found, fix)

    @contextlib.contextmanager
    def _opened(self, *, write: bool = False) -> Iterator[int]:
        """The log under its lock: many readers, or one who checks and appends.

        A link would lead writers out of the project, and is refused.
        """
        flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        flags |= os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        while True:
            handle = _open(self._path, flags)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
                # Somebody may have put another file there while this one waited.
                if still_there(handle, self._path):
                    yield handle
                    return
            finally:
                os.close(handle)

    def _contents(self, handle: int) -> Contents:
        data = os.pread(handle, os.fstat(handle).st_size, 0)
        contents, digests = _parse(data)
        if contents.damage is not None:
            return contents
        head = self._read_head()
        count = len(contents.entries)
        if head is None:
            if contents.chained_from is None:
                return contents
            damage = Damage(count, f"{self._head.name} beside {{log}}, its count", "none", True)
        elif head[0] > count:
            gone = head[0] - count
            damage = Damage(
                count + 1,
                f"all {head[0]} lines of {{log}}",
                f"{count}: {gone} at the end are gone",
                True,
                gone,
            )
        elif digests[head[0]] != head[1]:
            line = head[0]
            damage = Damage(
                line, f"line {line} of {{log}} as it was written", "another text", line == count
            )
            if line == count:
                # The last line is the changed one, and can be set aside.
                contents = _parse(data, until=line - 1)[0]
        else:
            return contents
        return replace(contents, damage=damage)

    def _append(self, handle: int, contents: Contents, entry: Entry) -> Mapping[str, PlanRecord]:
        line, plans = _next_line(contents, entry)
        count = len(contents.entries)
        if self._read_head() is None:
            self._write_head(count, contents.digest)
        size = os.fstat(handle).st_size
        try:
            _write(handle, (b"" if contents.ended else b"\n") + line + b"\n", size)
            os.fsync(handle)
            # The same bytes are written over, which needs no room on a full disk.
            self._write_head(count + 1, _digest(contents.digest, line))
        except BaseException:
            os.ftruncate(handle, size)
            with contextlib.suppress(OSError):
                self._write_head(count, contents.digest)
            raise
        return plans

    def _read_head(self) -> tuple[int, str] | None:
        try:
            handle = _open(self._head, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            found = os.pread(handle, _HEAD_BYTES + 1, 0)
        finally:
            os.close(handle)
        match = re.fullmatch(rb"(\d{12}) ([0-9a-f]{64})\n", found)
        return None if match is None else (int(match[1]), match[2].decode())

    def _write_head(self, count: int, digest: str) -> None:
        handle = _open(self._head, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write(handle, f"{count:012d} {digest}\n".encode(), 0)
            os.ftruncate(handle, _HEAD_BYTES)
        finally:
            os.close(handle)

    def _set_aside(self, data: bytes) -> Path:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        path = self._path.with_name(f"{self._path.stem}.damaged-{moment}")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            _write(handle, data, 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        return path


class _RefusedError(ValueError):
    """A line does not follow from those before it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected = expected
        self.found = found


def _next_line(contents: Contents, entry: Entry) -> tuple[bytes, Mapping[str, PlanRecord]]:
    """The line that an entry becomes, and the plans after it.

    Raises:
        PlanStateError: it does not follow from those before it.
    """
    values = {**entry.to_json(), _PREVIOUS: contents.digest}
    # ASCII alone: what a reader takes for the end of a line is never within one.
    line = json.dumps(values, sort_keys=True, allow_nan=False).encode("ascii")
    plans = dict(contents.plans)
    try:
        _follow(plans, _entry(json.loads(line)), strict=True)
    except _RefusedError as error:
        raise PlanStateError(
            error.expected, error.found, "Nothing was recorded; see `dagcast log`."
        ) from error
    return line, plans


def _open(path: Path, flags: int) -> int:
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


def _write(handle: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written


def _digest(before: str, line: bytes) -> str:
    return hashlib.sha256(before.encode() + line).hexdigest()


def _parse(data: bytes, until: int | None = None) -> tuple[Contents, list[str]]:
    """Read lines up to the first that is not whole.

    Args:
        data: of the log.
        until: read so many lines at most.

    Returns:
        The contents, and the digest after each number of lines.
    """
    lines = data.split(b"\n")
    ended = not lines[-1]
    if ended:
        lines.pop()
    entries: list[Entry] = []
    plans: dict[str, PlanRecord] = {}
    digests = [_START]
    size, chained_from, damage = 0, None, None
    for number, line in enumerate(lines[:until], start=1):
        try:
            values = _json(line)
            entry = _entry(values, digests[-1], chained=chained_from is not None)
            strict = _PREVIOUS in values
            _follow(plans, entry, strict=strict)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            last = not any(_is_entry(later) for later in lines[number:])
            expected, found = f"a complete entry in line {number} of {{log}}", _shown(line)
            if isinstance(error, _RefusedError):
                expected = f"line {number} of {{log}} to follow from those before it"
                found = f"{error.found} instead of {error.expected}"
            damage = Damage(number, expected, found, last)
            break
        if strict and chained_from is None:
            chained_from = number
        entries.append(entry)
        digests.append(_digest(digests[-1], line))
        size += len(line) + 1
    size = min(size, len(data))
    contents = Contents(
        tuple(entries),
        plans,
        digests[-1],
        chained_from,
        damage,
        size,
        not size or data[size - 1 : size] == b"\n",
        data[size:],
    )
    return contents, digests


def _shown(line: bytes) -> str:
    text = line[:60].decode("utf-8", errors="backslashreplace")
    return f"{text!r}{' ...' if len(line) > 60 else ''}"


def _is_entry(line: bytes) -> bool:
    try:
        _entry(_json(line))
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _json(line: bytes) -> dict[str, Any]:
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


def _entry(values: Mapping[str, Any], before: str | None = None, *, chained: bool = False) -> Entry:
    """One line, with what is read from it later.

    Args:
        values: of the line.
        before: digest of the lines before it, where the line has to carry it.
        chained: whether an earlier line carries one, so that this one must.

    Raises:
        ValueError: a value of the wrong kind, or a name that leads out of the project.
        TypeError: other keys than an entry has.
        KeyError: a proposal without a plan or the hours it decides about.
    """
    values = dict(values)
    previous = values.pop(_PREVIOUS, None)
    if before is not None and previous != before and (chained or previous is not None):
        raise _RefusedError(
            "the digest of the lines before it",
            "none" if previous is None else "another: a line was changed, moved or removed",
        )
    values["at"] = datetime.fromisoformat(values["at"])
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


def _follow(records: dict[str, PlanRecord], entry: Entry, *, strict: bool) -> None:
    """Bring plans to their state after one more line.

    Args:
        records: by plan; changed in place.
        entry: the line.
        strict: whether it was written under today's rules; earlier versions had fewer.

    Raises:
        _RefusedError: the line does not follow from those before it.
    """
    name = entry.plan
    if name is None:
        return
    record = records.get(name)
    if entry.event in PROPOSALS:
        _propose(records, entry, strict=strict)
        return
    if record is None:
        # Earlier versions wrote no such line either, but only decisions need the plan.
        if strict or entry.event in ("approved", "rejected"):
            raise _RefusedError(f"a plan that was proposed before it is {entry.event}", name)
        return
    if entry.event in ("approved", "rejected"):
        decision: Decision = "approved" if entry.event == "approved" else "rejected"
        if strict:
            try:
                _require_open(records, record, decision)
            except PlanStateError as error:
                raise _RefusedError(error.expected, error.found) from error
        records[name] = replace(record, state=decision, superseded_by=None, entry=entry)
        if decision == "rejected":
            _reopen(records, record)
    elif entry.event in CARRIED_OUT:
        if strict and entry.event == "played" and record.state != "approved":
            raise _RefusedError(f"{name} to be approved before it is played", _describe(record))
        if record.state == "approved":
            records[name] = replace(record, carried_out=True)


def _propose(records: dict[str, PlanRecord], entry: Entry, *, strict: bool) -> None:
    name = str(entry.plan)
    start = str(entry.details["horizon_start"])
    parent = entry.details.get("parent")
    if strict and name in records:
        raise _RefusedError(f"a new name for each plan, not {name}", _describe(records[name]))
    if strict and parent is not None:
        if parent not in records:
            raise _RefusedError(f"the parent of {name} in the log", f"no {parent}")
        if records[parent].state != "proposed":
            raise _RefusedError(
                f"{parent}, the parent of {name}, to be proposed", _describe(records[parent])
            )
    # A newer proposal for the same hours makes the undecided older ones obsolete.
    for other, record in records.items():
        if record.horizon_start == start and record.state == "proposed":
            records[other] = replace(
                record, state="superseded", superseded_by=entry.plan, entry=entry
            )
    records[name] = PlanRecord(name, "proposed", start, parent, None, entry)


def _reopen(records: dict[str, PlanRecord], rejected: PlanRecord) -> None:
    """A rejected edit leaves its parent as it was before, where nothing newer is open."""
    parent = records.get(rejected.parent or "")
    if parent is None or parent.superseded_by != rejected.plan:
        return
    others = [item for item in records.values() if item.horizon_start == parent.horizon_start]
    if not any(item.state in ("proposed", "approved") for item in others):
        records[parent.plan] = replace(
            parent, state="proposed", superseded_by=None, entry=records[rejected.plan].entry
        )


def _require_open(plans: Mapping[str, PlanRecord], record: PlanRecord, decision: Decision) -> None:
    """Refuse a decision that the plan's state does not allow.

    Raises:
        PlanStateError: says what it is and what to do.
    """
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
    if decision == "rejected" and record.carried_out:
        raise PlanStateError(
            f"plan {record.plan} to be still ahead",
            "one that was carried out, which is final",
            "Look back at it with `dagcast retro`.",
        )
    if decision == "approved" and (other := _approved(plans, record.horizon_start)):
        raise PlanStateError(
            f"no approved plan for the hours from {record.horizon_start}",
            _describe(other),
            "It was carried out, which is final."
            if other.carried_out
            else f"Withdraw it first: `dagcast reject {other.plan} --why ...`.",
        )


def _found(plans: Mapping[str, PlanRecord], plan: str | None) -> PlanRecord:
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


def _approved(plans: Mapping[str, PlanRecord], horizon_start: str) -> PlanRecord | None:
    for record in plans.values():
        if record.state == "approved" and record.horizon_start == horizon_start:
            return record
    return None


def _describe(record: PlanRecord) -> str:
    entry = record.entry
    text = f"{record.plan} {record.state}"
    if record.superseded_by:
        text += f" by {record.superseded_by}"
    text += f" since {entry.at:%Y-%m-%d %H:%M} UTC ({entry.who})"
    return f"{text}: {entry.why}" if entry.why else text


def _finite(value: Any) -> Any:
    """A value as JSON knows it: figures that are none become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
