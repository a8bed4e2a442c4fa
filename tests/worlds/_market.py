"""What the checks against simulated truth share: worlds as projects, many at a time, and a table.

A world becomes a project as it would for a user: its events are ingested into a store and read
back as of the moment of planning, so late and revised rows count. Projects can be kept in a
folder, because simulating and ingesting one again costs as much as measuring it.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dagcast import workflow
from dagcast.project import open_project
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._worlds import open_world
from dagcast_core.contract import Arm, Cells, Change, Experiment, ExperimentSet
from dagcast_core.model import FitReport, Model, ModelCollection, effect_of, fit
from dagcast_core.tensor import Panel
from dagcast_simulator import MarketWorld

Scenario = Mapping[str, Any]

# Local hours of the day, as in the experiments `supply-eta-tight` and `supply-eta-slack`.
HOUR_CLASSES: Mapping[str, tuple[int, ...]] = {
    "tight": (7, 8, 9, 16, 17, 18, 19),
    "slack": (10, 11, 12, 13, 14, 15, 20, 21, 22),
}


@dataclass(frozen=True)
class Spec:
    """Which world.

    Attributes:
        seed: of the world.
        regions: number of regions.
        weeks: weeks of history.
        scenario: settings that differ from the simulator's defaults.
        cache: folder in which projects are kept; none keeps nothing.
    """

    seed: int
    regions: int = 12
    weeks: int = 16
    scenario: tuple[tuple[str, Any], ...] = ()
    cache: Path | None = None

    @property
    def name(self) -> str:
        """Names the world in a folder and in progress."""
        settings = "".join(f"-{key}={value}" for key, value in self.scenario)
        return f"{self.regions}x{self.weeks}{settings}-seed{self.seed}"


class Market:
    """A simulated marketplace as a project with ingested events.

    Args:
        folder: of the project.
    """

    def __init__(self, folder: Path) -> None:
        self.project = open_project(folder, environment={})
        world, _, self.seed = open_world(self.project)
        assert isinstance(world, MarketWorld)
        self.world = world
        self.session: Session = open_session(self.project)

    @cached_property
    def history(self) -> Panel:
        """All quantities over the history, as known at the moment of planning."""
        return self.session.history()

    @cached_property
    def experiments(self) -> ExperimentSet:
        """The operator's experiments, as they came with the events."""
        return self.session.known_experiments()

    def fit(
        self,
        experiments: ExperimentSet | Iterable[Experiment] | None = None,
        *,
        warm: Model | None = None,
        joint: bool = True,
    ) -> tuple[ModelCollection, FitReport]:
        """Fit the installed models.

        Args:
            experiments: all of the operator's by default.
            warm: a fitted collection to start from.
            joint: whether experiments that cross models are used.
        """
        model = self.session.build()
        used = self.experiments if experiments is None else experiments
        report = fit(model, self.history, used, warm=warm, joint=joint)
        return model, report


