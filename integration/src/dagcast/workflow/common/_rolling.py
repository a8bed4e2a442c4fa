"""Forecasts of past horizons, each by models that knew nothing later."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import ProjectError, UsageError
from dagcast.figures import counted
from dagcast.project import Project
from dagcast.workflow.common._fits import fit_collection
from dagcast.workflow.common._horizon import (
    at_origin,
    known_metrics,
    read_context,
    require_metrics,
)
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._shown import shown_quantities

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestReport
    from dagcast_core.tensor import Panel


def run_backtest(
    session: Session,
    *,
    quantities: tuple[str, ...] | None = None,
    progress: Progress = silent,
) -> "BacktestReport":
    """The backtest itself, for this session's models."""
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
    forecast = _Forecast(
        session.project,
        tuple(known_metrics(session.store, made)),
        tuple(session.serving.items()),
    )
    with session.project.scratch("backtest") as temporary:
        return run(
            forecast,
            actual,
            origins=origins,
            quantities=names,
            horizon=settings.horizon_hours,
            folder=temporary / "forecasts",
            workers=min(settings.workers, len(origins)),
            progress=done,
        )


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
class _Forecast:
    """What would have been forecast from an origin; it travels to worker processes.

    Attributes:
        project: whose store is read.
        names: quantities to forecast.
        serving: which distribution serves a quantity.
    """

    project: Project
    names: tuple[str, ...]
    serving: tuple[tuple[str, str], ...]

    def __call__(self, origin: pd.Timestamp) -> "Panel":
        session = open_session(self.project, serving=dict(self.serving))
        hours = self.project.config.backtest.horizon_hours
        past = at_origin(session.times, origin, hours, session.weeks)
        # Every origin starts from scratch: a fit that knows later weeks would be no fair start.
        model, _ = fit_collection(session, past)
        return predicted(session, model, past).select(*self.names)


def predicted(session: Session, model: Any, past: Any) -> "Panel":
    """Forecast of a past horizon, given the decisions that were taken in it."""
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
    return panel
