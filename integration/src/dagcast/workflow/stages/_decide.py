"""Stage 9: people decide about a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd

from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.journal import PlanRecord
from dagcast.plans import PlanSummary
from dagcast.project import Project, current_user
from dagcast.workflow.common._against import findings_against, present
from dagcast.workflow.common._horizon import open_store
from dagcast.workflow.common._plan_files import plan_folder
from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class DecisionResult(Result):
    """A plan's new state.

    Attributes:
        folder: the project.
        plan: the plan.
        state: ``approved`` or ``rejected``.
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
        return f"dagcast retro --project {self.folder}    (once the week is over and ingested)"


def approve(
    project: Project,
    plan: str | None = None,
    *,
    who: str | None = None,
    why: str = "",
    despite: str | None = None,
) -> DecisionResult:
    """Approve a plan, the newest where none is named.

    Approval is a gate: the plan keeps its limits, decides about hours that are still ahead, rests
    on the data and the fit that are there now, and its fit converged and was not refuted by the
    experiments. Whoever approves it despite a finding gives a
    reason, which is logged with the findings.

    Args:
        project: with a plan.
        plan: which one; the newest by default.
        who: decides; the current user by default.
        why: the reason, for the log.
        despite: the reason to approve it although the gate found something.

    Raises:
        GateError: the gate found something and no reason is given, or the settings do not name
            who decides.
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
    _require_named(who, project.config.approval.approvers, "approve plans", "approvers")
    journal = project.journal
    checked = len(journal.entries())
    record = journal.find(plan)
    details: dict[str, Any] = {}
    if record.state == "proposed":
        folder = plan_folder(project, record.plan)
        proposal = journal.proposal(record.plan)
        # The approval names what it approved: a plan is bound to its seal.
        details["seal"] = None if proposal is None else proposal.details.get("seal")
        findings = findings_against(project, record, PlanSummary.load(folder))
        if findings and despite is None:
            raise GateError(
                f"{record.plan} to pass the gate of approval",
                "; ".join(findings),
                "Make a new plan with `dagcast plan`, or approve this one with --despite REASON, "
                "which is logged.",
            )
        if findings:
            named = project.config.approval.overrulers
            _require_named(who, named, f"approve {record.plan} despite findings", "overrulers")
            details |= {"despite": despite, "against": findings}
    approved = journal.decide(
        record.plan,
        "approved",
        who=who,
        why=why,
        details=details,
        checked=checked,
    )
    against = details.get("against", ())
    return _result(project, approved, f"approved despite: {'; '.join(against)}" if against else "")


def reject(
    project: Project, plan: str | None = None, *, who: str | None = None, why: str
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
    _require_named(who, project.config.approval.approvers, "reject plans", "approvers")
    before = project.journal.find(plan)
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
    record = project.journal.decide(before.plan, "rejected", who=who, why=why, seen=before.state)
    parent = project.journal.plans().get(record.parent or "")
    if parent is not None and parent.state == "proposed":
        remark = "; ".join(filter(None, (remark, f"{parent.plan} is open again")))
    return _result(project, record, remark)


def _require_named(who: str, named: tuple[str, ...], doing: str, setting: str) -> None:
    """Refuse somebody whom the settings do not name, where they name anybody."""
    if named and who not in named:
        raise GateError(
            f"one of {', '.join(named)} to {doing}",
            who,
            f"Ask one of them, or change {setting} of [approval] in dagcast.toml.",
        )


def _require_ahead(project: Project, record: PlanRecord) -> None:
    """Refuse to withdraw an approved plan whose hours are all over: it was carried out."""
    if record.state != "approved":
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
    if known >= end:
        raise PlanStateError(
            f"plan {record.plan} to be still ahead",
            f"its last hour before {end:%Y-%m-%d %H:%M} UTC, which is over: it was carried out, "
            "which is final",
            "Look back at it with `dagcast retro`.",
        )


def _result(project: Project, record: PlanRecord, remark: str) -> DecisionResult:
    return DecisionResult(
        project.folder,
        record.plan,
        record.state,
        record.entry.who,
        record.entry.why,
        record.horizon_start,
        remark,
    )
