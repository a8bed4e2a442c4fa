"""Errors of past weeks behind the chance in a forecast: those of the fit, and of the backtest."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dagcast._whole import write_bytes
from dagcast.errors import ProjectError
from dagcast.plans import Axes, Chance, arrays, errors_of
from dagcast.project import Project
from dagcast.workflow.common._horizon import HOUR, known_metrics
from dagcast.workflow.common._problem import Setting
from dagcast.workflow.common._shown import shown_quantities

if TYPE_CHECKING:
    import numpy.typing as npt

    from dagcast_core.contract import Quantity
    from dagcast_core.model import ModelCollection
    from dagcast_core.tensor import Panel

# Forecasts of past weeks in reports/, one row per origin, quantity and cell.
FORECASTS = "backtest.parquet"
_MOST_WEEKS = 26
_WEEK = pd.Timedelta(weeks=1)


def keep_forecasts(project: Project, forecasts: "Mapping[pd.Timestamp, Panel]") -> None:
    """Put the forecasts of past weeks beside the reports, in place of earlier ones."""
    parts = [
        tensor.to_long("value").assign(origin=origin, quantity=name)
        for origin, panel in forecasts.items()
        for name, tensor in panel.items()
    ]
    content = io.BytesIO()
    pd.concat(parts, ignore_index=True).to_parquet(content, index=False)
    write_bytes(project.reports / FORECASTS, content.getvalue())


def chance_of(setting: Setting, model: "ModelCollection") -> Chance:
    """What chance adds to a forecast of the round's hours.

    Weeks of the fit's history give how hours scatter; forecasts of the backtest, where it was run,
    give how whole weeks err and how much more hours scatter out of sample. Only forecasts of hours
    before the round count, and only hours of the same place in the week.
    """
    quantities = {item.name: item for item in shown_quantities(setting.session)}
    observed = {
        name: quantities[name] for name in known_metrics(setting.session.store, list(quantities))
    }
    fitted = _fitted(setting, model, observed)
    forecast = _forecast(setting, observed)
    errors = {}
    for name, quantity in observed.items():
        actual, expected = fitted[name]
        tested = forecast.get(name)
        if len(actual) and (found := errors_of(quantity, (actual, expected), tested)) is not None:
            errors[name] = found
    tested_by = min((len(pair[0]) for pair in forecast.values()), default=0)
    return Chance(errors, tested_by)


def _fitted(
    setting: Setting, model: "ModelCollection", observed: "dict[str, Quantity]"
) -> "dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]":
    """Actual and fitted values of whole past weeks, (weeks, rows, hours)."""
    import torch

    session, times = setting.session, setting.times
    history = session.history(times)
    with torch.no_grad():
        expected = model.predict(history)
    starts: list[pd.Timestamp] = []
    start = _last_start(setting)
    while start >= times.first and len(starts) < _MOST_WEEKS:
        starts.append(start)
        start -= _WEEK
    return _stacked(setting, observed, [(history, expected, first) for first in starts])


def _forecast(
    setting: Setting, observed: "dict[str, Quantity]"
) -> "dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]":
    """The same of forecasts that knew nothing of their weeks, (origins, rows, hours)."""
    from dagcast_core.tensor import IndexTensor, Panel

    session, times = setting.session, setting.times
    path = session.project.reports / FORECASTS
    if not path.is_file():
        return {}
    parts = []
    forecasts = _read(path)
    for start in pd.DatetimeIndex(forecasts["origin"].unique()).as_unit("us"):
        frame = forecasts[forecasts["origin"] == start]
        end = start + len(times.hours) * HOUR - HOUR
        aligned = (times.start - start) % _WEEK == pd.Timedelta(0)
        if not aligned or start < times.first or end > times.last:
            continue
        found = {str(name): rows for name, rows in frame.groupby("quantity")}
        if set(observed) <= set(found) and frame["hour"].max() >= end:
            dims = {name: list(quantity.dim_names) for name, quantity in observed.items()}
            panel = Panel(
                [IndexTensor.from_long(found[n], dims[n], "value").named(n) for n in observed]
            )
            parts.append((start, panel))
    if not parts:
        return {}
    last = max(origin for origin, _ in parts) + len(times.hours) * HOUR - HOUR
    actual = session.store.read(list(observed), start=parts[0][0], end=last, as_of=times.as_of)
    return _stacked(setting, observed, [(actual, panel, origin) for origin, panel in parts])


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # the reader has errors of its own for a damaged file
        reason = (str(error).splitlines() or [""])[0]
        raise ProjectError(
            f"the forecasts of past weeks in {path}",
            f"{type(error).__name__}: {reason}",
            "Run `dagcast backtest` again.",
        ) from error


def _last_start(setting: Setting) -> pd.Timestamp:
    """First hour of the last whole horizon in the history, at the horizon's place in the week."""
    times = setting.times
    latest = times.last + HOUR - len(times.hours) * HOUR
    return times.start - _WEEK * -(-(times.start - latest) // _WEEK)


def _stacked(
    setting: Setting,
    observed: "dict[str, Quantity]",
    blocks: "list[tuple[Panel, Panel, pd.Timestamp]]",
) -> "dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]":
    count = len(setting.times.hours)
    pairs: dict[str, tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]] = {
        name: ([], []) for name in observed
    }
    for actual, expected, first in blocks:
        hours = pd.date_range(first, periods=count, freq="h", unit="us")
        axes: Axes = replace(setting.axes, hours=hours)
        happened, said = arrays(actual, observed, axes), arrays(expected, observed, axes)
        for name, (left, right) in pairs.items():
            left.append(happened[name])
            right.append(said[name])
    return {name: (np.array(left), np.array(right)) for name, (left, right) in pairs.items()}
