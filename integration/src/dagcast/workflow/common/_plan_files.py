"""Plans on disk: what each holds, and how it is read back."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dagcast.errors import ProjectError
from dagcast.journal import PlanRecord
from dagcast.project import Project

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "plan"
DECISIONS = "decisions.parquet"
MARGINALS = "marginals.safetensors"
SOLVED = "solved"
SEAL = "sha256.json"


def seal(folder: Path) -> str:
    """Write down what every file of a plan's folder holds; a plan never changes afterwards.

    Returns:
        The digest of what was written, for the log: who changes a plan would have to change the log
        as well.
    """
    found = {name: _digest(folder / name) for name in _files(folder)}
    (folder / SEAL).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return _digest(folder / SEAL)


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
    _verify(folder, sealed)
    return folder


def _verify(folder: Path, sealed: str | None) -> None:
    """Compare a plan with its seal, and its seal with the log."""
    if not (folder / SEAL).is_file():
        if sealed is not None:
            raise _damaged(folder, f"no {SEAL}")
        # A plan of an earlier version; what it holds is checked by whoever reads it.
        return
    if sealed is not None and _digest(folder / SEAL) != sealed:
        raise _damaged(folder, f"another {SEAL} than the log knows")
    try:
        expected = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        found = {name: _digest(folder / name) for name in _files(folder)}
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from error
    if not isinstance(expected, dict):
        raise _damaged(folder, f"a {SEAL} that lists no files")
    for name, digest in expected.items():
        if name not in found:
            raise _damaged(folder, f"no {name}")
        if found[name] != digest:
            raise _damaged(folder, f"another {name} than was written")


def _damaged(folder: Path, found: str) -> ProjectError:
    return ProjectError(
        f"the plan in {folder} as it was written",
        found,
        "Restore it from a copy, or make a new plan with `dagcast plan`.",
    )


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SEAL
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
