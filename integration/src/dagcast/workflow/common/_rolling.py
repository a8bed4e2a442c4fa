"""Forecasts of past horizons, each by models that knew nothing later."""

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

import pandas as pd

from dagcast._whole import staged
from dagcast.errors import ProjectError, UsageError
from dagcast.figures import counted
from dagcast.project import Project
from dagcast.workflow.common._fits import MODEL, fit_collection
from dagcast.workflow.common._horizon import (
    Moments,
    at_origin,
    known_metrics,
    observed_span,
    read_context,
    require_metrics,
)
from dagcast.workflow.common._newness import inputs_at
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._shown import shown_quantities

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestReport
    from dagcast_core.model import ModelCollection
    from dagcast_core.tensor import Panel


# Models of past origins in reports/, each named for its origin and for what it follows from.
FITTED = ".backtest"


def run_backtest(
    session: Session,
    *,
    quantities: tuple[str, ...] | None = None,
    reuse: bool = False,
    beside: frozenset[str] = frozenset(),
    progress: Progress = silent,
) -> "BacktestReport":
    """The backtest itself, for this session's models.

    Args:
        session: the project's models and data.
        quantities: to judge; those of the settings by default.
        reuse: whether the models of past origins are kept beside the reports, and those taken that
            were fitted there to the same. Each origin then has the history that it had in its own
            week, so that of a window that moved on by a week only the newest is fitted.
        beside: kept models that stay although this backtest has no use for them.
        progress: told which origin is done.
    """
    from dagcast_core.evaluate import backtest as run

    settings = session.project.config.backtest
    names = quantities or session.judged
    if not names:
        raise UsageError(
            "a quantity to backtest that a model makes and the store observes",
            "none among [display] first, objective and limits",
            "Name some in [backtest] quantities of dagcast.toml.",
        )
    require_metrics(session.store, names, what="quantities to backtest, out of those")
    times = session.times
    origins = origins_of(session, horizon=settings.horizon_hours)
    actual = session.store.read(list(names), start=times.first, end=times.last, as_of=times.as_of)
    finished = 0

    def done(key: str) -> None:
        nonlocal finished
        finished += 1
        progress(f"backtest, {finished} of {len(origins)} origins", finished / len(origins))

    progress(f"backtest, {counted(len(origins), 'origin')}", 0.0)
    # Beside what is judged, whatever is observed of what plans show: its errors are their chance.
    made = (*names, *(q.name for q in shown_quantities(session)))
    forecast = OriginForecast(session.project, tuple(known_metrics(session.store, made)), reuse)
    workers = min(settings.workers, len(origins))
    if reuse:
        wanted = _kept(forecast, session, origins)
        _forget(session.project.reports / FITTED, {path.name for path in wanted} | beside)
        if sum(not path.is_dir() for path in wanted) <= 1:
            # Another process would take longer to begin than what there is to do.
            workers = 1
    with session.project.scratch("backtest") as folder:
        return run(
            forecast,
            actual,
            origins=origins,
            quantities=names,
            horizon=settings.horizon_hours,
            folder=folder / "forecasts",
            workers=workers,
            progress=done,
        )


def kept_models(session: Session) -> frozenset[str]:
    """Names of the models that a backtest of this session's models keeps, made or not yet."""
    origins = origins_of(session, horizon=session.project.config.backtest.horizon_hours)
    forecast = OriginForecast(session.project, (), reuse=True)
    return frozenset(path.name for path in _kept(forecast, session, origins))


def _kept(
    forecast: "OriginForecast", session: Session, origins: Iterable[pd.Timestamp]
) -> list[Path]:
    return [forecast.fitted(session, forecast.times(session, origin)) for origin in origins]


