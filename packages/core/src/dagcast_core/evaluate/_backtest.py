"""Rolling-origin backtests: what would have been forecast, beside what happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd
import torch

from dagcast_core.contract import nearest
from dagcast_core.evaluate._baselines import hour_of_week_mean, seasonal_naive
from dagcast_core.evaluate._grid import check_season
from dagcast_core.evaluate._measures import (
    TIME,
    ScaledError,
    absolute_errors,
    seasonal_scale,
    summarise,
)
from dagcast_core.evaluate._pool import map_panels
from dagcast_core.tensor import IndexTensor, Panel

_HOUR = pd.Timedelta(hours=1)


@final
@dataclass(frozen=True)
class BacktestRow:
    """Errors of one quantity over all origins, each scaled by the same training part.

    Attributes:
        quantity: name.
        mase: of the model; ratio of sums.
        seasonal_naive: of repeating the last season, on the same cells.
        hour_of_week_mean: of the mean of the last four seasons, on the same cells.
        mean_over_series: mean over series of the model's own ratios.
        series: number of series that count.
        excluded: series with a zero scale or without observations.
        error: mean absolute error of the model over all cells, in the quantity's own unit.
        naive_error: the same of repeating the last season.
    """

    quantity: str
    mase: float
    seasonal_naive: float
    hour_of_week_mean: float
    mean_over_series: float
    series: int
    excluded: int
    error: float = math.nan
    naive_error: float = math.nan

    @property
    def relative(self) -> float:
        """Error of the model over that of the seasonal naive forecast on the same cells."""
        return self.mase / self.seasonal_naive


@final
@dataclass(frozen=True)
class _Errors:
    """Absolute errors of one quantity, shape (origin, series, step), and the series' scales."""

    labels: tuple[tuple[Any, ...], ...]
    scales: torch.Tensor
    model: torch.Tensor
    naive: torch.Tensor
    mean: torch.Tensor

    def row(
        self,
        quantity: str,
        series: Any = slice(None),
        steps: Any = slice(None),
        origins: Any = slice(None),
    ) -> BacktestRow:
        picked = [
            summarise(
                errors[origins][:, series, steps].transpose(0, 1).flatten(1), self.scales[series]
            )
            for errors in (self.model, self.naive, self.mean)
        ]
        model: ScaledError = picked[0]
        return BacktestRow(
            quantity,
            model.ratio,
            picked[1].ratio,
            picked[2].ratio,
            model.mean,
            model.series,
            model.excluded,
            *(
                float(torch.nanmean(errors[origins][:, series, steps]))
                for errors in (self.model, self.naive)
            ),
        )


@final
@dataclass(frozen=True)
class BacktestReport:
    """What a backtest found.

    Attributes:
        rows: by quantity, over all series and steps.
        origins: first hours of the forecast windows.
        horizon: steps forecast from each origin.
        season: steps per cycle of the scale.
        forecasts: the forecasts themselves, by origin.
    """

    rows: tuple[BacktestRow, ...]
    origins: tuple[pd.Timestamp, ...]
    horizon: int
    season: int
    forecasts: Mapping[pd.Timestamp, Panel]
    _errors: Mapping[str, _Errors]

    def row(self, quantity: str) -> BacktestRow:
        """The errors of one quantity.

        Raises:
            KeyError: it was not backtested; names the nearest.
        """
        return self._of(quantity).row(quantity)

    def by_series(self, quantity: str) -> dict[Any, BacktestRow]:
        """Errors of each series of a quantity, by label where it has one dim beside time."""
        errors = self._of(quantity)
        return {
            label[0] if len(label) == 1 else label: errors.row(quantity, series=[position])
            for position, label in enumerate(errors.labels)
        }

    def by_day(self, quantity: str) -> tuple[BacktestRow, ...]:
        """Errors by day ahead, the first day first."""
        errors = self._of(quantity)
        return tuple(
            errors.row(quantity, steps=slice(first, first + 24))
            for first in range(0, self.horizon, 24)
        )

    def by_origin(self, quantity: str) -> tuple[BacktestRow, ...]:
        """Errors of each forecast window, in the order of ``origins``: observations to pair."""
        errors = self._of(quantity)
        return tuple(
            errors.row(quantity, origins=[position]) for position in range(len(self.origins))
        )

    def to_json(self) -> dict[str, Any]:
        """Figures as plain values, without the forecasts."""
        return {
            "horizon": self.horizon,
            "season": self.season,
            "origins": [origin.isoformat() for origin in self.origins],
            "rows": [asdict(row) for row in self.rows],
        }

    def _of(self, quantity: str) -> _Errors:
        if quantity not in self._errors:
            near = nearest(quantity, list(self._errors))
            raise KeyError(
                f"{quantity!r} was not backtested" + (f"; did you mean {near!r}?" if near else ".")
            )
        return self._errors[quantity]


