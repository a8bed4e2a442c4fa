"""A plan that was kept, with the problem that it answers: its own data moment, fit and settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import ProjectError
from dagcast.plans import PlanSummary
from dagcast.project import Project
from dagcast.workflow.common._fits import Fitted, load_fit
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._plan_files import SOLVED, plan_folder
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import DecisionProblem, Plan


@final
@dataclass(frozen=True)
class Earlier:
    """A kept plan and what it answers.

    Attributes:
        summary: what its page says.
        fitted: the models behind it.
        setting: of its round.
        plan: as it was solved or evaluated.
        problem: the same that it answered.
    """

    summary: PlanSummary
    fitted: Fitted
    setting: Setting
    plan: "Plan"
    problem: "DecisionProblem"


def earlier_plan(project: Project, name: str) -> Earlier:
    """Read a plan back, and put the problem together that it answered.

    Raises:
        UsageError: no plan has that name.
        ProjectError: a package, the data or the settings changed since.
    """
    from dagcast_core.decide import Plan

    project.journal.find(name)
    folder = plan_folder(project, name)
    summary = PlanSummary.load(folder)
    session = open_session(project)
    _require_packages(session, summary)
    fitted = load_fit(session, summary.provenance["fit"])
    setting = make_setting(session, times_of(summary), reference=reference_of(summary))
    plan = Plan.load(folder / SOLVED)
    problem = setting.problem(fitted.model, draws=fitted.draws)
    _require_problem(name, plan.provenance, problem)
    return Earlier(summary, fitted, setting, plan, problem)


def times_of(summary: PlanSummary) -> Moments:
    """The times of the round that a plan was made in."""
    was = summary.provenance
    first, last = (pd.Timestamp(moment) for moment in was["history"])
    start, end = (pd.Timestamp(moment) for moment in was["horizon"])
    return Moments(pd.Timestamp(was["data_moment"]), first, last, start, end)


def reference_of(summary: PlanSummary) -> pd.Timestamp:
    """First hour after the weeks that a plan's limits refer to; earlier versions took the last."""
    return pd.Timestamp(summary.provenance.get("reference") or summary.provenance["data_moment"])


def _require_packages(session: Session, summary: PlanSummary) -> None:
    was = summary.provenance
    now = session.provenance()["packages"]
    changed = [
        f"{name} {was['packages'].get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in sorted({*was["packages"], *now})
        if was["packages"].get(name) != now.get(name)
    ]
    contents = session.contents()
    changed += [
        f"{name} {now.get(name, '')} has other content"
        for name, content in was.get("contents", {}).items()
        if name in contents and contents[name] != content
    ]
    if changed:
        raise ProjectError(
            f"the packages that made {summary.plan}",
            "; ".join(changed),
            "Install those versions again, or make a new plan with `dagcast plan`.",
        )


def _require_problem(name: str, provenance: Mapping[str, Any], problem: "DecisionProblem") -> None:
    """Refuse another problem, saying which part of it changed."""
    from dagcast_core.decide import describe

    was, now = provenance.get("problem"), describe(problem)
    if was is None:
        raise ProjectError(
            f"a record of the problem that {name} solved",
            "none: an earlier release of dagcast made it",
            "Make a new plan with `dagcast plan`.",
        )
    if was["digest"] == now["digest"]:
        return
    parts = {
        "context": "the data known at its moment",
        "current": "the data known at its moment",
        "parameters": "the fitted parameters",
        "model": "the models",
        "draws": "the draws of the parameters",
    }
    # A rule's values depend on the data; everything else about a problem is settings.
    found = [
        parts.get(key, f"the settings: {key}")
        for key in sorted({*was, *now} - {"digest"})
        if was.get(key) != now.get(key)
    ]
    raise ProjectError(
        f"the problem that {name} solved",
        f"other {', '.join(dict.fromkeys(found))}",
        "Restore dagcast.toml, the fit and the store, or make a new plan with `dagcast plan`.",
    )
