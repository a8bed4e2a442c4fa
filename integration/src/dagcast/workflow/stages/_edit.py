"""Stage 9: people change a plan; the result is a new proposal."""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import PlanStateError, UsageError
from dagcast.journal import Seen
from dagcast.plans import LEVER, VALUE, Change, LeverShape, applied, read_proposal
from dagcast.project import Project, current_user
from dagcast.workflow.common._fits import Fitted, load_fit
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._plan_files import SOLVED, load_decisions, plan_folder
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._proposals import laid_over, shapes_of
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import open_session
from dagcast.workflow.common._shown import adds_up

if TYPE_CHECKING:
    import pandas as pd

    from dagcast_core.decide import Plan
    from dagcast_core.tensor import Panel

_PEOPLE = "set by people"


@final
@dataclass(frozen=True)
class Ready:
    """What editing needs of models and data; good as long as the project does not move on.

    Attributes:
        setting: the round.
        fitted: the models.
        shapes: the cells that may be changed, by lever.
        memory: of forecasts that are the same for every edit.
    """

    setting: Setting
    fitted: Fitted
    shapes: Mapping[str, LeverShape]
    memory: dict[Any, Any] = field(default_factory=dict)


def ready_to_edit(project: Project) -> Ready:
    """Read the data and load the newest fit, once for many edits.

    Raises:
        ProjectError: nothing was ingested or fitted yet.
    """
    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    return Ready(setting, fitted, shapes_of(setting))


def local_model(
    project: Project, plan: str, ready: Ready, *, by: float = 0.9
) -> "tuple[dict[str, Any], dict[str, Any]]":
    """The gradient of the objective at a plan, and its curvature towards less of everything.

    The curvature of a cell is the secant of its gradient between the plan and ``by`` times the
    plan, so that what cells do to each other is in it as far as they move together.

    Args:
        project: with the plan.
        plan: its name.
        ready: what editing needs.
        by: the share of the plan that it is compared with.

    Returns:
        Lever -> gradient, and lever -> curvature, dims of the lever; units of the objective per
        unit of lever, and per its square.
    """
    from dagcast_core.decide import Plan, what_if

    setting = ready.setting
    problem = setting.problem(ready.fitted.model, draws=ready.fitted.draws)
    solved = Plan.load(plan_folder(project, plan) / SOLVED)
    less = {name: tensor * by for name, tensor in solved.decisions.items()}
    other = what_if(problem, setting.current.assign(less))
    several = len(list(solved.decisions)) > 1
    gradients, curvatures = {}, {}
    for name, decided in solved.decisions.items():
        key = f"objective/{name}" if several else "objective"
        here, there = solved.marginal_effects[key], other.marginal_effects[key]
        layout = {dim: here.index(dim) for dim in here.dims}
        moved = decided.reindex(layout).values(*here.dims).double() * (1 - by)
        bent = here.values(*here.dims).double() - there.reindex(layout).values(*here.dims).double()
        # Where nothing is decided nothing moves, and nothing is known of the curve.
        curve = (bent / moved.where(moved > 0, 1.0)).where(moved > 0, 0.0).clamp(max=0.0)
        gradients[name], curvatures[name] = here, here.with_tensor(curve)
    return gradients, curvatures


