"""Backtests at rolling origins."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from dagcast_core.evaluate import backtest, rolling_origins, seasonal_naive
from dagcast_core.tensor import IndexTensor, Panel

DAY = 24
HOURS = pd.date_range("2025-01-06", periods=20 * DAY, freq="h", tz="UTC")


def truth(seed=0):
    """A daily cycle with noise; the second region is constant, so it has no scale."""
    noise = np.random.default_rng(seed).normal(size=len(HOURS))
    wave = 10 + 3 * np.sin(2 * np.pi * np.arange(len(HOURS)) / DAY)
    values = np.stack([wave + noise, np.full(len(HOURS), 5.0)])
    return Panel([IndexTensor(values, {"region": ["SFO", "EWR"], "hour": HOURS}, "rides")])


@dataclass(frozen=True)
class Repeat:
    """Repeats the last day, read as of the origin."""

    actual: Panel

    def __call__(self, origin):
        known = self.actual["rides"].sel(hour=slice(None, origin - pd.Timedelta(hours=1)))
        ahead = pd.date_range(origin, periods=2 * DAY, freq="h")
        return Panel([seasonal_naive(known, ahead, season=DAY)])


def origins(count=3):
    return rolling_origins(HOURS[-1], count=count, horizon=2 * DAY, step=DAY)


def test_repeating_the_last_season_scores_as_the_seasonal_naive_benchmark():
    """The model in the test is the benchmark, so both columns agree."""
    actual = truth()
    report = backtest(
        Repeat(actual), actual, origins=origins(), quantities=["rides"], horizon=48, season=DAY
    )
    row = report.row("rides")
    assert row.mase == row.seasonal_naive
    assert row.relative == 1
    assert row.hour_of_week_mean < row.seasonal_naive
    assert (row.series, row.excluded) == (1, 1)


def test_errors_by_series_and_day_add_up():
    """The headline is a ratio of sums, so equal parts average to it."""
    actual = truth()
    report = backtest(
        Repeat(actual), actual, origins=origins(), quantities=["rides"], horizon=48, season=DAY
    )
    assert report.by_series("rides")["SFO"].mase == pytest.approx(report.row("rides").mase)
    days = [row.mase for row in report.by_day("rides")]
    assert len(days) == 2
    assert np.mean(days) == pytest.approx(report.row("rides").mase)
    weeks = [row.mase for row in report.by_origin("rides")]
    assert len(weeks) == len(report.origins) > 1
    assert np.mean(weeks) == pytest.approx(report.row("rides").mase)
    assert len(set(weeks)) > 1


def test_backtest_is_worse_for_a_worse_forecast():
    """The report is fed a wrong answer once."""
    actual = truth()

    def shifted(origin):
        return Repeat(actual)(origin).map(lambda tensor: tensor + 5.0)

    options = {"origins": origins(), "quantities": ["rides"], "horizon": 48, "season": DAY}
    good = backtest(Repeat(actual), actual, **options).row("rides").mase
    assert backtest(shifted, actual, **options).row("rides").mase > 2 * good


def test_backtest_resumes_from_finished_origins(tmp_path):
    """A second run reads what the first wrote and computes nothing."""
    actual = truth()
    options = {"origins": origins(), "quantities": ["rides"], "horizon": 48, "season": DAY}
    first = backtest(Repeat(actual), actual, folder=tmp_path, **options)

    def refuse(origin):
        raise AssertionError("computed again")

    again = backtest(refuse, actual, folder=tmp_path, **options)
    assert again.rows == first.rows


def test_unknown_quantity_names_the_nearest():
    """A misspelt name is refused before anything is fitted."""
    with pytest.raises(KeyError, match="did you mean 'rides'"):
        backtest(Repeat(truth()), truth(), origins=origins(), quantities=["ride"], horizon=48)


def test_uncovered_window_is_refused():
    """An origin too late for what happened."""
    with pytest.raises(ValueError, match="not covered by what happened"):
        backtest(Repeat(truth()), truth(), origins=[HOURS[-5]], quantities=["rides"], horizon=48)


def test_origins_end_with_the_last_hour():
    """Whole windows, the oldest first."""
    found = rolling_origins(HOURS[-1], count=2, horizon=48, step=24)
    assert found == (HOURS[-72], HOURS[-48])
