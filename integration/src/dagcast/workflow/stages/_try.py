"""Trying a changed model: seconds from a saved line to whether it is better."""

import importlib.util
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagcast.conformance import check_conformance
from dagcast.errors import UsageError
from dagcast.figures import counted
from dagcast.project import Project
from dagcast.workflow.common._horizon import known_metrics
from dagcast.workflow.common._paired import paired_errors
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._rolling import origins_of
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._tried import ALONE, AloneFit, key_of, others_digest
from dagcast.workflow.common._try_result import (
    CHANGED,
    MovedParameter,
    TriedExperiment,
    TryResult,
)
from dagcast_core.contract import Registration, nearest

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestReport
    from dagcast_core.tensor import Panel

# Below the reports: models in force, by model and by what the others' fits follow from.
FOLDER = ".try"
_OTHERS, _FORECASTS, _NOTES = "others", "forecasts", "notes"
# Parameters shown, those that moved most.
_SHOWN = 8
_ROUNDING = 1e-9


def try_(
    project: Project,
    model: str,
    *,
    downstream: bool = False,
    keep: bool = False,
    conformance: bool = True,
    progress: Progress = silent,
) -> TryResult:
    """Fit one model alone at past origins, and compare it with the one in force.

    The other models' fits are kept, by all that they follow from, so that of a change nothing but
    the changed model is computed. The first time there is nothing to compare with: what is
    installed then is kept as the model in force. So it is after new data were ingested or another
    package changed, since errors on other data, and with other inputs, tell nothing of a change.

    Args:
        project: with ingested events.
        model: name of the model at work, or of a distribution for all of its models; what else
            its package holds has to be as it was.
        downstream: fit the models that read of it, directly or not, as well.
        keep: take what is installed now as the model in force from now on.
        conformance: run the tests of the model contract on the model's package, meanwhile.
        progress: told which origin is done.

    Raises:
        UsageError: there is no such model, or nothing that follows from it is observed.
        ProjectError: the history is too short for the origins.
    """
    from dagcast_core.tensor import Panel

    session = open_session(project)
    items = _registered(session, model)
    models = tuple(item.model for item in items)
    after = _following(session, models)
    origins = origins_of(session, horizon=project.config.backtest.horizon_hours)
    package = items[0]
    # Settings of a package's models stand under their own names, or under the entry point's.
    besides = (package.distribution, *models, *{item.entry_point for item in items})
    digest = others_digest(session, origins, besides)
    home = project.reports / FOLDER / model / f"{digest}{'-downstream' * downstream}"
    task = AloneFit(
        project,
        models,
        (*models, *after) if downstream else models,
        _judged(session, (*models, *after)),
        home / _OTHERS,
        home / _NOTES,
    )
    kept = keep or not home.is_dir()
    experiments: tuple[TriedExperiment, ...] = ()
    parameters: tuple[MovedParameter, ...] = ()
    # The tests take a process of their own, and the fits this one.
    with ThreadPoolExecutor(1) as beside:
        testing = beside.submit(check_conformance, [package.distribution]) if conformance else None
        if kept:
            force = now = _keep(task, origins, home, progress)
        else:
            force = {o: Panel.load(home / _FORECASTS / key_of(o)) for o in origins}
            with project.scratch("try") as folder:
                changed = replace(task, notes=folder / _NOTES)
                now = _run(changed, origins, folder / _FORECASTS, progress)
                notes = [_note(at, origins[-1]) for at in (task.notes, changed.notes)]
            experiments, parameters = _experiments(*notes), _moved(*notes)
        tested = testing.result() if testing is not None else ()
    before, current = (_judge(session, panels, task.quantities) for panels in (force, now))
    settings = project.config.backtest
    apart = settings.step_hours >= settings.horizon_hours
    names = [row.quantity for row in before.rows]
    result = TryResult(
        project.folder,
        model,
        package.distribution,
        task.refitted,
        tuple(origin.isoformat() for origin in origins),
        kept,
        {name: (before.row(name).mase, current.row(name).mase) for name in names},
        ()
        if kept
        else tuple(paired_errors(CHANGED, name, current, before, apart) for name in names),
        experiments,
        parameters,
        tested,
    )
    verdicts = {pair.quantity: pair.verdict for pair in result.pairs}
    project.record("tried", details={"model": model, **(verdicts or {"kept": True})})
    return result


def package_folder(project: Project, model: str) -> Path:
    """Where the source of a model's package lies.

    Raises:
        UsageError: there is no such model.
    """
    session = open_session(project)
    module = next(
        p.package for p in session.plugins.of(_registered(session, model)[0].distribution)
    )
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _registered(session: Session, name: str) -> tuple[Registration, ...]:
    """The model of a name, or all models of the distribution of that name."""
    items = session.assembly.registrations
    found = tuple(item for item in items if item.model == name)
    found = found or tuple(item for item in items if item.distribution == name)
    if not found:
        known = dict.fromkeys((*(i.model for i in items), *(i.distribution for i in items)))
        near = nearest(name, known)
        raise UsageError(
            f"a model or a package of this project ({', '.join(known)})",
            repr(name),
            f"Did you mean {near!r}?" if near else "Correct the name.",
        )
    return found


