"""A fit or backtest that predicts what never was is not called good, in the quantity's unit."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dagcast.workflow import BacktestResult, FitResult
from dagcast.workflow.common._ranges import forecast_ranges, refused
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.tensor import IndexTensor, Panel

ETA = Quantity("eta", dims=(Dim("region"), HOUR), unit="min", title="Pickup ETA")
HOURS = pd.date_range("2026-03-02", periods=48, freq="h", tz="UTC", unit="us")
TITLES = {"eta": "Pickup ETA"}


def panel(values, hours=HOURS):
    array = np.broadcast_to(np.asarray(values, dtype=float), (1, len(hours))).copy()
    return Panel([IndexTensor(array, {"region": ["SFO"], "hour": hours}, "eta")])


def checks(*forecasts):
    actual = panel(np.linspace(2.0, 16.9, 48))
    return forecast_ranges(
        [panel(values, HOURS[:24]) for values in forecasts], actual, {"eta": ETA}
    )


def test_forecasts_of_all_origins_count():
    (found,) = checks(5.0, 1845.0)
    assert (found.beyond, found.cells, found.low, found.high) == (24, 48, 5.0, 1845.0)
    assert refused([found], TITLES) == (
        "Pickup ETA from 5.00 min to 1,845.0 min in 24 of 48 cells out of the world, where "
        "2.00 min to 16.9 min was observed",
    )
    assert refused(checks(5.0, 12.0), TITLES) == ()


@pytest.mark.parametrize(("value", "code"), [(5.0, 0), (1845.0, 3)])
def test_fit_and_backtest_end_as_a_gate_that_was_not_passed(value, code):
    found = checks(value)
    report = SimpleNamespace(
        members={}, experiments=(), conflicts=(), notes=(), seconds=1.0, contradicting=()
    )
    fitted = FitResult(Path("p"), "fit-0001", report, 2, found, TITLES)
    assert fitted.exit_code() == code
    tables = {table.title: table for table in fitted.tables()}
    assert ("Not a good fit, whatever converged" in tables) is bool(code)
    (row,) = tables["In-sample errors"].rows
    assert row[:2] == ("Pickup ETA", "min")
    assert row[-1].startswith("NO" if code else "yes")
    origins, words = ("2026-03-02",), refused(found, TITLES)
    tested = BacktestResult(Path("p"), origins, 24, (), {}, {}, {"eta": "min"}, words)
    assert tested.exit_code() == code
    assert (tested.tables()[0].title == "Forecasts that no good model makes") is bool(code)
