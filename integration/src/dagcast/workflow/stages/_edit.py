"""Stage 9: people change a plan; the result is a new proposal."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagcast.errors import PlanStateError, UsageError
from dagcast.plans import read_proposal
from dagcast.project import Project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._plan_files import SOLVED, load_decisions, plan_folder
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._proposals import labels_of, laid_over
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    import pandas as pd

    from dagcast_core.decide import Plan
    from dagcast_core.tensor import Panel

_PEOPLE = "set by people"


def edit(
    project: Project,
    plan: str | None = None,
    *,
    cells: Path | None = None,
    scale: float | None = None,
    regions: tuple[str, ...] = (),
    incentives: tuple[str, ...] = (),
    who: str | None = None,
    why: str,
    progress: Progress = silent,
) -> PlanResult:
    """Change cells of a plan and propose the result as a new plan.

    Args:
        project: with a plan.
        plan: which one; the newest by default.
        cells: CSV or Parquet with the new values of some cells.
        scale: factor on the cells of ``regions`` and ``incentives``, all of them by default.
        regions: to scale.
        incentives: to scale.
        who: who edits; the current user by default.
        why: the reason, for the log.
        progress: told what is going on.

    Raises:
        UsageError: nothing to change, or a wrong file, label or factor.
        PlanStateError: the plan is superseded or decided, or decides about other hours than those
            that come next.
    """
    from dagcast_core.decide import Plan, what_if

    record = project.journal.find(plan)
    if record.state != "proposed":
        raise PlanStateError(
            f"{record.plan} to be proposed",
            record.state,
            f"Edit {record.superseded_by} instead."
            if record.superseded_by
            else "Make a new plan with `dagcast plan`.",
        )
    if (cells is None) == (scale is None):
        raise UsageError(
            "either a file of cells or a scale",
            "neither" if cells is None else "both",
            "Give --cells FILE or --scale FACTOR.",
        )
    if scale is not None and not (math.isfinite(scale) and scale >= 0):
        raise UsageError("a finite factor of at least 0 for scale", f"{scale:g}", "Correct it.")
    decisions = load_decisions(project, record.plan)
    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    start = setting.times.start.isoformat()
    if record.horizon_start != start:
        # Its cells would be laid over other hours.
        raise PlanStateError(
            f"{record.plan} to decide about the hours that come next, from {start}",
            f"hours from {record.horizon_start}",
            "Make a plan for those hours with `dagcast plan`, or set data.as_of and horizon.start "
            "to the moment of the plan.",
        )
    labels = labels_of(setting)
    if cells is not None:
        changed = read_proposal(cells, labels)
    else:
        assert scale is not None
        changed = _scaled(decisions, scale, regions, incentives, labels)
    begun = time.perf_counter()
    base = laid_over(setting, decisions, setting.current)
    wanted = laid_over(setting, changed, base)
    problem = setting.problem(fitted.model, draws=fitted.draws)
    before = Plan.load(plan_folder(project, record.plan) / SOLVED)
    solved = _marked(what_if(problem, wanted), before, base)
    return keep(
        setting,
        fitted,
        solved,
        kind="edited",
        seconds=time.perf_counter() - begun,
        parent=record.plan,
        who=who,
        why=why,
        progress=progress,
    )


def _marked(solved: "Plan", before: "Plan", base: "Panel") -> "Plan":
    """The plan with the cells flagged that differ from what they were, beside earlier flags."""
    from dagcast_core.tensor import Panel

    reasons = list(before.reasons)
    if _PEOPLE not in reasons:
        reasons.append(_PEOPLE)
    flags = {}
    for name, own in solved.decisions.items():
        layout = {dim: own.index(dim) for dim in own.dims}
        changed = own.tensor != base[name].reindex(layout).values(*own.dims)
        number = changed.double() * (reasons.index(_PEOPLE) + 1)
        if name in before.flags:
            earlier = before.flags[name].reindex(layout, fill=0.0).values(*own.dims)
            number = number.where(changed, earlier)
        if bool((number > 0).any()):
            flags[name] = own.with_tensor(number)
    return replace(solved, flags=Panel(flags), reasons=tuple(reasons) if flags else ())


def _scaled(
    decisions: "pd.DataFrame",
    scale: float,
    regions: tuple[str, ...],
    incentives: tuple[str, ...],
    labels: dict[str, object],
) -> "pd.DataFrame":
    chosen = decisions
    for dim, wanted in (("region", regions), ("incentive", incentives)):
        known = [str(label) for label in labels[dim]]  # type: ignore[attr-defined]
        for label in wanted:
            if label not in known:
                raise UsageError(f"a {dim} out of {', '.join(known)}", repr(label), "Correct it.")
        if wanted:
            chosen = chosen[chosen[dim].isin(wanted)]
    return chosen.assign(usd=chosen["usd"] * scale)
