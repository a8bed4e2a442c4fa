"""The states that plans reach, line by line of the log, and the decisions that each allows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, final

from dagcast.errors import PlanStateError, ProjectError, UsageError
from dagcast.journal._entry import PROPOSALS, Entry

PlanState = Literal["proposed", "superseded", "approved", "rejected"]
"""What a plan is, as the lines of the log add up."""
Decision = Literal["approved", "rejected", "sent back"]
"""What somebody makes of a plan."""
CARRIED_OUT = ("played", "looked back")
"""Events after which a plan was carried out, and cannot be withdrawn any more."""


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
        proposal: the line by which it came to be.
        edited_by: who edited it, or a plan that it was edited from.
        endorsement: the approval of the first of two, while the second is awaited.
        returned: the line that sent it back to be edited, while nobody decided otherwise.
        released: the line of its files for the product.
    """

    plan: str
    state: PlanState
    horizon_start: str
    parent: str | None
    superseded_by: str | None
    entry: Entry
    carried_out: bool = False
    proposal: Entry | None = None
    edited_by: tuple[str, ...] = ()
    endorsement: Entry | None = None
    returned: Entry | None = None
    released: Entry | None = None


class RefusedError(ValueError):
    """A line does not follow from those before it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected = expected
        self.found = found


def follow(records: dict[str, PlanRecord], entry: Entry, *, strict: bool) -> None:
    """Bring plans to their state after one more line.

    Args:
        records: by plan; changed in place.
        entry: the line.
        strict: whether it was written under today's rules; earlier versions had fewer.

    Raises:
        RefusedError: the line does not follow from those before it.
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
            raise RefusedError(f"a plan that was proposed before it is {entry.event}", name)
        return
    if entry.event in ("approved", "rejected"):
        decision: Literal["approved", "rejected"] = (
            "approved" if entry.event == "approved" else "rejected"
        )
        if strict:
            try:
                require_open(records, record, decision)
            except PlanStateError as error:
                raise RefusedError(error.expected, error.found) from error
        records[name] = replace(
            record,
            state=decision,
            superseded_by=None,
            entry=entry,
            endorsement=None,
            returned=None,
            released=entry if "released" in entry.details else record.released,
        )
        if decision == "rejected":
            _reopen(records, record)
    elif entry.event in ("endorsed", "sent back"):
        _require_proposed(record, entry)
        back = entry.event == "sent back"
        # Who sends a plan back takes no approval with it.
        records[name] = replace(
            record, endorsement=None if back else entry, returned=entry if back else None
        )
    elif entry.event == "released":
        if strict and (record.state != "approved" or record.released is not None):
            raise RefusedError(f"{name} to be approved and not yet released", describe(record))
        records[name] = replace(record, released=entry)
    elif entry.event in CARRIED_OUT:
        if strict and entry.event == "played" and record.state != "approved":
            raise RefusedError(f"{name} to be approved before it is played", describe(record))
        if record.state == "approved":
            records[name] = replace(record, carried_out=True)


def _require_proposed(record: PlanRecord, entry: Entry) -> None:
    if record.state != "proposed":
        raise RefusedError(f"{record.plan} to be proposed", describe(record))
    first = record.endorsement
    if entry.event == "endorsed" and first is not None and first.who == entry.who:
        raise RefusedError(f"another approver of {record.plan} than {entry.who}", describe(record))


def _propose(records: dict[str, PlanRecord], entry: Entry, *, strict: bool) -> None:
    name = str(entry.plan)
    start = str(entry.details["horizon_start"])
    parent = entry.details.get("parent")
    if strict and name in records:
        raise RefusedError(f"a new name for each plan, not {name}", describe(records[name]))
    if strict and parent is not None:
        if parent not in records:
            raise RefusedError(f"the parent of {name} in the log", f"no {parent}")
        if records[parent].state != "proposed":
            raise RefusedError(
                f"{parent}, the parent of {name}, to be proposed", describe(records[parent])
            )
    # A newer proposal for the same hours makes the undecided older ones obsolete.
    for other, record in records.items():
        if record.horizon_start == start and record.state == "proposed":
            records[other] = replace(
                record, state="superseded", superseded_by=entry.plan, entry=entry
            )
    editors: tuple[str, ...] = ()
    if entry.event == "edited":
        before = records[parent].edited_by if parent in records else ()
        editors = tuple(dict.fromkeys((*before, entry.who)))
    records[name] = PlanRecord(
        name, "proposed", start, parent, None, entry, proposal=entry, edited_by=editors
    )


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


def require_open(plans: Mapping[str, PlanRecord], record: PlanRecord, decision: Decision) -> None:
    """Refuse a decision that the plan's state does not allow.

    Raises:
        PlanStateError: says what it is and what to do.
    """
    # An approved plan can still be withdrawn; every other step starts from a proposal.
    allowed = ("proposed", "approved") if decision == "rejected" else ("proposed",)
    if record.state not in allowed:
        raise PlanStateError(
            f"plan {record.plan} to be {' or '.join(allowed)}",
            describe(record),
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
    if decision == "approved" and (other := approved_for(plans, record.horizon_start)):
        raise PlanStateError(
            f"no approved plan for the hours from {record.horizon_start}",
            describe(other),
            "It was carried out, which is final."
            if other.carried_out
            else f"Withdraw it first: `dagcast reject {other.plan} --why ...`.",
        )


def named(plans: Mapping[str, PlanRecord], plan: str | None) -> PlanRecord:
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


def approved_for(plans: Mapping[str, PlanRecord], horizon_start: str) -> PlanRecord | None:
    for record in plans.values():
        if record.state == "approved" and record.horizon_start == horizon_start:
            return record
    return None


def describe(record: PlanRecord) -> str:
    """Where a plan stands, who brought it there, when and why, in one line."""
    entry = record.entry
    text = f"{record.plan} {record.state}"
    if record.superseded_by:
        text += f" by {record.superseded_by}"
    text += f" since {entry.at:%Y-%m-%d %H:%M} UTC ({entry.who})"
    if record.endorsement is not None:
        text += f", approved by {record.endorsement.who} as the first of two"
    return f"{text}: {entry.why}" if entry.why else text
