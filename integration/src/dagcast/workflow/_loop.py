"""Many weeks in a simulated market: decided by `week`, lived through, and judged by the truth."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast._held import held_text
from dagcast._whole import write_text
from dagcast.errors import GateError, ProjectError, UsageError
from dagcast.project import Project, open_project
from dagcast.workflow._week import week
from dagcast.workflow.common._loop_result import LoopResult, LoopWeek, drawing
from dagcast.workflow.common._plan_files import load_decisions
from dagcast.workflow.common._promised_lift import promised_lift, whole_budget
from dagcast.workflow.common._result import Progress, Result, plain, silent
from dagcast.workflow.common._week_result import WeekResult
from dagcast.workflow.common._worlds import JudgingWorld, open_world
from dagcast.workflow.stages._decide import approve
from dagcast.workflow.stages._ingest import ingest
from dagcast.workflow.stages._promises import promises
from dagcast.workflow.stages._simulate import play, simulate

if TYPE_CHECKING:
    import pandas as pd

REPORT, FIGURE = "loop.json", "loop.svg"


def loop(
    folder: Path,
    *,
    weeks: int = 12,
    regions: int = 4,
    history: int = 12,
    seed: int = 0,
    scenario: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    evaluations: int = 300,
    replications: int = 4,
    progress: Progress = silent,
    on_week: Callable[[Result], None] = lambda result: None,
) -> LoopResult:
    """Live through weeks of a simulated market under what `week` plans, and judge them by replay.

    Each week's plan is approved where the gate of approval lets it pass; else the operator's rule
    is carried out. Beside it stand the operator's rule, the first plan repeated, no spend, and the
    best that a search finds which may ask the truth, each in the market as it had become by then.
    A loop that was killed goes on with the week that it was at.

    Args:
        folder: a missing or empty folder, or one in which a loop was begun with the same market.
        weeks: how many to live through, those lived through before among them.
        regions: size of the market.
        history: weeks before the first.
        seed: of the market.
        scenario: settings of the market that differ from its own defaults.
        flags: dotted settings of the project that differ from the defaults.
        evaluations: plans that the search for the best may try in a week.
        replications: over how many riders and drivers each week's worth is averaged.
        progress: told what is going on.
        on_week: called with what `week` says of each.

    Raises:
        ProjectError: the folder holds other things, or the market judges no plans.
        UsageError: the loop was begun with another market.
    """
    folder = Path(folder).absolute()
    made = {"regions": regions, "history": history, "seed": seed, "scenario": dict(scenario or {})}
    if not folder.exists() or not any(folder.iterdir()):
        simulate(
            folder,
            regions=regions,
            weeks=history,
            seed=seed,
            scenario=scenario,
            flags=flags,
            progress=progress,
        )
        open_project(folder, flags=flags).record("loop", details=made)
    project = open_project(folder, flags=flags)
    _require_same(project, made)
    done = _read(project)
    while len(done) < weeks or not _lived(project, done[-1]):
        if done and not _lived(project, done[-1]):
            _live(project, done[-1], progress)
            continue
        stands = week(project, progress=progress)
        on_week(stands)
        done.append(
            _judged(project, stands, done, evaluations=evaluations, replications=replications,
                    progress=progress)
        )  # fmt: skip
        _write(project, done)
        _live(project, done[-1], progress)
    ingest(project, progress=progress)
    counted = promises(project, progress=progress).promises
    outcomes = {w.plan: [p.held for p in counted if p.plan == w.plan and not p.over] for w in done}
    counts = {name: (sum(held), len(held)) for name, held in outcomes.items() if held}
    kept = [replace(item, kept=counts.get(item.plan)) for item in done]
    _write(project, kept)
    unit = project.config.objective.unit
    figure = project.reports / FIGURE
    write_text(figure, drawing(kept, unit))
    return LoopResult(project.folder, tuple(kept), unit, figure)


def _judged(
    project: Project,
    stands: WeekResult,
    done: list[LoopWeek],
    *,
    evaluations: int,
    replications: int,
    progress: Progress,
) -> LoopWeek:
    """Decide about the week, and ask the world what each policy would be worth in it."""
    state, plan = stands.state, stands.plan
    if state == "waiting":
        assert plan is not None
        try:
            approve(project, plan, who="loop", why="the gate let it pass")
            state = "approved"
        except GateError:
            state = "refused"
    if state not in ("approved", "refused", "infeasible", "stale"):
        raise ProjectError(
            "a week that can be lived through", f"{state} at {stands.step}: {stands.why}",
            "Mend that, and run the loop again: it goes on.",
        )  # fmt: skip
    world = _world(project)
    progress("asking the truth", None)
    weights = project.config.objective.weights

    def worth(decisions: "pd.DataFrame") -> float:
        return world.worth(decisions, weights, replications=replications)

    decided = {"operator": world.operator_decisions()}
    if plan is not None:
        decided["plan"] = load_decisions(project, plan)
    assert stands.week is not None
    first = next((item.plan for item in done if item.lived == "plan"), plan)
    if first is not None:
        decided["static"] = _moved(load_decisions(project, first), stands.week)
    decided["none"] = decided["operator"].iloc[:0]
    found = {name: worth(frame) for name, frame in decided.items()}
    lived = "plan" if state == "approved" else "operator"
    budget = None if plan is None else whole_budget(project, plan)
    start = decided[max((n for n in found if n != "none"), key=lambda name: found[name])]
    best = world.best_decisions(weights, budget=budget, start=start, evaluations=evaluations)
    # Who knows the truth takes the best of what is known, where a search finds nothing better.
    within = [found[name] for name in ("plan", "static") if name in found]
    found["best"] = max([worth(best), *within])
    promised = None if plan is None else promised_lift(project, plan)
    known = _experiments(project)
    return LoopWeek(stands.week, state, plan, lived, found, promised, known)


def _world(project: Project) -> JudgingWorld:
    world, factory, _ = open_world(project)
    if not isinstance(world, JudgingWorld):
        raise ProjectError(
            "a simulated market that judges plans by its truth",
            f"{factory.name}, which does not",
            "Install one that does, such as dagcast-simulator.",
        )
    return world


def _moved(decisions: "pd.DataFrame", start: str) -> "pd.DataFrame":
    """Decisions of an earlier week at the same hours of a later one."""
    import pandas as pd

    hours = pd.DatetimeIndex(decisions["hour"])
    return decisions.assign(hour=hours + (pd.Timestamp(start) - hours.min()))


def _live(project: Project, item: LoopWeek, progress: Progress) -> None:
    if item.lived == "plan":
        play(project, progress=progress)
        return
    import pandas as pd

    decisions = _world(project).operator_decisions()
    hours = pd.date_range(item.week, periods=168, freq="h", unit="us")
    play(project, instead=(decisions, hours), progress=progress)


def _lived(project: Project, item: LoopWeek) -> bool:
    return (project.events / f"played-{item.week[:10]}").exists()


def _experiments(project: Project) -> int:
    from dagcast.workflow.common._session import open_session

    return len(open_session(project).known_experiments())


def _require_same(project: Project, made: Mapping[str, Any]) -> None:
    begun = [entry.details for entry in project.journal.entries() if entry.event == "loop"]
    if not begun:
        raise ProjectError(
            f"a missing or empty folder, or a loop, at {project.folder}",
            "another project",
            "Choose another folder with --project.",
        )
    differs = [name for name, value in made.items() if begun[0].get(name) != plain(value)]
    if differs:
        was = ", ".join(f"{name} {begun[0].get(name)}" for name in differs)
        raise UsageError(
            f"the market with which the loop in {project.folder} was begun ({was})",
            ", ".join(f"{name} {made[name]}" for name in differs),
            "Leave these options as they were, or choose another folder with --project.",
        )


def _read(project: Project) -> list[LoopWeek]:
    path = project.reports / REPORT
    if not path.is_file():
        return []
    try:
        items = json.loads(held_text(path))["weeks"]
        return [
            LoopWeek(**{**item, "promised": _pair(item["promised"]), "kept": None})
            for item in items
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"weeks of the loop in {path}", f"{error}", "Restore it from a copy."
        ) from error


def _pair(values: Any) -> Any:
    return None if values is None else tuple(values)


def _write(project: Project, done: list[LoopWeek]) -> None:
    document = {"weeks": [plain(item) for item in done]}
    write_text(project.reports / REPORT, json.dumps(document, indent=1))
