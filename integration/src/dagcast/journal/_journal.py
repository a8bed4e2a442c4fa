"""Reading, appending and deciding, each in one step under the lock of the log."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from dagcast.errors import PlanStateError, ProjectError
from dagcast.journal._chain import Contents, Damage, digest_of, next_line, parse
from dagcast.journal._entry import PROPOSALS, RENEWALS, Entry
from dagcast.journal._files import locked, write_at
from dagcast.journal._head import missed, read_head, write_head
from dagcast.journal._plans import (
    Decision,
    PlanRecord,
    PlanState,
    approved_for,
    describe,
    named,
    require_open,
)
from dagcast.journal._repair import Repair, set_aside
from dagcast.journal._rules import STOPS, Act, Rules, Seen, require_seen, stopped

_ACTS: Mapping[Decision, Act] = {
    "approved": "approve",
    "rejected": "reject",
    "sent back": "send back",
}


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

    def append_found(self, found: Callable[[tuple[Entry, ...]], Entry | None]) -> None:
        """Write the line that follows from those there are, if one does; both is one step.

        Args:
            found: gets all lines; what it looks at besides is not logged by others meanwhile.

        Raises:
            PlanStateError: as for `append`, and so the others.
            ProjectError: the log is damaged.
            OSError: the line could not be written.
        """
        with self._opened(write=True) as handle:
            contents = self._whole(handle)
            entry = found(contents.entries)
            if entry is not None:
                self._append(handle, contents, entry)

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

    def made(self) -> frozenset[str]:
        """Folders of results that the log says were made, relative to the project."""
        return self._read().made

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
        return named(self.plans(), plan)

    def approved(self, horizon_start: str) -> PlanRecord | None:
        """The plan approved for the horizon that starts there, if any."""
        return approved_for(self.plans(), horizon_start)

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
        rules: Rules | None = None,
        opened: Seen | None = None,
        automatic: bool = False,
        first_of_two: bool | None = None,
    ) -> PlanRecord:
        """Approve a plan, reject it or send it back; the check and the line are one step.

        Above the amount that one approver may approve alone, the first approval is a line of its
        own, ``endorsed``, and leaves the plan proposed; another approver's is the second.

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
            rules: who may do what; whoever asks may do everything where none are given.
            opened: what the caller had before their eyes; whatever happened to the plan and the
                plans for its hours since refuses the decision.
            automatic: whether no person decides.
            first_of_two: whether the caller took the approval for the first of two, and prepared
                nothing but that; None where it does not matter.

        Raises:
            GateError: the rules do not let them.
            ConflictError: something happened since the plan was opened; says who did what.
            PlanStateError: the plan is superseded, already decided or carried out, another one is
                approved for the same hours, or the project moved on since it was checked.
        """
        rules = rules or Rules()
        with self._opened(write=True) as handle:
            contents = self._whole(handle)
            record = named(contents.plans, plan)
            rules.require(who, _ACTS[decision])
            if opened is not None:
                digests = self._digests(handle)
                require_seen(contents.entries, digests, contents.plans, record, opened, RENEWALS)
            require_open(contents.plans, record, decision)
            if seen is not None and record.state != seen:
                raise PlanStateError(
                    f"plan {record.plan} to be {seen} still",
                    describe(record),
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
            now = datetime.now(UTC)
            event: str = decision
            details = dict(details or {})
            if decision == "approved":
                verdict = rules.against(
                    contents.plans, contents.entries, record, who, now, automatic=automatic
                )
                verdict.require(record.plan)
                if first_of_two not in (None, verdict.first_of_two):
                    raise PlanStateError(
                        f"{record.plan} as it was when it was checked",
                        describe(record),
                        "Decide again if you still want to.",
                    )
                if verdict.first_of_two:
                    event = "endorsed"
                elif record.endorsement is not None:
                    details["with"] = record.endorsement.who
            entry = Entry(now, who, event, record.plan, why, details)
            return self._append(handle, contents, entry)[record.plan]

    def propose(self, entry: Entry, *, rules: Rules, opened: Seen | None = None) -> None:
        """Append a proposal or an edit, if the rules and what happened since let it.

        Raises:
            GateError: the rules do not let whoever edits.
            ConflictError: something happened to the parent since it was opened.
            PlanStateError: the line does not follow from those before it.
        """
        with self._opened(write=True) as handle:
            contents = self._whole(handle)
            if entry.event == "edited":
                rules.require(entry.who, "edit")
            record = contents.plans.get(str(entry.details.get("parent")))
            if opened is not None and record is not None:
                digests = self._digests(handle)
                require_seen(contents.entries, digests, contents.plans, record, opened, RENEWALS)
            self._append(handle, contents, entry)

    def note(
        self, event: str, *, who: str, why: str, plan: str | None, act: Act, rules: Rules
    ) -> Entry:
        """Append what somebody says or stops, if the rules let them; the check is in the same step.

        Raises:
            GateError: the rules do not let them.
            UsageError: no plan has that name.
            PlanStateError: the line does not follow from those before it.
        """
        with self._opened(write=True) as handle:
            contents = self._whole(handle)
            rules.require(who, act)
            name = None if plan is None else named(contents.plans, plan).plan
            if event in STOPS and (stopped(contents.entries) is not None) == (event == "halted"):
                raise PlanStateError(
                    f"approvals to be {'open' if event == 'halted' else 'stopped'}",
                    f"that they were {event} before",
                    "Nothing is to be done.",
                )
            entry = Entry(datetime.now(UTC), who, event, name, why, {})
            self._append(handle, contents, entry)
            return entry

    def seen(self, plan: str | None) -> tuple[PlanRecord, Contents, Seen]:
        """A plan, the log, and what whoever is shown both has seen.

        Raises:
            UsageError: no plan has that name.
        """
        contents = self._read()
        record = named(contents.plans, plan)
        proposal = record.proposal
        seal = None if proposal is None else proposal.details.get("seal")
        return record, contents, Seen(len(contents.entries), contents.digest, seal)

    @staticmethod
    def _digests(handle: int) -> list[str]:
        """Of the first 0, 1, 2, ... lines."""
        return parse(os.pread(handle, os.fstat(handle).st_size, 0))[1]

    def repair(self, *, who: str) -> Repair | None:
        """Set a damaged tail aside and say so in the log; None where nothing is damaged.

        Raises:
            ProjectError: whole lines stand behind the damaged one: setting them aside would undo
                decisions.
        """
        with self._opened(write=True) as handle:
            contents = self._contents(handle)
            if contents.damage is None:
                return None
            if not contents.damage.mendable:
                raise self._error(contents.damage)
            return set_aside(self._path, self._head, handle, contents, who=who)

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

    def _opened(self, *, write: bool = False) -> contextlib.AbstractContextManager[int]:
        return locked(self._path, write=write)

    def _contents(self, handle: int) -> Contents:
        data = os.pread(handle, os.fstat(handle).st_size, 0)
        contents, digests = parse(data)
        if contents.damage is not None:
            return contents
        found = missed(read_head(self._head), contents, digests, self._head.name)
        if found is None:
            return contents
        damage, whole = found
        if whole < len(contents.entries):
            contents = parse(data, until=whole)[0]
        return replace(contents, damage=damage)

    def _append(self, handle: int, contents: Contents, entry: Entry) -> Mapping[str, PlanRecord]:
        line, plans = next_line(contents, entry)
        count = len(contents.entries)
        if read_head(self._head) is None:
            write_head(self._head, count, contents.digest)
        size = os.fstat(handle).st_size
        try:
            write_at(handle, (b"" if contents.ended else b"\n") + line + b"\n", size)
            os.fsync(handle)
            write_head(self._head, count + 1, digest_of(contents.digest, line))
        except BaseException:
            os.ftruncate(handle, size)
            with contextlib.suppress(OSError):
                write_head(self._head, count, contents.digest)
            raise
        return plans