@contextmanager
def opened(spec: Spec) -> Any:
    """The market of ``spec``, made where the cache does not hold it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        kept = (spec.cache or Path(temporary)).absolute() / spec.name
        if not kept.is_dir():
            # Made elsewhere and renamed: a killed run leaves no half of a project behind.
            kept.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".making-", dir=kept.parent))
            try:
                folder = made / "project"
                workflow.simulate(
                    folder,
                    regions=spec.regions,
                    weeks=spec.weeks,
                    seed=spec.seed,
                    scenario=dict(spec.scenario),
                )
                workflow.ingest(open_project(folder, environment={}))
                os.replace(folder, kept)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        yield Market(kept)


def eta_slopes(
    market: Market, model: Model, *, step: float = 0.1, replications: int = 4
) -> dict[str, dict[str, float]]:
    """dETA / d driver hours by hour class, according to the model and by replay.

    Taken between fewer and more driver hours over the last four weeks, means over regions and
    hours of the class. The replay multiplies drivers' starts, and divides by the driver hours that
    came of it; the model is asked for the same relative change of driver hours.

    Args:
        market: the world and its history.
        model: fitted.
        step: relative change of starts to either side.
        replications: replays that are averaged; with one, the truth itself is off by some 5 %.

    Returns:
        By hour class: ``model`` and ``truth``, both minutes per driver-hour/h.
    """
    world, weeks = market.world, 4
    first = 168 * (market.world.weeks - weeks)
    arms = {}
    for factor in (1 - step, 1 + step):
        starts = world.levers.starts.copy()
        starts[:, first:] *= factor
        changed = world.levers.replace(starts=starts)
        arms[factor] = world.replay(
            changed, first=first, hours=168 * weeks, replications=replications
        )
    fewer, more = arms.values()
    opened_by = world.environment.open[:, first] > 0
    clock = world.environment.hour_of_week[:, first : first + 168 * weeks] % 24
    slopes = {}
    for label, hours in HOUR_CLASSES.items():
        inside = (np.isin(clock, hours) & opened_by[:, None]).ravel()
        low, high = fewer[inside], more[inside]
        # Cells in which nobody looked in one arm have no ETA to compare.
        seen = low["eta"].notna().to_numpy() & high["eta"].notna().to_numpy()
        eta, supply = (
            (float(low[name][seen].mean()), float(high[name][seen].mean()))
            for name in ("eta", "driver_hours")
        )
        names = tuple(np.asarray(world.region_names)[opened_by])
        ratio = supply[1] / supply[0]
        experiment = supply_experiment(market, names, hours, ratio)
        modelled = modelled_effect(market, model, experiment)
        observed = _mean_of(market, "driver_hours", experiment.cells)
        moved = observed * (ratio**0.5 - ratio**-0.5)
        slopes[label] = {
            "model": modelled / moved,
            "truth": (eta[1] - eta[0]) / (supply[1] - supply[0]),
        }
    return slopes


def supply_experiment(
    market: Market, regions: tuple[str, ...], local_hours: tuple[int, ...], ratio: float
) -> Experiment:
    """The change of ETA between two levels of driver hours around the observed, last 4 weeks."""
    hours = market.world.history_hours[-4 * 168 :]
    cells = Cells(
        regions,
        hours[0].isoformat(),
        hours[-1].isoformat(),
        counted_hours=local_hours,
        dim="region",
    )
    return Experiment(
        "more-driver-hours",
        ("driver_hours",),
        "eta",
        cells=cells,
        control=Arm("fewer", (Change("driver_hours", "scale", ratio**-0.5),)),
        treatment=Arm("more", (Change("driver_hours", "scale", ratio**0.5),)),
        estimate=0.0,
        standard_error=1.0,
    )


def modelled_effect(market: Market, model: Model, experiment: Experiment) -> float:
    """The effect of an experiment according to a model."""
    with torch.no_grad():
        return float(effect_of(model, market.history, experiment))


def _mean_of(market: Market, name: str, cells: Cells) -> float:
    """Mean of an observed quantity over some cells."""
    chosen = {"region": list(cells.labels), "hour": slice(cells.start, cells.end)}
    values, clock = (
        market.history[q].sel(chosen).values("region", "hour") for q in (name, "hour_of_week")
    )
    inside = torch.isin(clock.long() % 24, torch.tensor(cells.counted_hours or range(24)))
    return float(values[inside].nanmean())


# Many worlds


def over_worlds(
    measure: Callable[[Spec], Any],
    specs: Sequence[Spec],
    *,
    processes: int = 2,
    keep: Callable[[Spec, Any], None] | None = None,
) -> list[Any]:
    """Results of ``measure`` by world, in the order of ``specs``; progress goes to stderr.

    Args:
        measure: a function at the top of a module, so that another process can find it.
        specs: the worlds.
        processes: worlds at a time; with 1 no process is started.
        keep: called with each result as it comes, so that a killed run leaves what it found.

    Raises:
        RuntimeError: a world failed; names which, after the others have been measured.
    """
    began = time.monotonic()
    results: dict[Spec, Any] = {}
    failures: list[str] = []

    def note(spec: Spec, result: Any) -> None:
        results[spec] = result
        if keep is not None:
            keep(spec, result)
        done = len(results) + len(failures)
        print(
            f"[{done}/{len(specs)}] {time.monotonic() - began:6.0f} s  {spec.name}",
            file=sys.stderr,
            flush=True,
        )

    def failed(spec: Spec, error: Exception) -> None:
        failures.append(f"{spec.name}: {error!r}")
        print(f"FAILED {spec.name}", file=sys.stderr)
        traceback.print_exception(error, file=sys.stderr)

    if processes == 1:
        for spec in specs:
            try:
                note(spec, measure(spec))
            except Exception as error:
                failed(spec, error)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            running = {pool.submit(measure, spec): spec for spec in specs}
            for future in as_completed(running):
                try:
                    note(running[future], future.result())
                except Exception as error:
                    failed(running[future], error)
    if failures:
        raise RuntimeError("some worlds could not be measured:\n  " + "\n  ".join(failures))
    return [results[spec] for spec in specs]


# The table


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        case: what was measured.
        target: the promise, as text.
        values: one per world.
        figure: what the promise is about, by default the median over worlds.
        held: whether it was kept; None where there is none to keep.
    """

    case: str
    target: str
    values: tuple[float, ...]
    figure: float
    held: bool | None

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean over worlds with its 95 % interval, by Student's t."""
        from scipy.stats import t as student

        mean = statistics.fmean(self.values)
        # A ratio to a true gain that is none is no number, and neither is its mean.
        if len(self.values) < 2 or not math.isfinite(mean):
            return mean, float("nan"), float("nan")
        error = statistics.stdev(self.values) / len(self.values) ** 0.5
        half = float(student.ppf(0.975, len(self.values) - 1)) * error
        return mean, mean - half, mean + half


