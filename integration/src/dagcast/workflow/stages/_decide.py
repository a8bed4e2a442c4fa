"""Stage 9: people decide about a plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import pandas as pd

from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.journal import Contents, PlanRecord, Seen, describe, require_open
from dagcast.plans import PlanSummary
from dagcast.project import Project, current_user
from dagcast.workflow.common._against import findings_against, present
from dagcast.workflow.common._horizon import open_store
from dagcast.workflow.common._plan_files import plan_folder
from dagcast.workflow.common._released import releasable, written
from dagcast.workflow.common._result import Result, ResultTable

# Seconds that an approval waits for another one of the same plan, and between looks.
_PATIENCE, _PAUSE = 10.0, 0.02


@final
@dataclass(frozen=True)
class DecisionResult(Result):
    """A plan's new state.

    Attributes:
        folder: the project.
        plan: the plan.
        state: ``approved``, ``rejected``, ``endorsed`` by the first of two, or ``sent back``.
        who: who decided.
        why: the reason given.
        horizon_start: first hour it decides about.
        remark: what to know about it, such as what it was approved despite of.
    """

    folder: Path
    plan: str
    state: str
    who: str
    why: str
    horizon_start: str
    remark: str = ""

    def tables(self) -> tuple[ResultTable, ...]:
        row = (self.plan, self.state, self.who, self.why, self.horizon_start)
        columns = ("plan", "state", "who", "why", "hours from")
        return (ResultTable("Decision", columns, (row,), self.remark),)

    def next_command(self) -> str:
        if self.state == "rejected":
            return f"dagcast plan --project {self.folder}"
        if self.state == "endorsed":
            return f"dagcast approve {self.plan} --project {self.folder} --who ..."
        if self.state == "sent back":
            return f"dagcast edit {self.plan} --project {self.folder} --why ..."
        return f"dagcast retro --project {self.folder}    (once the week is over and ingested)"


def approve(
    project: Project,
    plan: str | None = None,
    *,
    who: str | None = None,
    why: str = "",
    despite: str | None = None,
    opened: Seen | None = None,
    automatic: bool = False,
) -> DecisionResult:
    """Approve a plan, the newest where none is named, and release it.

    Approval is a gate: the plan keeps its limits, decides about hours that are still ahead, rests
    on the data and the fit that are there now, and its fit converged and was not refuted by the
    experiments. Whoever approves it despite a finding gives a
    reason, which is logged with the findings. Nothing overrules the rules of who may approve what,
    nor that the hours are over. Above the amount that one approver may approve alone, the plan
    stays open until another one approves it as well.

    Args:
        project: with a plan.
        plan: which one; the newest by default.
        who: decides; the current user by default.
        why: the reason, for the log.
        despite: the reason to approve it although the gate found something.
        opened: what whoever decides had before their eyes; what happened since refuses it.
        automatic: whether no person decides.

    Raises:
        GateError: the gate found something and no reason is given, or the rules of the project do
            not let them.
        ConflictError: something happened to the plan since it was opened.
        PlanStateError: it is superseded or decided, or another is approved for the same hours.
        ProjectError: the plan's folder is gone or was changed.
        UsageError: no plan has that name, or the reason is empty.
    """
    if despite is not None and not despite.strip():
        raise UsageError(
            "a reason to approve the plan despite what stands against it",
            "an empty one",
            "Give it in words: it is kept in the log.",
        )
    who = who or current_user()
    rules = project.rules
    rules.require(who, "approve")
    journal = project.journal
    record, contents, _ = journal.seen(plan)
    details: dict[str, Any] = {}
    if record.state == "proposed":
        folder = plan_folder(project, record.plan)
        # The approval names what it approved: a plan is bound to its seal.
        details["seal"] = None if record.proposal is None else record.proposal.details.get("seal")
        now = datetime.now(UTC)
        verdict = rules.against(
            contents.plans, contents.entries, record, who, now, automatic=automatic
        )
        verdict.require(record.plan)
        _require_ahead(project, record)
        findings = findings_against(project, record, PlanSummary.load(folder))
        if findings and despite is None:
            raise GateError(
                f"{record.plan} to pass the gate of approval",
                "; ".join(findings),
                "Make a new plan with `dagcast plan`, or approve this one with --despite REASON, "
                "which is logged.",
            )
        if findings:
            rules.require(who, "overrule")
            details |= {"despite": despite, "against": findings}
    first = record.state == "proposed" and verdict.first_of_two

    def decide(more: dict[str, Any]) -> PlanRecord:
        return journal.decide(
            record.plan,
            "approved",
            who=who,
            why=why,
            details={**details, **more},
            checked=len(contents.entries),
            rules=rules,
            opened=opened,
            automatic=automatic,
            first_of_two=first,
        )

    if record.state != "proposed" or first or not releasable(project, record.plan):
        found = decide({})
    else:
        found = _with_files(project, record, decide)
    against = details.get("against", ())
    remarks = [f"approved despite: {'; '.join(against)}"] if against else []
    if found.state == "proposed":
        remarks.append(
            f"{who} is the first of two: it spends more than {rules.alone_up_to:,.0f}, so another "
            "approver decides"
        )
        return _result(project, found, "; ".join(remarks), state="endorsed")
    return _result(project, found, "; ".join(remarks))


def _with_files(
    project: Project, record: PlanRecord, decide: Callable[[dict[str, Any]], PlanRecord]
) -> PlanRecord:
    """Decide with the files for the product: both are there, or neither is.

    Where somebody else approves the same plan at this moment, what they come to is waited for.
    """
    project.released.mkdir(exist_ok=True)
    target, begun = project.released / record.plan, time.monotonic()
    while True:
        inside = False
        try:
            with project.making(target) as folder:
                inside = True
                return decide({"released": written(project, record.plan, folder)})
        except ProjectError:
            now = project.journal.find(record.plan)
            if inside or time.monotonic() - begun > _PATIENCE:
                raise
            if now.state != record.state or now.entry != record.entry:
                # It says who did what.
                return decide({})
        time.sleep(_PAUSE)


@final
@dataclass(frozen=True)
class Decidable:
    """What stands in the way of somebody's decision about a plan, before they take it.

    Attributes:
        record: the plan.
        contents: the log.
        seen: what whoever is shown this has seen.
        forbidden: why they may not approve it, whatever reason they give; nothing where they may.
        findings: what the gate found against it, which an overruler may overrule with a reason.
        first_of_two: whether another approver has to follow.
    """

    record: PlanRecord
    contents: Contents
    seen: Seen
    forbidden: tuple[str, ...]
    findings: tuple[str, ...]
    first_of_two: bool


def decidable(project: Project, plan: str | None, who: str) -> Decidable:
    """Ask beforehand what `approve` would say to somebody; nothing is changed.

    Raises:
        ProjectError: the plan's folder is gone or was changed.
        UsageError: no plan has that name.
    """
    rules = project.rules
    record, contents, seen = project.journal.seen(plan)
    if record.state != "proposed":
        return Decidable(record, contents, seen, (describe(record),), (), False)
    found = []
    asked: tuple[Callable[[], None], ...] = (
        lambda: rules.require(who, "approve"),
        lambda: require_open(contents.plans, record, "approved"),
        lambda: _require_ahead(project, record),
    )
    for ask in asked:
        try:
            ask()
        except (GateError, PlanStateError) as error:
            found.append(f"{error.expected} is wanted; found {error.found}")
    verdict = rules.against(contents.plans, contents.entries, record, who, datetime.now(UTC))
    summary = PlanSummary.load(plan_folder(project, record.plan))
    try:
        findings = tuple(findings_against(project, record, summary))
    except ProjectError as error:
        findings = (f"whether its data are the newest is not known: {error.found}",)
    return Decidable(
        record, contents, seen, (*found, *verdict.forbidden), findings, verdict.first_of_two
    )


def present_of(project: Project) -> datetime:
    """The moment that a plan must not lie behind: the hour after the last that was observed.

    Raises:
        ProjectError: there is no store, or it is damaged.
    """
    known: datetime = present(project, open_store(project)).to_pydatetime()
    return known


def reject(
    project: Project,
    plan: str | None = None,
    *,
    who: str | None = None,
    why: str,
    opened: Seen | None = None,
) -> DecisionResult:
    """Reject a plan, or withdraw its approval; the parent of a rejected edit is open again.

    An approval can be withdrawn also where the plan's folder is gone or was changed, which the
    result then remarks on: otherwise no other plan could be approved for its hours. What was
    carried out is final.

    Raises:
        GateError: the settings do not name who decides.
        PlanStateError: it is superseded or rejected already, or it was carried out: played, looked
            back at, or approved with a week that is over.
        ProjectError: it is not approved, and its folder is gone or was changed.
        UsageError: no plan has that name.
    """
    who = who or current_user()
    project.rules.require(who, "reject")
    before = project.journal.find(plan)
    if before.state == "approved":
        _require_ahead(project, before)
    remark = ""
    try:
        if before.state in ("proposed", "approved"):
            plan_folder(project, before.plan)
    except ProjectError as error:
        # Nobody decides about what nobody can read any more; an approval can be withdrawn.
        if before.state != "approved":
            raise
        remark = f"the approval is withdrawn, although {before.plan} is damaged: {error.found}"
    record = project.journal.decide(
        before.plan,
        "rejected",
        who=who,
        why=why,
        seen=before.state,
        rules=project.rules,
        opened=opened,
    )
    parent = project.journal.plans().get(record.parent or "")
    if parent is not None and parent.state == "proposed":
        remark = "; ".join(filter(None, (remark, f"{parent.plan} is open again")))
    return _result(project, record, remark)


def send_back(
    project: Project,
    plan: str | None = None,
    *,
    who: str | None = None,
    why: str,
    opened: Seen | None = None,
) -> DecisionResult:
    """Send a proposed plan back to be edited; it stays open, and no robot approves it.

    Raises:
        GateError: the rules of the project do not let them.
        ConflictError: something happened to the plan since it was opened.
        PlanStateError: it is superseded or decided already.
        UsageError: no plan has that name.
    """
    who = who or current_user()
    record = project.journal.decide(
        plan, "sent back", who=who, why=why, rules=project.rules, opened=opened
    )
    return _result(project, record, "", state="sent back")


def _require_ahead(project: Project, record: PlanRecord) -> None:
    """Refuse to decide about a plan whose hours are all over: an approved one was carried out."""
    if record.state not in ("proposed", "approved"):
        return
    hours = project.config.horizon.hours
    proposal = project.journal.proposal(record.plan)
    if proposal is not None:
        hours = int(proposal.details.get("hours", hours))
    end = pd.Timestamp(record.horizon_start) + pd.Timedelta(hours=hours)
    try:
        known = present(project, open_store(project))
    except ProjectError:
        # Without a store nobody knows of hours that are over.
        return
    if known < end:
        return
    over = f"its last hour before {end:%Y-%m-%d %H:%M} UTC, which is over"
    if record.state == "proposed":
        raise PlanStateError(
            f"plan {record.plan} to be still ahead",
            over,
            "Make a plan for the hours to come with `dagcast plan`.",
        )
    raise PlanStateError(
        f"plan {record.plan} to be still ahead",
        f"{over}: it was carried out, which is final",
        "Look back at it with `dagcast retro`.",
    )


def _result(
    project: Project, record: PlanRecord, remark: str, *, state: str = ""
) -> DecisionResult:
    line = {"endorsed": record.endorsement, "sent back": record.returned}.get(state) or record.entry
    return DecisionResult(
        project.folder,
        record.plan,
        state or record.state,
        line.who,
        line.why,
        record.horizon_start,
        remark,
    )
