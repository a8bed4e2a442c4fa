"""Stage 1: events of a simulated marketplace, and of the week that follows a plan."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import ProjectError
from dagcast.plans import LEVER
from dagcast.project import Project, create_project, open_project
from dagcast.workflow.common._configured import configured
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._worlds import HISTORY, PLAYED, open_world, world_factory

if TYPE_CHECKING:
    from pandas import DataFrame, DatetimeIndex


@final
@dataclass(frozen=True)
class SimulateResult(Result):
    """Event files written.

    Attributes:
        folder: the project.
        world: name of the simulated marketplace.
        seed: its seed.
        rows: rows written, by file.
        played: the plan that was carried out, or nothing for the history.
        left: levers of the plan that this market does not carry out: they go on as announced.
    """

    folder: Path
    world: str
    seed: int
    rows: Mapping[str, int]
    played: str | None = None
    left: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        title = f"Events of {self.world}, seed {self.seed}"
        if self.played:
            title = f"The week as it happened under {self.played}"
        rows = tuple((name, f"{count:,}") for name, count in self.rows.items())
        note = ""
        if self.left:
            note = f"as announced, since this market carries out none: {', '.join(self.left)}"
        return (ResultTable(title, ("file", "rows"), rows, note),)

    def next_command(self) -> str:
        return f"dagcast ingest --project {self.folder}"


def simulate(
    folder: Path,
    *,
    regions: int = 12,
    weeks: int = 16,
    seed: int = 0,
    world: str | None = None,
    scenario: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> SimulateResult:
    """Write the events of a simulated marketplace into a project, made where there is none.

    Args:
        folder: a project without events, or a missing or empty folder.
        regions: number of regions.
        weeks: weeks of history.
        seed: of the marketplace; equal seeds give equal events.
        world: name of the marketplace, where several are installed.
        scenario: settings of the marketplace that differ from its own defaults.
        flags: dotted settings of the new project that differ from the defaults.
        progress: told what is going on.

    Raises:
        ProjectError: the folder holds other things, or events already.
        UsageError: no simulated marketplace is installed, or none of that name.
        AssemblyError: two packages bring first settings that contradict each other.
    """
    folder = Path(folder).absolute()
    exists = folder.exists() and any(folder.iterdir())
    if exists:
        project = open_project(folder, flags=flags)
        if any(project.events.iterdir()):
            raise ProjectError(
                f"no events in {project.events}",
                ", ".join(sorted(path.name for path in project.events.iterdir())),
                "Choose another project with --project; events are never overwritten.",
            )
    factory = world_factory(world)
    progress(f"simulating {regions} regions for {weeks} weeks", None)
    made = factory.create(regions, weeks, seed, dict(scenario or {}))
    if not exists:
        config = configured(flags, seeds=dict.fromkeys(("world", "draws", "plan"), seed))
        # The first origin of the backtest needs some weeks before it, too.
        origins = max(1, min(config.backtest.origins, weeks - 4))
        data = config.data.model_copy(update={"history_weeks": max(3, weeks)})
        tested = config.backtest.model_copy(update={"origins": origins})
        config = config.model_copy(update={"data": data, "backtest": tested})
        project = create_project(folder, config)
    target = project.events / HISTORY
    with project.making(target) as temporary:
        rows = dict(made.write_events(temporary))
        details = {"world": factory.name, "seed": seed, "rows": rows}
        project.record("simulated", details={**details, "made": f"events/{target.name}"})
    return SimulateResult(project.folder, factory.name, seed, rows)


def play(
    project: Project,
    *,
    instead: "tuple[DataFrame, DatetimeIndex] | None" = None,
    progress: Progress = silent,
) -> SimulateResult:
    """Let the simulated marketplace live through the approved plan's horizon.

    Args:
        project: of a simulated marketplace.
        instead: decisions and hours to live through where no plan was approved.
        progress: told what is going on.

    Raises:
        ProjectError: the project's events come from no simulated marketplace, no plan is
            approved, or its week was played already.
    """
    from dagcast.workflow.common._plan_files import load_decisions, newest_approved, plan_hours

    if instead is None:
        record = newest_approved(project)
        plan, first = record.plan, record.horizon_start[:10]
    else:
        plan, first = None, f"{instead[1][0]:%Y-%m-%d}"
    target = project.events / f"{PLAYED}{first}"
    if target.exists():
        raise ProjectError(
            f"the week from {first} to be still ahead",
            f"its events in {target}",
            "Ingest them with `dagcast ingest`, then `dagcast retro`.",
        )
    world, factory, seed = open_world(project)
    under = plan or "other decisions"
    progress(f"living through the week under {under}", None)
    if plan is not None:
        decisions, hours = load_decisions(project, plan), plan_hours(project, plan)
    else:
        assert instead is not None
        decisions, hours = instead
    with project.making(target) as temporary:
        rows = dict(world.play(temporary, decisions, hours))
        # What lies beside the history's events, such as experiments and labels, holds on; the world
        # itself stays where it was made.
        for source in sorted((project.events / HISTORY).glob("*.json")):
            if source.name != "world.json" and not (temporary / source.name).exists():
                shutil.copyfile(source, temporary / source.name)
        details = {"rows": rows, "made": f"events/{target.name}"}
        project.record("played", plan=plan, details=details)
    levers = decisions[LEVER].unique() if LEVER in decisions else ()
    left = tuple(name for name in levers if name not in world.carries_out)
    return SimulateResult(project.folder, factory.name, seed, rows, under, left)
