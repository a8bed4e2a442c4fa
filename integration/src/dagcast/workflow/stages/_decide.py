"""Stage 9: people decide about a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.errors import ProjectError
from dagcast.journal import Decision, PlanRecord
from dagcast.project import Project, current_user
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
        remark: what to know about it, such as that its folder is gone.
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
    project: Project, plan: str | None = None, *, who: str | None = None, why: str = ""
) -> DecisionResult:
    """Approve a plan, the newest where none is named.

    Raises:
        PlanStateError: it is superseded or decided, or another is approved for the same hours.
        ProjectError: the plan's folder is gone or was changed.
        UsageError: no plan has that name.
    """
    return _decide(project, plan, "approved", who, why)


def reject(
    project: Project, plan: str | None = None, *, who: str | None = None, why: str
) -> DecisionResult:
    """Reject a plan, or withdraw its approval.

    An approval can be withdrawn also where the plan's folder is gone or was changed, which the
    result then remarks on: otherwise no other plan could be approved for its hours.

    Raises:
        PlanStateError: it is superseded or rejected already.
        ProjectError: it is not approved, and its folder is gone or was changed.
        UsageError: no plan has that name.
    """
    return _decide(project, plan, "rejected", who, why)


def _decide(
    project: Project, plan: str | None, decision: Decision, who: str | None, why: str
) -> DecisionResult:
    before = project.journal.find(plan)
    remark = ""
    try:
        if before.state in ("proposed", "approved"):
            plan_folder(project, before.plan)
    except ProjectError as error:
        # Nobody decides about what nobody can read any more; an approval can be withdrawn.
        if before.state != "approved" or decision != "rejected":
            raise
        remark = f"the approval is withdrawn, although {before.plan} is damaged: {error.found}"
    record: PlanRecord = project.journal.decide(
        before.plan, decision, who=who or current_user(), why=why
    )
    return DecisionResult(
        project.folder,
        record.plan,
        record.state,
        record.entry.who,
        record.entry.why,
        record.horizon_start,
        remark,
    )
