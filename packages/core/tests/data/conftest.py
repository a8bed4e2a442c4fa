"""A small market of rides and shifts, and the stores that hold it."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from dagcast_core.data import Check, Column, EventTable, MetricSpec, MetricStore, Sum

torch.set_num_threads(1)

RIDES = EventTable(
    name="rides",
    columns=(
        Column("id", "integer"),
        Column("region", "text"),
        Column("at", "instant"),
        Column("known_at", "instant"),
        Column("fare", "number", lower=0),
        Column("wait", "number", lower=0, nullable=True),
    ),
    time="at",
    known_at="known_at",
    key=("id",),
    dims={"region": "region"},
    empty="zero unless gap",
    late_after_hours=24,
    checks=(Check("free ride", "fare = 0"),),
    sums=(
        Sum("fare", "fare"),
        Sum("wait", "wait"),
        Sum("waits", "CASE WHEN wait IS NOT NULL THEN 1 END"),
    ),
    metrics=(
        MetricSpec("rides", "n", "ride/h"),
        MetricSpec("revenue", "fare", "USD/h"),
        MetricSpec("wait", "wait", "min", per="waits"),
    ),
)

SHIFTS = EventTable(
    name="shifts",
    columns=(
        Column("region", "text"),
        Column("on_at", "instant"),
        Column("off_at", "instant"),
        Column("known_at", "instant"),
    ),
    time="on_at",
    until="off_at",
    known_at="known_at",
    dims={"region": "region"},
    empty="zero",
    sums=(Sum("online", "microseconds"),),
    metrics=(MetricSpec("driver_hours", "online", "driver-hour/h", divisor=3.6e9),),
)

WEATHER = EventTable(
    name="weather",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        Column("known_at", "instant"),
        Column("temperature", "number", nullable=True),
        Column("day", "integer"),
    ),
    time="hour",
    known_at="known_at",
    dims={"region": "region"},
    revision="latest",
    foreseeable=True,
    sums=(Sum("temperature", "temperature"), Sum("day", "day")),
    metrics=(
        MetricSpec("temperature", "temperature", "degC"),
        MetricSpec("day", "day", "1", dtype="int64"),
    ),
)


def _rides(*rows: tuple[object, ...]) -> pd.DataFrame:
    """Rides (id, region, minutes after midnight of 6 January, minutes till known, fare, wait)."""
    midnight = pd.Timestamp("2025-01-06", tz="UTC").as_unit("us")
    frame = pd.DataFrame(rows, columns=["id", "region", "at", "known_at", "fare", "wait"])
    frame["at"] = midnight + pd.to_timedelta(frame["at"], unit="min")
    frame["known_at"] = frame["at"] + pd.to_timedelta(frame["known_at"], unit="min")
    return frame.astype({"id": "int64", "fare": "float64", "wait": "float64"})


@pytest.fixture
def rides_table() -> EventTable:
    return RIDES


@pytest.fixture
def shifts_table() -> EventTable:
    return SHIFTS


@pytest.fixture
def weather_table() -> EventTable:
    return WEATHER


@pytest.fixture
def make_rides():
    return _rides


@pytest.fixture
def store(tmp_path: Path) -> MetricStore:
    return MetricStore(tmp_path / "store")


@pytest.fixture
def filled(store: MetricStore) -> MetricStore:
    """Two regions, hours 0 to 3; no ride anywhere in hour 2."""
    store.ingest(
        RIDES,
        _rides(
            (1, "SFO", 5, 20, 10.0, 4.0),
            (2, "SFO", 50, 20, 20.0, None),  # known in hour 1
            (3, "OAK", 10, 60 * 30, 5.0, 2.0),  # late: known on the next day
            (4, "SFO", 70, 10, 7.5, 6.0),
            (5, "SFO", 185, 10, 9.0, 1.0),
        ),
    )
    return store