def backtest(
    forecast: Callable[[pd.Timestamp], Panel],
    actual: Panel,
    *,
    origins: Sequence[pd.Timestamp],
    quantities: Sequence[str],
    horizon: int = 168,
    season: int = 168,
    folder: Path | None = None,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> BacktestReport:
    """Forecast from several origins and compare with what happened.

    ``forecast`` is given nothing but an origin: it reads history as of that moment, fits, and
    predicts conditional on the decisions that were taken. The scale of each series is the
    in-sample error of the seasonal naive forecast before the first origin, the same for the model
    and for both benchmarks.

    Args:
        forecast: makes the quantities over the ``horizon`` hours from an origin; picklable where
            ``workers`` exceeds 1.
        actual: what happened, from the first hour of history to the end of the last window.
        origins: first hours of the windows, UTC; see `rolling_origins`.
        quantities: names to compare; each in the forecasts and in ``actual``.
        horizon: hours forecast from each origin.
        season: steps per cycle, 168 for hours in a week.
        folder: where forecasts are kept, by origin; a killed run resumes from it.
        workers: processes.
        progress: called with each finished origin.

    Returns:
        Errors by quantity, series and day ahead, beside those of both benchmarks.

    Raises:
        KeyError: a quantity is missing in ``actual`` or in a forecast.
        AlignmentError: a forecast has other labels than what happened.
        ValueError: a window is not covered by ``actual`` hour by hour, no origin is given, or a
            season or horizon is shorter than a step.
    """
    if not origins:
        raise ValueError("a backtest needs at least one origin; see rolling_origins.")
    check_season(season)
    check_season(horizon, what="a horizon")
    ordered = sorted(pd.Timestamp(origin) for origin in origins)
    for quantity in quantities:
        _window(actual, quantity, ordered[-1], horizon)
    keys = {f"{origin:%Y%m%dT%H%MZ}": origin for origin in ordered}
    found = map_panels(forecast, keys, folder=folder, workers=workers, done=progress)
    forecasts = {origin: found[key] for key, origin in keys.items()}
    errors = {q: _compare(q, forecasts, actual, horizon, season) for q in quantities}
    rows = tuple(errors[q].row(q) for q in quantities)
    return BacktestReport(rows, tuple(ordered), horizon, season, forecasts, errors)


def rolling_origins(
    last: pd.Timestamp, *, count: int, horizon: int = 168, step: int = 168
) -> tuple[pd.Timestamp, ...]:
    """Origins ``step`` hours apart whose last window ends with the hour ``last``.

    Raises:
        ValueError: a number is not positive.
    """
    if min(count, horizon, step) < 1:
        raise ValueError("count, horizon and step of a backtest are at least 1.")
    newest = last - (horizon - 1) * _HOUR
    return tuple(newest - back * step * _HOUR for back in reversed(range(count)))


def _compare(
    quantity: str,
    forecasts: Mapping[pd.Timestamp, Panel],
    actual: Panel,
    horizon: int,
    season: int,
) -> _Errors:
    whole = actual[quantity]
    others = [dim for dim in whole.dims if dim != TIME]
    first = min(forecasts)
    train = whole.sel({TIME: slice(None, first - _HOUR)})
    model: list[torch.Tensor] = []
    naive: list[torch.Tensor] = []
    mean: list[torch.Tensor] = []
    for origin, panel in forecasts.items():
        happened = _window(actual, quantity, origin, horizon)
        if quantity not in panel:
            raise KeyError(
                f"the forecast from {origin:%Y-%m-%d %H:%M} has no {quantity!r}; it has "
                f"{', '.join(panel)}."
            )
        hours = pd.DatetimeIndex(happened.index(TIME))
        # A forecast may say more than was asked: other hours, and regions not observed.
        ours = panel[quantity].sel({TIME: hours})
        ours = ours.sel({dim: list(whole.index(dim)) for dim in others}) if others else ours
        before = whole.sel({TIME: slice(None, origin - _HOUR)})
        seasons = min(4, len(before.index(TIME)) // season)
        benchmark = (
            seasonal_naive(before, hours, season=season),
            hour_of_week_mean(before, hours, seasons=seasons, season=season),
        )
        error = absolute_errors(ours, happened).values(*others, TIME)
        model.append(error)
        for kept, guess in zip((naive, mean), benchmark, strict=True):
            observed = happened.values(*others, TIME)
            kept.append((guess.values(*others, TIME) - observed).abs())
    scale = seasonal_scale(train, season=season).values(*others)
    count = max(1, scale.numel())
    stacked = [
        torch.stack(each).reshape(len(each), count, horizon) for each in (model, naive, mean)
    ]
    labels = (
        tuple(pd.MultiIndex.from_product([whole.index(dim) for dim in others])) if others else ((),)
    )
    labels = tuple(label if isinstance(label, tuple) else (label,) for label in labels)
    return _Errors(labels, scale.reshape(count), *stacked)


def _window(actual: Panel, quantity: str, origin: pd.Timestamp, horizon: int) -> IndexTensor:
    if quantity not in actual:
        near = nearest(quantity, list(actual))
        hint = f"; did you mean {near!r}?" if near else "."
        raise KeyError(f"what happened does not include {quantity!r}{hint}")
    hours = pd.date_range(origin, periods=horizon, freq="h")
    known = actual[quantity].index(TIME)
    if hours[0] not in known or hours[-1] not in known:
        raise ValueError(
            f"the window from {hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M} UTC is not "
            f"covered by what happened, {known[0]:%Y-%m-%d %H:%M} to {known[-1]:%Y-%m-%d %H:%M}."
        )
    absent = hours[~hours.isin(known)]
    if len(absent):
        raise ValueError(
            f"the window from {hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M} UTC has a "
            f"gap in what happened of {quantity!r}: {len(absent)} of {horizon} hours are "
            f"absent, the first {absent[0]:%Y-%m-%d %H:%M}. Give every hour a label, NaN where "
            "nothing was observed, or choose other origins."
        )
    return actual[quantity].sel({TIME: slice(hours[0], hours[-1])})
