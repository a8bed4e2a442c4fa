"""Who may do what about plans: the one place that says so, for every door into a project.

The command line, the browser and the robot of `dagcast week` ask here, and a decision is asked
about again under the lock of the log, with what the log says by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, final

from dagcast.errors import GateError, PlanStateError
from dagcast.journal._entry import Entry
from dagcast.journal._plans import PlanRecord

Role: TypeAlias = Literal["viewer", "analyst", "approver", "overruler"]
"""What somebody is; each may do what those before it may."""
Act: TypeAlias = Literal[
    "read", "comment", "edit", "approve", "reject", "send back", "overrule", "stop"
]
"""What somebody may want to do."""

_RANKS: tuple[Role, ...] = ("viewer", "analyst", "approver", "overruler")
_LEAST: Mapping[Act, Role] = {
    "read": "viewer",
    "comment": "analyst",
    "edit": "analyst",
    "approve": "approver",
    "reject": "approver",
    "send back": "approver",
    "stop": "approver",
    "overrule": "overruler",
}
_SAID: Mapping[Act, str] = {
    "read": "read plans",
    "comment": "comment on plans",
    "edit": "edit plans",
    "approve": "approve plans",
    "reject": "reject plans",
    "send back": "send plans back",
    "stop": "stop and resume approvals",
    "overrule": "approve plans despite findings",
}
STOPS = ("halted", "resumed")
"""Events of the kill switch."""


@final
@dataclass(frozen=True)
class Rules:
    """Who may do what, as a project's settings declare it.

    Attributes:
        named: who is named in each role.
        alone_up_to: what one approver may approve alone, in the currency of the levers; anything
            where it is None.
        up_to: most that single people may approve at all.
        expires: how long after its proposal a plan can be approved; for ever where it is None.
    """

    named: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    alone_up_to: float | None = None
    up_to: Mapping[str, float] = field(default_factory=dict)
    expires: timedelta | None = None

    @property
    def tell_apart(self) -> bool:
        """Whether people are told apart at all: where no role names anybody, they are not."""
        return any(self.named.values())

    def role_of(self, who: str) -> Role | None:
        """The highest role of somebody; None where they are nobody here."""
        for role in reversed(_RANKS):
            if who in self.named.get(role, ()):
                return role
        if self.named.get("approver"):
            return None
        return "approver" if self.named.get("overruler") else "overruler"

    def may(self, who: str, act: Act) -> bool:
        """Whether a role lets somebody do something; the plan may still forbid it."""
        role = self.role_of(who)
        if role == "approver" and act == "overrule":
            # Where nobody is named for it, who approves may overrule.
            return not self.named.get("overruler")
        return role is not None and _RANKS.index(role) >= _RANKS.index(_LEAST[act])

    def require(self, who: str, act: Act) -> None:
        """Refuse somebody whose role does not let them.

        Raises:
            GateError: names who may.
        """
        if self.may(who, act):
            return
        least = _RANKS.index(_LEAST[act])
        able = [name for role in _RANKS[least:] for name in self.named.get(role, ())]
        if act == "overrule" and not able:
            able = list(self.named.get("approver", ()))
        raise GateError(
            f"one of {', '.join(dict.fromkeys(able)) or 'the people whom [roles] names'} to "
            f"{_SAID[act]}",
            f"{who}, {_an(self.role_of(who))}",
            "Ask one of them, or change [roles] in dagcast.toml.",
        )

    def against(
        self,
        plans: Mapping[str, PlanRecord],
        entries: Sequence[Entry],
        record: PlanRecord,
        who: str,
        now: datetime,
        *,
        automatic: bool = False,
    ) -> "Verdict":
        """What stands against somebody's approval of an open plan besides its findings.

        Args:
            plans: every plan.
            entries: the log.
            record: the plan, which is proposed.
            who: approves it.
            now: the moment.
            automatic: whether no person approves it.

        Returns:
            Reasons that nothing overrules, and whether another approver has to follow.
        """
        found = []
        if (halt := stopped(entries)) is not None:
            found.append(
                f"approvals are stopped since {halt.at:%Y-%m-%d %H:%M} UTC by {halt.who}"
                f"{f': {halt.why}' if halt.why else ''}"
            )
        if self.tell_apart and who in record.edited_by:
            found.append(f"{who} edited it, and nobody approves an edit of their own")
        if automatic and record.edited_by:
            found.append(f"{', '.join(record.edited_by)} edited it, which a person approves")
        if automatic and record.returned is not None:
            found.append(f"{record.returned.who} sent it back")
        if (end := self.end_of(record)) is not None and now >= end:
            found.append(f"it expired at {end:%Y-%m-%d %H:%M} UTC; propose it again")
        spent = amount_of(record)
        if self.alone_up_to is not None or self.up_to:
            if spent is None:
                found.append("the log does not say what it spends, which the limits are about")
            elif spent > self.up_to.get(who, spent):
                found.append(
                    f"it spends {spent:,.0f}, and {who} approves up to {self.up_to[who]:,.0f}"
                )
        two = self.alone_up_to is not None and spent is not None and spent > self.alone_up_to
        first = record.endorsement
        if two and automatic:
            found.append(
                f"it spends {spent:,.0f}: above {self.alone_up_to:,.0f} two people approve"
            )
        if two and first is not None and first.who == who:
            found.append(f"{who} approved it already; above {self.alone_up_to:,.0f} another has to")
        return Verdict(tuple(found), two and first is None)

    def end_of(self, record: PlanRecord) -> datetime | None:
        """When a proposal expires; None where it does not."""
        if self.expires is None or record.proposal is None:
            return None
        return record.proposal.at + self.expires


@final
@dataclass(frozen=True)
class Verdict:
    """What the rules say of an approval.

    Attributes:
        forbidden: why it may not be, in words; nothing where it may.
        first_of_two: whether it takes another approver besides.
    """

    forbidden: tuple[str, ...]
    first_of_two: bool

    def require(self, plan: str) -> None:
        """Refuse an approval that the rules forbid.

        Raises:
            GateError: says why, reason by reason.
        """
        if self.forbidden:
            raise GateError(
                f"{plan} to be approved under the rules of this project",
                "; ".join(self.forbidden),
                "No reason overrules that.",
            )


@final
@dataclass(frozen=True)
class Seen:
    """What somebody had before their eyes when they decided.

    Attributes:
        count: lines of the log.
        digest: of those lines.
        seal: sha256 of the plan; None where the plan has none.
    """

    count: int
    digest: str
    seal: str | None

    def __str__(self) -> str:
        """As forms carry it."""
        return f"{self.count}:{self.digest}:{self.seal or ''}"

    @classmethod
    def read(cls, text: str) -> "Seen":
        """Read what ``str`` wrote.

        Raises:
            ValueError: it is none.
        """
        count, digest, seal = text.split(":")
        if not count.isascii() or not count.isdigit() or len(count) > 12:
            raise ValueError("no number of lines")
        return cls(int(count), digest, seal or None)


class ConflictError(PlanStateError):
    """Something happened to the plan between the look at it and the decision.

    Attributes:
        since: lines of the log about it that were not seen.
    """

    def __init__(self, expected: str, found: str, fix: str, since: tuple[Entry, ...]) -> None:
        super().__init__(expected, found, fix)
        self.since = since


def require_seen(
    entries: Sequence[Entry],
    digests: Sequence[str],
    plans: Mapping[str, PlanRecord],
    record: PlanRecord,
    seen: Seen,
    renewals: tuple[str, ...],
) -> None:
    """Refuse a decision about something else than what was seen.

    Args:
        entries: the log.
        digests: of the first 0, 1, 2, ... lines.
        plans: every plan.
        record: the plan that is decided about.
        seen: what the caller saw.
        renewals: events that make every plan older.

    Raises:
        ConflictError: the plan is another one, the log is, or either moved on; says who did what.
    """
    proposal = record.proposal
    seal = None if proposal is None else proposal.details.get("seal")
    if seal != seen.seal:
        raise ConflictError(
            f"{record.plan} as it was seen",
            "another sha256 in the log",
            "Open it again and decide about what it says now.",
            (),
        )
    if seen.count > len(entries) or digests[seen.count] != seen.digest:
        raise ConflictError(
            f"the log as it was when {record.plan} was opened",
            "another log",
            "Open the plan again.",
            (),
        )
    since = tuple(e for e in entries[seen.count :] if _concerns(e, plans, record, renewals))
    if since:
        raise ConflictError(
            f"{record.plan} as it was when it was opened",
            "; ".join(told(entry) for entry in since[-5:]),
            "Open it again, and decide if you still want to.",
            since,
        )


def told(entry: Entry) -> str:
    """One line of the log as people say it."""
    about = f" {entry.plan}" if entry.plan else ""
    why = f": {entry.why}" if entry.why else ""
    return f"{entry.who} {_DID.get(entry.event, entry.event)}{about} at {entry.at:%H:%M} UTC{why}"


_DID = {"endorsed": "approved as the first of two", "commented": "commented on"}
# Lines about a plan that change nothing about deciding it.
_SILENT = ("reviewed", "released")


def _concerns(
    entry: Entry, plans: Mapping[str, PlanRecord], record: PlanRecord, renewals: tuple[str, ...]
) -> bool:
    if entry.event in renewals or entry.event in STOPS:
        return True
    if entry.plan is None or entry.event in _SILENT:
        return False
    other = plans.get(entry.plan)
    return other is not None and other.horizon_start == record.horizon_start


def stopped(entries: Sequence[Entry]) -> Entry | None:
    """The line by which approvals were stopped; None where they are not."""
    for entry in reversed(entries):
        if entry.event in STOPS:
            return entry if entry.event == "halted" else None
    return None


def amount_of(record: PlanRecord) -> float | None:
    """What a plan spends over its horizon, of the currency it spends most of; None if unknown."""
    spend = None if record.proposal is None else record.proposal.details.get("spend")
    if not isinstance(spend, Mapping):
        return None
    try:
        return max((float(value) for value in spend.values()), default=0.0)
    except (TypeError, ValueError):
        return None


def _an(role: Role | None) -> str:
    if role is None:
        return "whom no role names"
    return f"{'an' if role[0] in 'ao' else 'a'} {role}"
