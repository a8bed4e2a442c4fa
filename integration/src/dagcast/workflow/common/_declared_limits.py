"""The limits within which a plan is approved without a person, and whether a plan keeps them."""

from dagcast.figures import amount
from dagcast.plans import Outlook, PlanSummary
from dagcast.project import Project
from dagcast.workflow.common._plan_files import plan_folder
from dagcast.workflow.common._promised import share_kept


def week_limits(project: Project) -> str:
    """The limits within which plans are approved without a person, as the log has them."""
    week = project.config.week
    limits = [week.max_change, week.least_gain, week.least_kept]
    if week.least_chance is not None:
        # What earlier versions wrote is read as they wrote it.
        limits.append(week.least_chance)
    return " ".join("none" if limit is None else f"{limit:g}" for limit in limits)


def beyond_limits(project: Project, name: str) -> list[str]:
    """Declared limits that a plan is beyond, in words.

    Args:
        project: whose settings declare them.
        name: of the plan.
    """
    week, folder = project.config.week, plan_folder(project, name)
    summary, outlook = PlanSummary.load(folder), Outlook.load(folder)
    found = []
    assert week.max_change is not None
    for lever, (planned, current) in summary.totals().items():
        moved = abs(planned - current)
        if moved > week.max_change * abs(current):
            by = f"{moved / abs(current):.0%}" if current else "from nothing"
            found.append(f"{lever} moves by {by}, max_change is {week.max_change:.0%}")
    gain = outlook.differences.get("current", {}).get("objective")
    if week.least_gain is not None and (gain is None or gain.mid < week.least_gain):
        unit = summary.objective_unit
        expected = "unknown" if gain is None else amount(gain.mid, unit, signed=True)
        found.append(
            f"the gain over going on as before is {expected}, least_gain is "
            f"{amount(week.least_gain, unit)}"
        )
    if week.least_chance is not None:
        found += _chances(summary, week.least_chance)
    if week.least_kept is not None:
        kept = share_kept(project)
        if kept is None or kept < week.least_kept:
            said = "no past promise is known" if kept is None else f"{kept:.0%} of promises kept"
            found.append(f"{said}, least_kept is {week.least_kept:.0%}")
    return found


def _chances(summary: PlanSummary, least: float) -> list[str]:
    """Limits on outcomes that are not kept surely enough; of which nobody knows is not enough."""
    found = []
    for row in summary.guardrails:
        if row.kept is not None and row.kept >= least:
            continue
        what = " ".join(filter(None, (row.title or row.name, row.label)))
        said = "not known, as its limit has no chance" if row.kept is None else f"{row.kept:.0%}"
        found.append(
            f"the chance that {what} keeps its limit is {said}, least_chance is {least:.0%}"
        )
    return found
