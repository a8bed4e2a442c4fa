"""Stage 7, once more: an earlier plan is solved again on its own data moment and fit."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dagcast.errors import ProjectError
from dagcast.project import Project
from dagcast.workflow.common._earlier import earlier_plan
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._optimising import optimising
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._result import Progress, silent

if TYPE_CHECKING:
    from dagcast_core.decide import Plan


def replay(project: Project, name: str, *, progress: Progress = silent) -> PlanResult:
    """Solve the problem of an earlier plan again, on its own data moment and fit; keeps nothing.

    Raises:
        UsageError: no plan has that name.
        ProjectError: a package, the data or the settings changed since.
        KeyboardInterrupt: interrupted before it was solved to its end.
    """
    from dagcast_core.decide import Options, solve, what_if

    earlier = earlier_plan(project, name)
    before, problem = earlier.plan, earlier.problem
    if before.status == "interrupted":
        raise ProjectError(
            f"{name} to be solved to its end",
            before.message,
            "Where a clock or a person stopped the solver, it stops elsewhere the next time.",
        )
    progress("optimising", None)
    begun = time.perf_counter()
    if before.provenance["kind"] == "what-if":
        # People's decisions are not solved for: they are judged again.
        solved = what_if(problem, before.decisions)
    else:
        solved = solve(
            problem,
            options=Options(**before.provenance["options"]),
            progress=optimising(progress, project.config.solver.tolerance),
        )
    if solved.status == "interrupted" and solved.message == "interrupted":
        raise KeyboardInterrupt(f"interrupted while {name} was solved again: nothing is compared")
    seconds = time.perf_counter() - begun
    result = keep(
        earlier.setting,
        earlier.fitted,
        replace(solved, flags=before.flags, reasons=before.reasons),
        kind="replayed",
        seconds=seconds,
        name=name,
        record=False,
        progress=progress,
    )
    return replace(result, replay_error=_difference(before, solved))


def _difference(before: "Plan", again: "Plan") -> float:
    """Largest difference of a cell, relative to the largest cell."""
    worst = 0.0
    for name, own in before.decisions.items():
        other = again.decisions[name].reindex({dim: own.index(dim) for dim in own.dims})
        size = max(float(own.tensor.abs().max()), 1e-300)
        worst = max(worst, float((own.tensor - other.values(*own.dims)).abs().max()) / size)
    return worst
