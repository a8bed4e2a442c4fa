"""What a kept plan promised of its objective, and the whole budget that it kept."""

from dagcast.plans import Outlook, PlanSummary
from dagcast.project import Project
from dagcast.workflow.common._plan_files import plan_folder


def promised_lift(
    project: Project, plan: str, over: str = "none"
) -> tuple[float, float, float] | None:
    """Promised gain of the objective over another arm: figure, low, high; None where not known.

    Args:
        project: the project.
        plan: its name.
        over: the arm.
    """
    found = Outlook.load(plan_folder(project, plan)).differences.get(over, {}).get("objective")
    return None if found is None else (found.mid, found.low, found.high)


def whole_budget(project: Project, plan: str) -> float | None:
    """The limit on all that the plan's levers may spend; None where there is none."""
    summary = PlanSummary.load(plan_folder(project, plan))
    whole = [row.limit for row in summary.budgets if row.sense == "<=" and not row.label]
    return min(whole, default=None)
