"""What arrives later changes no forecast of the past that could not know it."""

import numpy as np
import pandas as pd
import pytest

from dagcast import workflow
from dagcast.config import Config
from dagcast.project import create_project, open_project
from dagcast.workflow.common._rolling import OriginForecast

START = pd.Timestamp("2025-01-06T00:00Z")
WEEKS = 6
DECLARED = """\
[sources.counts]
files = "counts*.csv"
time = "hour"
zone = "UTC"
known = { column = "loaded_at" }
late_after_hours = 100000
absent = "missing"
dims.region = "borough"
quantities = { sessions = "opened" }

[labels.region]
zone = "UTC"
holidays = "US"
"""
# The revision was loaded between the two origins that are looked at.
BEFORE, AFTER = START + pd.Timedelta(weeks=4), START + pd.Timedelta(weeks=5)
REVISED = BEFORE + pd.Timedelta(days=3)


def counts(size: float, hours: pd.DatetimeIndex, loaded: pd.DatetimeIndex) -> pd.DataFrame:
    rng = np.random.default_rng(int(size))
    day = 1.2 + np.sin(2 * np.pi * (hours.hour - 10) / 24)
    return pd.DataFrame(
        {"hour": hours, "borough": f"b{size:.0f}", "opened": rng.poisson(size * day),
         "loaded_at": loaded}
    )  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("revised") / "p"
    create_project(folder, Config())
    (folder / "dagcast.toml").write_text(DECLARED)
    hours = pd.date_range(START, periods=WEEKS * 168, freq="h")
    lag = pd.Timedelta(hours=1)
    frames = [counts(size, hours, hours + lag) for size in (20, 40)]
    pd.concat(frames).to_csv(folder / "counts-1.csv", index=False)
    return open_project(folder, environment={})


def forecasts(project):
    forecast = OriginForecast(project, ("sessions",))
    return [forecast(origin)["sessions"].tensor.numpy().tobytes() for origin in (BEFORE, AFTER)]


def revise(project, at: pd.Timestamp, loaded: pd.Timestamp) -> None:
    """Ten times as much in a week of old hours, as it was found out later."""
    hours = pd.date_range(at, periods=168, freq="h")
    frame = counts(40, hours, pd.DatetimeIndex([loaded] * len(hours)))
    frame["opened"] *= 10
    frame.to_csv(project.folder / "counts-2.csv", index=False)
    workflow.ingest(project)


def test_a_backtest_keeps_its_bits_for_origins_before_a_revision(project):
    workflow.ingest(project)
    before = forecasts(project)
    assert before == forecasts(project)
    revise(project, START + pd.Timedelta(weeks=1), REVISED)
    found = workflow.data_diff(project, f"{BEFORE:%Y-%m-%dT%H:%MZ}", f"{AFTER:%Y-%m-%dT%H:%MZ}")
    assert found.counts[0][2] > 100
    after = forecasts(project)
    assert after[0] == before[0]
    # And the revision is in the store: who knew it forecasts otherwise.
    assert after[1] != before[1]
