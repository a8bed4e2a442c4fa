"""A forecast of the horizon, in one step: what no model was fitted for yet is fitted first."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from dagcast._whole import write_text
from dagcast.errors import ProjectError
from dagcast.figures import number
from dagcast.project import Project
from dagcast.questions import open_fit
from dagcast.usual import USUAL
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.stages._fit import fit

if TYPE_CHECKING:
    import pandas as pd

FILE = "forecast.csv"


@final
@dataclass(frozen=True)
class ForecastResult(Result):
    """What is likely to happen over the horizon.

    Attributes:
        folder: the project.
        fit: that it comes from.
        file: every quantity, label and hour, with mean and quantiles.
        rows: quantity, label, unit, and over the horizon the mean of the hours, the lowest and the
            highest of the intervals.
        aside: models that stand aside.
        frame: what the file holds.
        usual: quantities forecast by what is usual at the hour of the week.
    """

    folder: Path
    fit: str
    file: Path
    rows: tuple[tuple[str, str, str, float, float, float], ...]
    aside: tuple[str, ...]
    frame: "pd.DataFrame" = field(metadata={"json": False}, repr=False)
    usual: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (name, label, *(number(value) for value in values), unit)
            for name, label, unit, *values in self.rows
        )
        columns = ("quantity", "label", "mean of the hours", "least, 5 %", "greatest, 95 %", "unit")
        note = f"{self.fit}; hour by hour in {self.file}"
        tables = [ResultTable("Forecast", columns, rows, note)]
        if self.usual:
            names = (f"{', '.join(self.usual)}: what is usual at the hour of the week",)
            note = "no cause is known to it, so no lever moves it and no plan counts it"
            rows = (names, (note,))
            tables.append(ResultTable("Forecast without a model of causes", (), rows))
        if self.aside:
            note = "`dagcast check` says what they lack"
            aside = tuple((name,) for name in self.aside)
            tables.append(ResultTable("Not forecast, for want of data", (), aside, note))
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast backtest --project {self.folder}"


def forecast(
    project: Project, *, quantities: tuple[str, ...] = (), progress: Progress = silent
) -> ForecastResult:
    """Forecast the horizon by the newest fit; where there is none, fit first.

    Args:
        project: with ingested data.
        quantities: outputs to forecast; by default those that the store observes.
        progress: told what is going on.

    Raises:
        ProjectError: nothing was ingested.
        UsageError: no model makes a quantity.
    """
    try:
        opened = open_fit(project)
    except ProjectError:
        if list(project.journal.fits()):
            raise
        fit(project, progress=progress)
        opened = open_fit(project)
    session = opened._setting.session
    held = session.store.metrics()
    made = {item.name for item in opened.model.contract.outputs if item.time_dim}
    wanted = quantities or tuple(name for name in session.names if name in made and name in held)
    progress("forecasting", None)
    frame = opened.forecast_frame(wanted)
    file = project.reports / FILE
    write_text(file, frame.to_csv(index=False))
    dims = [name for name in frame.columns if name not in ("quantity", "hour", "unit", "mean")]
    dims = [name for name in dims if not name.startswith("q0.")]
    rows: list[tuple[str, str, str, float, float, float]] = []
    for key, part in frame.groupby(["quantity", *dims], sort=False, dropna=False):
        labels = ", ".join(str(label) for label in key[1:] if isinstance(label, str))
        low, high = float(part["q0.05"].min()), float(part["q0.95"].max())
        rows.append(
            (str(key[0]), labels, str(part["unit"].iloc[0]), float(part["mean"].mean()), low, high)
        )
    aside = tuple(item.model for item in session.aside)
    usual = tuple(
        name
        for item in session.assembly.registrations
        if item.entry_point == USUAL
        for name in item.contract.output_names
        if name in wanted
    )
    return ForecastResult(project.folder, opened.name, file, tuple(rows), aside, frame, usual)