def origins_of(session: Session, *, horizon: int) -> tuple[pd.Timestamp, ...]:
    """First hours of the past windows that the settings ask for, each ``horizon`` hours long.

    Raises:
        ProjectError: there are less than three weeks of history before the first of them.
    """
    from dagcast_core.evaluate import rolling_origins

    settings, times = session.project.config.backtest, session.times
    origins = rolling_origins(
        times.last, count=settings.origins, horizon=horizon, step=settings.step_hours
    )
    if origins[0] - times.first < pd.Timedelta(weeks=3):
        raise ProjectError(
            f"3 weeks of history before the first of {settings.origins} origins",
            f"{(origins[0] - times.first) / pd.Timedelta(weeks=1):.1f} weeks, from "
            f"{times.first:%Y-%m-%d} to {origins[0]:%Y-%m-%d}",
            "Set fewer origins in [backtest], or ingest more history.",
        )
    return origins


@final
@dataclass(frozen=True)
class OriginForecast:
    """What would have been forecast from an origin; it travels to worker processes.

    Attributes:
        project: whose store is read.
        names: quantities to forecast.
        reuse: whether fitted models are kept. An origin then has the history that it had
            in its own week, rather than what lies in the present window.
    """

    project: Project
    names: tuple[str, ...]
    reuse: bool = False

    def __call__(self, origin: pd.Timestamp) -> "Panel":
        session = open_session(self.project)
        past = self.times(session, origin)
        return predicted(session, self.model(session, past), past).select(*self.names)

    def model(self, session: Session, past: Moments) -> "ModelCollection":
        """The models of a past round, fitted on what was known by then, or as they are kept."""
        kept = self.fitted(session, past)
        if self.reuse and kept.is_dir():
            from dagcast_core.model import ModelError, load_model

            with contextlib.suppress(ModelError, OSError, ValueError):
                model = load_model(kept / MODEL, lambda _: session.build())
                return cast("ModelCollection", model)
        # Every origin starts from scratch: a fit that knows later weeks would be no fair start.
        model, _ = fit_collection(session, past)
        if self.reuse and not kept.exists():
            from dagcast_core.model import save_model

            kept.parent.mkdir(exist_ok=True)
            self.project.require_inside(kept)
            with staged(kept) as folder:
                save_model(model, folder / MODEL)
        return model

    def fitted(self, session: Session, past: Moments) -> Path:
        """Where the model of a past round is kept; named for all that it follows from."""
        name = f"{past.start:%Y%m%dT%H%MZ}-{inputs_at(session, past) if self.reuse else ''}"
        return self.project.reports / FITTED / name

    def times(self, session: Session, origin: pd.Timestamp) -> Moments:
        """The times of the past round that begins at an origin."""
        times, hours = session.times, self.project.config.backtest.horizon_hours
        if self.reuse:
            begin = observed_span(self.project, session.store).start
            times = replace(times, first=min(times.first, begin))
        return at_origin(times, origin, hours, session.weeks)


def predicted(
    session: Session, model: Any, past: Moments, *, alone: tuple[str, ...] = ()
) -> "Panel":
    """Forecast of a past horizon, given the decisions that were taken in it.

    Args:
        session: the project's models and data.
        model: a fitted collection.
        past: the times of the past round.
        alone: members that read what happened, as far as that was observed, instead of what the
            others forecast.
    """
    import torch

    context, _ = read_context(
        session.store,
        past,
        session.external_names,
        decided=tuple(session.decided),
        clocks=session.clocks,
    )
    with torch.no_grad():
        panel: Panel = model.predict(context)
        if not alone:
            return panel
        names = known_metrics(session.store, tuple(panel))
        happened = session.store.read(
            list(names), start=past.start, end=past.end, as_of=session.times.as_of
        )
        seen = {
            # A missing cell is no input.
            name: values.where(~values.isnan(), panel[name]).named(name)
            for name, values in happened.items()
        }
        return cast("Panel", model.predict(context.assign(seen), isolated=alone))


def _forget(folder: Path, wanted: set[str]) -> None:
    """Remove models of past origins that nobody will ask for again."""
    for path in folder.glob("[!.]*"):
        if path.name not in wanted:
            shutil.rmtree(path)
