"""Plans on disk: what each holds, and how it is read back."""

from pathlib import Path
from typing import TYPE_CHECKING

from dagcast.errors import ProjectError
from dagcast.journal import PlanRecord
from dagcast.project import Project
from dagcast.workflow.common._seal import verify

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "plan"
DECISIONS = "decisions.parquet"
MARGINALS = "marginals.safetensors"
# What the levers would be if nobody changed anything; plans of earlier versions have none.
CURRENT = "current.safetensors"
SOLVED = "solved"


def plan_folder(project: Project, name: str) -> Path:
    """Where a plan lies, verified to be as it was written.

    Raises:
        ProjectError: the log knows the plan but its folder is gone, or a file of it is missing or
            was changed.
    """
    folder = project.plans / name
    if not folder.is_dir():
        raise ProjectError(
            f"the folder of {name} in {project.plans}",
            "nothing",
            "Restore it from a copy, or make a new plan with `dagcast plan`.",
        )
    proposal = project.journal.proposal(name)
    sealed = None if proposal is None else proposal.details.get("seal")
    verify(folder, sealed, "plan")
    return folder


def load_decisions(project: Project, name: str) -> "pd.DataFrame":
    """A plan's decisions: lever, the dims of the levers, hour, value, unit.

    Raises:
        ProjectError: the file is missing or damaged.
    """
    import pandas as pd

    path = plan_folder(project, name) / DECISIONS
    try:
        return pd.read_parquet(path)
    except Exception as error:  # the reader has errors of its own for a damaged file
        reason = (str(error).splitlines() or [""])[0]
        raise ProjectError(
            f"the decisions of {name} in {path}",
            f"{type(error).__name__}: {reason}",
            "Restore the file, or make a new plan with `dagcast plan`.",
        ) from error


def plan_hours(project: Project, name: str) -> "pd.DatetimeIndex":
    """The hours that a plan decides about, in order."""
    import pandas as pd

    hours = load_decisions(project, name)["hour"]
    return pd.DatetimeIndex(hours.drop_duplicates().sort_values(), name="hour")


def newest_approved(project: Project) -> PlanRecord:
    """The approved plan with the latest horizon.

    Raises:
        ProjectError: no plan is approved.
    """
    approved = [item for item in project.journal.plans().values() if item.state == "approved"]
    if not approved:
        raise ProjectError(
            "an approved plan",
            "none",
            f"Approve one with `dagcast approve --project {project.folder}`.",
        )
    return max(approved, key=lambda item: item.horizon_start)
