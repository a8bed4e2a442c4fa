"""A folder of marketplace event files, small enough to count by hand."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from dagcast import open_project, workflow
from dagcast.ingest import ingest_events
from dagcast.plugins import load_plugins

START = pd.Timestamp("2026-01-12T00:00Z").as_unit("us")


def at(hours: float) -> pd.Timestamp:
    return START + pd.Timedelta(hours=hours)


def event_frames() -> dict[str, pd.DataFrame]:
    """Three regions (NEW opens in hour 2), hours 0 to 3, and the calendar of hours 4 and 5."""
    sessions = pd.DataFrame(
        [
            # id, region, opened, known, eta, prime time, requested, completed, fare, pay
            (1, "NYC", 0.1, 0.2, 4.0, 0.0, True, True, 20.0, 12.0),
            (2, "NYC", 0.5, 0.6, 6.0, 0.5, True, False, 0.0, 0.0),
            (3, "LAX", 0.6, 0.7, 8.0, 0.0, False, False, 0.0, 0.0),
            (4, "NYC", 1.2, 1.3, 5.0, 0.0, True, True, 10.0, 6.0),
            (4, "NYC", 1.2, 1.5, 5.0, 0.0, True, True, 10.0, 6.0),  # delivered twice
            (5, "NEW", 2.1, 2.2, 9.0, 0.0, False, False, 0.0, 0.0),
            (6, "LAX", 2.5, 50.0, 3.0, 0.25, True, True, 8.0, 5.0),  # late
            (7, "NYC", 3.5, 3.6, 3.0, 0.0, False, False, 0.0, 0.0),
            (8, "NYC", 3.5, 3.6, -3.0, 0.0, False, False, 0.0, 0.0),
            (9, "XXX", 3.5, 3.6, 3.0, 0.0, False, False, 0.0, 0.0),
            (10, "NYC", 3.5, 3.6, 3.0, 0.0, False, True, 5.0, 1.0),
            (11, "NYC", 3.5, 3.6, 3.0, 0.0, True, False, 5.0, 1.0),
        ],
        columns=[
            "session_id", "region", "opened_at", "known_at", "eta_min", "prime_time", "requested",
            "completed", "fare", "driver_pay",
        ],
    )  # fmt: skip
    shifts = pd.DataFrame(
        [
            (1, 7, "NYC", 0.5, 2.25, 2.3),
            (2, 8, "LAX", 1.0, 2.0, 2.0),
            (3, 9, "LAX", 3.0, 2.0, 3.5),  # ends before it begins
            (4, 9, "NEW", 0.0, 2.0, 2.5),  # over when the region opens
            (5, 9, "NEW", 1.5, 2.5, 2.6),  # half an hour of it counts
        ],
        columns=["shift_id", "driver_id", "region", "on_at", "off_at", "known_at"],
    )
    spend = pd.DataFrame(
        [
            ("NYC", 0, "boost", 10.0, 1),
            ("NYC", 0, "boost", -2.5, 30),  # correction
            ("LAX", 1, "streak", 4.0, 2),
            ("NEW", 1, "boost", 1.0, 2),  # before it opens
        ],
        columns=["region", "hour", "incentive", "usd", "known_at"],
    )
    coupons = pd.DataFrame([("NYC", 1, 3.0, 1)], columns=["region", "hour", "usd", "known_at"])
    cells = [(region, hour) for region in ("LAX", "NEW", "NYC") for hour in range(6)]
    fares = pd.DataFrame(
        [(region, hour, 15.0 + hour, -24) for region, hour in cells],
        columns=["region", "hour", "base_fare", "known_at"],
    )
    weather = pd.DataFrame(
        [(r, h, 10.0, 0.0, -6, True) for r, h in cells]
        + [(r, h, 12.0, 1.5, h + 1, False) for r, h in cells if h < 4],
        columns=["region", "hour", "temperature", "precipitation", "known_at", "is_forecast"],
    )
    calendar = pd.DataFrame(
        [(r, h, (h + 163) % 168, False, 0.1 * h, -1000) for r, h in cells],
        columns=["region", "hour", "hour_of_week", "holiday", "local_event", "known_at"],
    )
    frames = {
        "sessions": sessions, "shifts": shifts, "spend": spend, "coupons": coupons,
        "fares": fares, "weather": weather, "calendar": calendar,
    }  # fmt: skip
    for frame in frames.values():
        for name in {"opened_at", "known_at", "on_at", "off_at", "hour"} & set(frame.columns):
            minutes = (frame[name] * 60).round().astype("int64")
            frame[name] = START + pd.to_timedelta(minutes, unit="min")
    return frames


REGIONS = [
    {"region": "NYC", "zone": "America/New_York", "neighbours": ["NEW"], "opened_on": "2025-01-01"},
    {"region": "NEW", "zone": "America/New_York", "neighbours": ["NYC"],
     "opened_on": "2026-01-12T02:00:00Z"},
    {"region": "LAX", "zone": "America/Los_Angeles", "neighbours": [], "opened_on": "2025-01-01"},
]  # fmt: skip


@pytest.fixture(scope="session")
def ingest_folder():
    """Ingest a folder as ``dagcast ingest`` does, with the tables of the installed packages."""
    plugins = load_plugins()

    def ingest(store_folder: Path, folder: Path):
        reports, _ = ingest_events(
            store_folder,
            folder,
            plugins.tables,
            metrics=plugins.metrics,
            labels=plugins.labels(folder),
        )
        return reports

    return ingest


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    return event_frames()


@pytest.fixture
def events(tmp_path: Path, frames: dict[str, pd.DataFrame]) -> Path:
    return _written(tmp_path / "events", frames)


@pytest.fixture(scope="session")
def same_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for tests that change nothing in it."""
    return _written(tmp_path_factory.mktemp("market") / "events", event_frames())


def _written(folder: Path, frames: dict[str, pd.DataFrame]) -> Path:
    folder.mkdir()
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "regions.json").write_text(json.dumps(REGIONS))
    return folder


@pytest.fixture(scope="session")
def planned(tmp_path_factory):
    """A small market, fitted and planned, in a folder called north."""
    folder = tmp_path_factory.mktemp("ask") / "north"
    workflow.simulate(folder, regions=2, weeks=6, seed=0)
    toml = folder / "dagcast.toml"
    text = toml.read_text(encoding="utf-8")
    # However slow the machine: the time limit ends no plan.
    for old, new in (("draws = 32", "draws = 8"), ("seconds = 60.0", "seconds = 600.0")):
        text, count = re.subn(f"(?m)^{re.escape(old)}$", new, text)
        assert count == 1, old
    toml.write_text(text, encoding="utf-8")
    project = open_project(folder)
    workflow.ingest(project)
    workflow.fit(project)
    workflow.plan(project)
    return project
