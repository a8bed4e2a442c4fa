"""One unnamed city's sessions, requests, rides and drivers by hour, two weeks of September 2012.

Source: an exercise that Uber gave to applicants, published by shareenarshad-io. The city and so
its zone are unknown; hours are kept as they stand, as if the clock were UTC. Counts are tiny: a
mean of four rides an hour.
"""

from pathlib import Path

from dagcast_core.data import (
    Check,
    Column,
    EventTable,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
)
from readers._files import read_parquet

REGION = "city"
_COUNTS = ("sessions", "sessions_no_car", "requests", "rides", "drivers")

_TABLE = EventTable(
    name="uber_2012",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        *(Column(name, "integer", lower=0) for name in _COUNTS),
    ),
    time="hour",
    key=("region", "hour"),
    dims={"region": "region"},
    checks=(
        Check("more rides than requests", "rides > requests"),
        Check("more requests than sessions", "requests > sessions"),
        Check("more sessions without a car than sessions", "sessions_no_car > sessions"),
    ),
    sums=tuple(Sum(name, name) for name in _COUNTS),
    metrics=(
        MetricSpec("sessions", "sessions", "session/h"),
        MetricSpec("sessions_without_car", "sessions_no_car", "session/h"),
        MetricSpec("requests", "requests", "request/h"),
        MetricSpec("rides", "rides", "ride/h"),
        MetricSpec("driver_hours", "drivers", "driver-hour/h"),
    ),
)


def ingest_uber_2012(store_folder: Path | str, data_folder: Path | str) -> IngestReport:
    """Reads the city's hours into a store.

    Metrics, dims (region, hour), with the one region "city": sessions, sessions_without_car,
    requests, rides, driver_hours (drivers seen in the hour).

    Args:
        store_folder: of the metric store; made if needed.
        data_folder: holds uber2012_hour.parquet.

    Raises:
        SourceError: the file is absent, not Parquet, or lacks a column.
    """
    frame = read_parquet(Path(data_folder) / "uber2012_hour.parquet", ("hour", *_COUNTS))
    chosen = frame.assign(region=REGION)[["region", "hour", *_COUNTS]]
    return MetricStore(store_folder).ingest(_TABLE, chosen)