def _following(session: Session, models: Sequence[str]) -> tuple[str, ...]:
    """Models that read of some, directly or not, in their order."""
    contracts = {item.model: item.contract for item in session.assembly.registrations}
    reached, grown = set(models), True
    while grown:
        made = {name for item in reached for name in contracts[item].output_names}
        reading = {name for name, c in contracts.items() if made & set(c.input_names)}
        grown = not reading <= reached
        reached |= reading
    return tuple(name for name in contracts if name in reached and name not in models)


def _judged(session: Session, models: Sequence[str]) -> tuple[str, ...]:
    """What some models make and the store observes."""
    contracts = {item.model: item.contract for item in session.assembly.registrations}
    made = [name for model in models for name in contracts[model].output_names]
    found = tuple(known_metrics(session.store, made))
    if not found:
        raise UsageError(
            f"an observed quantity that {models[0]} makes, or that follows from what it makes",
            f"none of {', '.join(made)} in the store",
            "Ingest one, or judge the model by experiments: dagcast validate.",
        )
    return found


def _keep(
    task: AloneFit, origins: Sequence[pd.Timestamp], home: Path, progress: Progress
) -> "dict[pd.Timestamp, Panel]":
    """Keep a model as the one in force, and forget those that nothing can be compared with now."""
    with task.project.scratch("try") as folder:
        whole = folder / "whole"
        made = replace(task, others=whole / _OTHERS, notes=whole / _NOTES)
        if task.others.is_dir():
            shutil.copytree(task.others, made.others)
        found = _run(made, origins, whole / _FORECASTS, progress)
        for earlier in home.parent.glob("[!.]*"):
            if earlier.name.partition("-")[0] != home.name.partition("-")[0]:
                shutil.rmtree(earlier)
        if home.exists():
            shutil.rmtree(home)
        home.parent.mkdir(parents=True, exist_ok=True)
        whole.rename(home)
    return found


def _run(
    task: AloneFit, origins: Sequence[pd.Timestamp], folder: Path, progress: Progress
) -> "dict[pd.Timestamp, Panel]":
    from dagcast_core.evaluate import map_panels

    finished = 0

    def done(key: str) -> None:
        nonlocal finished
        finished += 1
        progress(
            f"trying, {finished} of {counted(len(origins), 'origin')}", finished / len(origins)
        )

    progress(f"trying, {counted(len(origins), 'origin')}", 0.0)
    workers = min(task.project.config.backtest.workers, len(origins))
    if task.others.is_dir():
        # A model alone is fitted in less time than another process takes to begin.
        workers = 1
    keys = {key_of(origin): origin for origin in origins}
    found = map_panels(task, keys, folder=folder, workers=workers, done=done)
    return {origin: found[key] for key, origin in keys.items()}


def _judge(
    session: Session, panels: "Mapping[pd.Timestamp, Panel]", quantities: Sequence[str]
) -> "BacktestReport":
    """Errors of forecasts, of the whole and of the model alone, by the measures of a backtest."""
    from dagcast_core.evaluate import backtest

    times, hours = session.times, session.project.config.backtest.horizon_hours
    actual = session.store.read(
        list(quantities), start=times.first, end=times.last, as_of=times.as_of
    )
    alone = {ALONE.format(name): actual[name].named(ALONE.format(name)) for name in quantities}
    forecast = next(iter(panels.values()))
    return backtest(
        panels.__getitem__,
        actual.assign(alone),
        origins=list(panels),
        quantities=list(forecast),
        horizon=hours,
    )


def _note(folder: Path, origin: pd.Timestamp) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{key_of(origin)}.json").read_text())
    return found


def _experiments(before: dict[str, Any], after: dict[str, Any]) -> tuple[TriedExperiment, ...]:
    now = {item["experiment"]: item for item in after["experiments"]}
    return tuple(
        TriedExperiment(
            item["experiment"],
            item["measured"],
            item["standard_error"],
            item["modelled"],
            now[item["experiment"]]["modelled"],
            item["z"],
            now[item["experiment"]]["z"],
        )
        for item in before["experiments"]
        if item["experiment"] in now
    )


def _moved(before: dict[str, Any], after: dict[str, Any]) -> tuple[MovedParameter, ...]:
    """What moved most, in units of how much each parameter varies over its labels."""
    found: list[tuple[float, MovedParameter]] = []
    was, now = before["parameters"], after["parameters"]
    for name in dict.fromkeys((*was, *now)):
        old, new = was.get(name, {}), now.get(name, {})
        shared = [label for label in old if label in new]
        if not shared:
            label = next(iter(old or new), "")
            item = MovedParameter(name, label, old.get(label), new.get(label))
            found.append((math.inf, item))
            continue
        label = max(shared, key=lambda key: abs(new[key] - old[key]))
        size = max(map(abs, old.values())) or 1.0
        moved = abs(new[label] - old[label]) / size
        if moved > _ROUNDING:
            found.append((moved, MovedParameter(name, label, old[label], new[label])))
    found.sort(key=lambda pair: -pair[0])
    return tuple(item for _, item in found[:_SHOWN])
