"""The whole loop in one fresh folder."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, final

from dagcast.errors import GateError, ProjectError
from dagcast.project import open_project
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.stages._backtest import BacktestResult, backtest
from dagcast.workflow.stages._check import CheckResult, check
from dagcast.workflow.stages._decide import DecisionResult, approve
from dagcast.workflow.stages._fit import FitResult, fit
from dagcast.workflow.stages._ingest import IngestResult, ingest
from dagcast.workflow.stages._plan import plan
from dagcast.workflow.stages._retro import RetroResult, retro
from dagcast.workflow.stages._review import ReviewResult, review
from dagcast.workflow.stages._simulate import SimulateResult, play, simulate
from dagcast.workflow.stages._validate import ValidateResult, validate

if TYPE_CHECKING:
    from dagcast.project import Project

R = TypeVar("R", bound=Result)


@final
@dataclass(frozen=True)
class DemoResult(Result):
    """Every stage's result, and how long each took.

    Attributes:
        folder: the project.
        simulated: to ``retro``: the results in the order of the loop.
        seconds: wall time by stage.
    """

    folder: Path
    simulated: SimulateResult
    ingested: IngestResult
    checked: CheckResult
    fitted: FitResult
    validated: ValidateResult
    backtested: BacktestResult
    planned: PlanResult
    reviewed: ReviewResult
    approved: DecisionResult
    played: SimulateResult
    happened: IngestResult
    retro: RetroResult
    seconds: Mapping[str, float]

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple((stage, f"{seconds:.1f}") for stage, seconds in self.seconds.items())
        total = ("all", f"{sum(self.seconds.values()):.1f}")
        return (ResultTable("Time", ("stage", "seconds"), (*rows, total)),)

    def next_command(self) -> str:
        return f"open {self.reviewed.page}"


def demo(
    folder: Path,
    *,
    regions: int = 12,
    weeks: int = 16,
    seed: int = 0,
    flags: Mapping[str, str] | None = None,
    progress: Progress = silent,
    on_result: Callable[[Result], None] = lambda result: None,
) -> DemoResult:
    """Simulate a marketplace, plan its next week, live through it, and measure the regret.

    Args:
        folder: a missing or empty folder.
        regions: number of regions.
        weeks: weeks of history.
        seed: of the marketplace, the draws and the solver.
        flags: dotted settings that differ from the defaults.
        progress: told what is going on.
        on_result: called with each stage's result as it is ready.

    Raises:
        ProjectError: the folder holds something.
        GateError: the installed packages do not fit together.
    """
    folder = Path(folder).absolute()
    if folder.exists() and any(folder.iterdir()):
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:3])
        raise ProjectError(
            f"a missing or empty folder at {folder}", found, "Choose another with --project."
        )
    seconds: dict[str, float] = {}

    def stage(name: str, run: Callable[[], R]) -> R:
        start = time.perf_counter()
        result = run()
        seconds[name] = time.perf_counter() - start
        on_result(result)
        return result

    def project() -> "Project":
        return open_project(folder, flags=flags)

    simulated = stage(
        "simulate",
        lambda: simulate(
            folder, regions=regions, weeks=weeks, seed=seed, flags=flags, progress=progress
        ),
    )
    ingested = stage("ingest", lambda: ingest(project(), progress=progress))
    checked = stage("check", lambda: check(project()))
    if checked.problems:
        raise GateError(
            "packages that fit together", "; ".join(checked.problems), "See `dagcast check`."
        )
    fitted = stage("fit", lambda: fit(project(), progress=progress))
    validated = stage("validate", lambda: validate(project(), progress=progress))
    backtested = stage("backtest", lambda: backtest(project(), progress=progress))
    planned = stage("plan", lambda: plan(project(), whole=True, progress=progress))
    reviewed = stage("review", lambda: review(project(), progress=progress))
    # A simulated week costs nobody anything: the demo goes on to the retrospective.
    approved = stage(
        "approve",
        lambda: approve(
            project(),
            who="demo",
            why="the demo approves what it plans",
            despite="it is a demo",
        ),
    )
    played = stage("play", lambda: play(project(), progress=progress))
    happened = stage("ingest the week", lambda: ingest(project(), progress=progress))
    looked_back = stage("retro", lambda: retro(project(), progress=progress))
    return DemoResult(
        folder,
        simulated,
        ingested,
        checked,
        fitted,
        validated,
        backtested,
        planned,
        reviewed,
        approved,
        played,
        happened,
        looked_back,
        seconds,
    )


def fresh_folder(wanted: Path) -> Path:
    """``wanted`` if nothing is there, else the first of ``wanted-2``, ``wanted-3``, ... ."""
    number = 2
    folder = wanted
    while folder.exists():
        folder = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return folder
