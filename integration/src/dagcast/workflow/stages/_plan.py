"""Stage 7: the decisions that serve the objective best within the limits."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagcast.errors import ProjectError
from dagcast.plans import (
    PlanStability,
    StabilityRow,
)
from dagcast.project import Project
from dagcast.workflow.common._fits import draw_parameters, fit_collection, load_fit
from dagcast.workflow.common._horizon import HOUR, at_origin
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._optimising import optimising
from dagcast.workflow.common._plan_result import PlanResult, was_interrupted
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    from dagcast_core.decide import DecisionProblem, Plan

_STABILITY_UNKNOWN = "interrupted before it was known how far the plan moves with earlier fits"


def plan(
    project: Project, *, stability: int = 0, whole: bool = False, progress: Progress = silent
) -> PlanResult:
    """Optimise the levers over the horizon and propose the result.

    Ctrl-C keeps the best plan so far, with status ``interrupted``, for the person who pressed it.

    Args:
        project: with a fit.
        stability: number of earlier moments, a week apart, at which the models are fitted again to
            see how far the plan moves.
        whole: whether a plan that was interrupted is none: nobody is there to look at it.
        progress: told what is going on.

    Raises:
        KeyboardInterrupt: interrupted where the plan has to be ``whole``, or a second time.
        ProjectError: nothing was ingested or fitted yet.
        ConfigError: the settings name no lever, or a limit is wrong.
    """
    progress("reading the history", None)
    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    # The solver's libraries take a second to load, in which nobody would know what goes on.
    from dagcast_core.decide import solve

    progress("optimising", None)
    start = time.perf_counter()
    problem = setting.problem(fitted.model, draws=fitted.draws)
    solved = solve(problem, **_options(project, progress))
    if whole and was_interrupted(solved.status, solved.message, solved.warnings):
        raise KeyboardInterrupt("interrupted while the plan was solved: there is none yet")
    seconds = time.perf_counter() - start
    moved = None
    if stability:
        try:
            moved = _stability(setting, problem, solved, stability, progress)
        except KeyboardInterrupt:
            # The plan is there; how far it moves is not known.
            solved = replace(solved, warnings=(*solved.warnings, _STABILITY_UNKNOWN))
    return keep(
        setting,
        fitted,
        solved,
        kind="optimised",
        seconds=seconds,
        stability=moved,
        whole=whole,
        progress=progress,
    )


def _stability(
    setting: Setting,
    problem: "DecisionProblem",
    solved: "Plan",
    count: int,
    progress: Progress,
) -> PlanStability:
    """Solve again with models that were fitted on what was known at earlier moments.

    Raises:
        ProjectError: the history is too short.
    """
    import pandas as pd

    from dagcast_core.decide import solve_again, stability

    session, times = setting.session, setting.times
    weeks = [pd.Timedelta(weeks=k + 1) for k in range(count)]
    earliest = times.last - weeks[-1] - times.first
    if earliest < pd.Timedelta(weeks=3) - HOUR:
        raise ProjectError(
            f"3 weeks of history before the earliest of {count} moments",
            f"{earliest / pd.Timedelta(weeks=1):.1f} weeks",
            "Ask for the stability over fewer moments, or ingest more history.",
        )
    others = []
    for k, week in enumerate(weeks):
        progress(f"fitting at earlier moments, {k + 1} of {count}", k / count)
        moment = times.last + HOUR - week
        past = at_origin(times, moment, session.project.config.horizon.hours, session.weeks)
        model = fit_collection(session, past)[0]
        # A plan that weighs draws is compared with plans that weigh those of the earlier fits.
        others.append(
            model if problem.draws is None else (model, draw_parameters(session, model, past))
        )
    progress("solving with earlier fits", None)
    found = stability(solved, solve_again(problem, solved, others))
    return PlanStability(
        tuple((times.last + HOUR - week).isoformat() for week in weeks),
        dict(found.moved),
        tuple(
            StabilityRow(row.lever, row.label, row.planned, row.low, row.high)
            for row in found.ranges
        ),
    )


def _options(project: Project, progress: Progress) -> dict[str, Any]:
    from dagcast_core.decide import Options

    solver = project.config.solver
    return {
        "options": Options(
            gap=solver.tolerance,
            violation=solver.tolerance,
            time_limit=solver.seconds,
            seed=project.config.seeds.plan,
        ),
        "progress": optimising(progress, solver.tolerance),
    }