def judged(
    case: str,
    values: Iterable[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    by: Callable[[Sequence[float]], float] = statistics.median,
    figure: str = "median",
) -> Row:
    """Judge one figure over worlds by bounds on it; a figure that is no number is missed.

    Args:
        case: what was measured.
        values: one per world.
        at_most: upper bound.
        at_least: lower bound.
        by: from the values to the figure that is judged.
        figure: what that figure is called.
    """
    kept = tuple(float(value) for value in values)
    found = float(by(kept))
    bounds, held = [], None
    if at_least is not None:
        bounds.append(f">= {at_least:g}")
        held = found >= at_least
    if at_most is not None:
        bounds.append(f"<= {at_most:g}")
        held = found <= at_most and held is not False
    return Row(case, f"{figure} {' and '.join(bounds)}" if bounds else "-", kept, found, held)


def report(title: str, rows: Sequence[Row]) -> int:
    """Print the table.

    Returns:
        Exit code: 1 if a target was missed, else 0.
    """
    lines = [
        ["measured over worlds", "target", "figure", "median", "mean [95 % interval]", "n", ""]
    ]
    for row in rows:
        mean, low, high = row.interval
        lines.append(
            [
                row.case,
                row.target,
                f"{row.figure:.3g}",
                f"{statistics.median(row.values):.3g}",
                f"{mean:.3g} [{low:.3g}, {high:.3g}]",
                str(len(row.values)),
                {True: "held", False: "MISSED", None: "-"}[row.held],
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    print(title)
    for line in lines:
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        print(f"  {text.rstrip()}")
    missed = [row.case for row in rows if row.held is False]
    count = sum(row.held is not None for row in rows)
    print(f"{count - len(missed)} of {count} targets held")
    for case in missed:
        print(f"missed: {case}", file=sys.stderr)
    return 1 if missed else 0


def options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """The options that the scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=defaults.get("seeds", 20), help="worlds")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first world")
    parser.add_argument("--regions", type=int, default=defaults.get("regions", 12))
    parser.add_argument("--weeks", type=int, default=defaults.get("weeks", 16))
    parser.add_argument("--processes", type=int, default=2, help="worlds at a time")
    parser.add_argument("--cache", type=Path, help="keep the worlds' projects in this folder")
    return parser


def specs_of(arguments: argparse.Namespace, scenario: Scenario) -> tuple[Spec, ...]:
    """The worlds that the options ask for."""
    first = Spec(
        arguments.first_seed,
        arguments.regions,
        arguments.weeks,
        tuple(scenario.items()),
        arguments.cache,
    )
    return tuple(replace(first, seed=first.seed + i) for i in range(arguments.seeds))
