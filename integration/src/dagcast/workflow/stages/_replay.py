"""Stage 7, once more: an earlier plan is solved again on its own data moment and fit."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagcast.errors import ProjectError
from dagcast.plans import (
    PlanSummary,
)
from dagcast.project import Project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._plan_files import SOLVED, plan_folder
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.decide import DecisionProblem, Plan


def replay(project: Project, name: str, *, progress: Progress = silent) -> PlanResult:
    """Solve the problem of an earlier plan again, on its own data moment and fit; keeps nothing.

    Raises:
        UsageError: no plan has that name.
        ProjectError: a package, the data or the settings changed since.
        KeyboardInterrupt: interrupted before it was solved to its end.
    """
    import pandas as pd

    from dagcast.workflow.common._horizon import Moments
    from dagcast_core.decide import Options, Plan, solve, what_if

    project.journal.find(name)
    folder = plan_folder(project, name)
    summary = PlanSummary.load(folder)
    session = open_session(project)
    _require_packages(session, summary)
    fitted = load_fit(session, summary.provenance["fit"])
    was = summary.provenance
    first, last = (pd.Timestamp(moment) for moment in was["history"])
    start, end = (pd.Timestamp(moment) for moment in was["horizon"])
    times = Moments(pd.Timestamp(was["data_moment"]), first, last, start, end)
    setting = make_setting(session, times)
    progress("optimising", None)
    begun = time.perf_counter()
    before = Plan.load(folder / SOLVED)
    if before.status == "interrupted":
        raise ProjectError(
            f"{name} to be solved to its end",
            before.message,
            "Where a clock or a person stopped the solver, it stops elsewhere the next time.",
        )
    problem = setting.problem(fitted.model, draws=fitted.draws)
    _require_problem(name, before.provenance, problem)
    if before.provenance["kind"] == "what-if":
        # People's decisions are not solved for: they are judged again.
        solved = what_if(problem, before.decisions)
    else:
        solved = solve(
            problem,
            options=Options(**before.provenance["options"]),
            progress=lambda state: progress(f"optimising, step {state.iteration}", None),
        )
    if solved.status == "interrupted" and solved.message == "interrupted":
        raise KeyboardInterrupt(f"interrupted while {name} was solved again: nothing is compared")
    seconds = time.perf_counter() - begun
    result = keep(
        setting,
        fitted,
        replace(solved, flags=before.flags, reasons=before.reasons),
        kind="replayed",
        seconds=seconds,
        name=name,
        record=False,
        progress=progress,
    )
    return replace(result, replay_error=_difference(before, solved))


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


def _difference(before: "Plan", again: "Plan") -> float:
    """Largest difference of a cell, relative to the largest cell."""
    worst = 0.0
    for name, own in before.decisions.items():
        other = again.decisions[name].reindex({dim: own.index(dim) for dim in own.dims})
        size = max(float(own.tensor.abs().max()), 1e-300)
        worst = max(worst, float((own.tensor - other.values(*own.dims)).abs().max()) / size)
    return worst
