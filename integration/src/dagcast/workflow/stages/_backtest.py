"""Stage 6: would the models have forecast the past?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._whole import write_text
from dagcast.figures import counted, number
from dagcast.project import Project
from dagcast.workflow.common._chances import keep_forecasts
from dagcast.workflow.common._ranges import forecast_ranges, refused
from dagcast.workflow.common._result import Progress, Result, ResultTable, plain, silent
from dagcast.workflow.common._rolling import run_backtest
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestRow

REPORT = "backtest.json"


@final
@dataclass(frozen=True)
class BacktestResult(Result):
    """Errors of one-horizon-ahead forecasts of the past.

    Attributes:
        folder: the project.
        origins: first hours of the windows.
        horizon: hours forecast from each.
        rows: by quantity, with both benchmarks on the same cells.
        by_series: quantity -> label, of the dims beside time -> MASE.
        by_day: quantity -> MASE of the first day ahead, the second, ...
        units: of the quantities, and so of their errors.
        refused: forecasts that no good model makes, in words; empty where there are none.
        by_origin: quantity -> MASE of each window, in the order of ``origins``.
    """

    folder: Path
    origins: tuple[str, ...]
    horizon: int
    rows: "tuple[BacktestRow, ...]"
    by_series: Mapping[str, Mapping[str, float]]
    by_day: Mapping[str, tuple[float, ...]]
    units: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    by_origin: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def tables(self) -> tuple[ResultTable, ...]:
        columns = (
            "quantity",
            "MASE",
            "seasonal naive",
            "4-week mean",
            "vs naive",
            "series",
            "mean error",
            "naive error",
            "unit",
        )
        rows = tuple(
            (
                row.quantity,
                number(row.mase),
                number(row.seasonal_naive),
                number(row.hour_of_week_mean),
                f"{row.relative:.2f}",
                str(row.series),
                number(row.error),
                number(row.naive_error),
                self.units.get(row.quantity, ""),
            )
            for row in self.rows
        )
        note = (
            f"{counted(len(self.origins), 'origin')} from {self.origins[0][:10]} to "
            f"{self.origins[-1][:10]}, {self.horizon} hours ahead; each fitted only on what was "
            "known by then"
        )
        texts = tuple((f"{text}.",) for text in self.refused)
        head = (ResultTable("Forecasts that no good model makes", (), texts),) if texts else ()
        return (*head, ResultTable("Backtest", columns, rows, note))

    def exit_code(self) -> int:
        return 3 if self.refused else 0

    def next_command(self) -> str:
        return f"dagcast plan --project {self.folder}"


def backtest(
    project: Project,
    *,
    quantities: tuple[str, ...] | None = None,
    reuse: bool = False,
    progress: Progress = silent,
) -> BacktestResult:
    """Refit at rolling origins on what was known by then, and compare the forecasts.

    Args:
        project: with ingested events.
        quantities: to compare; those of the settings by default.
        reuse: whether forecasts that an earlier such backtest made from the same inputs are taken:
            a week later only the newest origin is then forecast.
        progress: told which origin is done.

    Raises:
        UsageError: a quantity is misspelt.
        ProjectError: the history is too short for the origins.
    """
    session = open_session(project)
    report = run_backtest(session, quantities=quantities, reuse=reuse, progress=progress)
    names = [row.quantity for row in report.rows]
    quantities_by_name = {item.name: item for item in session.quantities}
    times = session.times
    actual = session.store.read(names, start=times.first, end=times.last, as_of=times.as_of)
    ranges = forecast_ranges(report.forecasts.values(), actual, quantities_by_name)
    titles = {name: item.heading for name, item in quantities_by_name.items()}
    result = BacktestResult(
        project.folder,
        tuple(origin.isoformat() for origin in report.origins),
        report.horizon,
        report.rows,
        {q: {str(k): row.mase for k, row in report.by_series(q).items()} for q in names},
        {q: tuple(row.mase for row in report.by_day(q)) for q in names},
        {q: quantities_by_name[q].unit for q in names},
        refused(ranges, titles),
        {q: tuple(row.mase for row in report.by_origin(q)) for q in names},
    )
    keep_forecasts(project, report.forecasts)
    write_text(project.reports / REPORT, json.dumps(plain(result), indent=1))
    details: dict[str, Any] = {row.quantity: round(row.mase, 4) for row in report.rows}
    if result.refused:
        details["refused"] = "; ".join(result.refused)
    project.record("backtested", details=details)
    return result