def edit(
    project: Project,
    plan: str | None = None,
    *,
    cells: Path | None = None,
    scale: float | None = None,
    lever: str | None = None,
    where: Mapping[str, Collection[str]] | None = None,
    changes: Sequence[Change] = (),
    who: str | None = None,
    why: str,
    ready: Ready | None = None,
    record: bool = True,
    opened: Seen | None = None,
    progress: Progress = silent,
) -> PlanResult:
    """Change cells of a plan and propose the result as a new plan.

    Args:
        project: with a plan.
        plan: which one; the newest by default.
        cells: CSV or Parquet with the new values of some cells.
        scale: factor on the cells of ``lever`` and ``where``, all of them by default.
        lever: to scale; by default every one that is an amount, as a price is no share of a budget.
        where: labels to scale, by dim.
        changes: of blocks of cells, one after the other, in place of ``cells`` and ``scale``.
        who: who edits; the current user by default.
        why: the reason, for the log.
        ready: what was read before, where the project did not move on since.
        record: whether the result is proposed; else it is only evaluated.
        opened: what whoever edits had before their eyes; what happened since refuses the proposal.
        progress: told what is going on.

    Raises:
        ConflictError: something happened to the plan since it was opened.
        GateError: the rules of the project do not let them.
        UsageError: nothing to change, or a wrong file, label or factor.
        PlanStateError: the plan is superseded or decided, or decides about other hours than those
            that come next.
    """
    who = who or current_user()
    project.rules.require(who, "edit")
    # Whoever may not edit does not wait for torch.
    from dagcast_core.decide import Plan, what_if

    edited = project.journal.find(plan)
    if edited.state != "proposed":
        raise PlanStateError(
            f"{edited.plan} to be proposed",
            edited.state,
            f"Edit {edited.superseded_by} instead."
            if edited.superseded_by
            else "Make a new plan with `dagcast plan`.",
        )
    if [cells is not None, scale is not None, bool(changes)].count(True) != 1:
        raise UsageError(
            "either a file of cells or a scale",
            "neither" if cells is None and scale is None else "both",
            "Give --cells FILE or --scale FACTOR.",
        )
    if scale is not None and not (math.isfinite(scale) and scale >= 0):
        raise UsageError("a finite factor of at least 0 for scale", f"{scale:g}", "Correct it.")
    decisions = load_decisions(project, edited.plan)
    ready = ready or ready_to_edit(project)
    setting, fitted, shapes = ready.setting, ready.fitted, ready.shapes
    start = setting.times.start.isoformat()
    if edited.horizon_start != start:
        # Its cells would be laid over other hours.
        raise PlanStateError(
            f"{edited.plan} to decide about the hours that come next, from {start}",
            f"hours from {edited.horizon_start}",
            "Make a plan for those hours with `dagcast plan`, or set data.as_of and horizon.start "
            "to the moment of the plan.",
        )
    if cells is not None:
        changed = read_proposal(cells, shapes)
    elif changes:
        changed = applied(decisions, changes, shapes)
    else:
        assert scale is not None
        amounts = [name for name in shapes if adds_up(setting.quantities[name])]
        levers = amounts or list(shapes) if lever is None else [lever]
        changed = _scaled(decisions, scale, levers, where or {}, shapes)
    begun = time.perf_counter()
    base = laid_over(setting, decisions, setting.current)
    wanted = laid_over(setting, changed, base)
    problem = setting.problem(fitted.model, draws=fitted.draws)
    before = Plan.load(plan_folder(project, edited.plan) / SOLVED)
    solved = _marked(what_if(problem, wanted), before, base)
    return keep(
        setting,
        fitted,
        solved,
        kind="edited",
        seconds=time.perf_counter() - begun,
        name=None if record else f"{edited.plan}, edited",
        parent=edited.plan,
        who=who,
        why=why,
        record=record,
        opened=opened,
        memory=ready.memory,
        progress=progress,
    )


def decided_by(project: Project, plan: str) -> "Panel":
    """What a plan decides, as its solver left it.

    Raises:
        ProjectError: the plan's folder is gone or was changed.
    """
    from dagcast_core.decide import Plan

    return Plan.load(plan_folder(project, plan) / SOLVED).decisions


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
    levers: Sequence[str],
    where: Mapping[str, Collection[str]],
    shapes: Mapping[str, LeverShape],
) -> "pd.DataFrame":
    for name in levers:
        if name not in shapes:
            raise UsageError(f"a lever out of {', '.join(shapes)}", repr(name), "Correct it.")
    chosen = decisions[decisions[LEVER].isin(levers)]
    for dim, wanted in where.items():
        having = [shapes[name] for name in levers if dim in shapes[name].labels]
        if not having:
            dims = dict.fromkeys(d for name in levers for d in shapes[name].labels)
            raise UsageError(f"a dim out of {', '.join(dims)}", repr(dim), "Correct it.")
        known = dict.fromkeys(str(label) for shape in having for label in shape.labels[dim])
        for label in wanted:
            if label not in known:
                raise UsageError(f"a {dim} out of {', '.join(known)}", repr(label), "Correct it.")
        chosen = chosen[chosen[dim].astype(str).isin(wanted)]
    return chosen.assign(**{VALUE: chosen[VALUE] * scale})
