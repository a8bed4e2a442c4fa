"""Taxi pickups in Manhattan's 69 zones by hour, 2019 and 2020: demand at scale, with a real shock.

Source: Taxi and Limousine Commission trip records, aggregated by Evens1sen/Deep-NYC-Taxi-Bike.
Hours are wall-clock hours of New York, two a year of which need care:

- the hour that does not exist has zeros; those rows are quarantined.
- the hour that occurs twice holds the pickups of both; each of the two instants gets half, which
  keeps the total and doubles no cell.

Zone 103 was never used and the spring of 2020 collapses. Both are what happened, and stay.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from dagcast_core.data import (
    Check,
    Column,
    DataError,
    EventTable,
    Ingestion,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
    local_to_utc,
)
from readers._calendars import CALENDAR, calendar_rows
from readers._files import read_parquet
from readers._new_york import ZONE

_TABLE = EventTable(
    name="taxi_pickups",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        Column("rides", "number", lower=0),
        Column("exists", "flag"),
        Column("halved", "flag"),
    ),
    time="hour",
    key=("region", "hour"),
    dims={"region": "region"},
    checks=(Check("local hour does not exist", "NOT exists"),),
    remarks=(Check("local hour occurs twice: half each", "halved"),),
    sums=(Sum("rides", "rides"),),
    metrics=(MetricSpec("rides", "rides", "ride/h"),),
)


def ingest_manhattan_taxi(
    store_folder: Path | str, data_folder: Path | str
) -> tuple[IngestReport, ...]:
    """Reads the pickups into a store.

    Metrics, dims (region, hour), region being the zone's number as text: rides; hour_of_week;
    holiday; local_event (zeros: the source knows of none).

    Args:
        store_folder: of the metric store; made if needed.
        data_folder: holds manhattan69_taxi_pickups.parquet.

    Returns:
        Reports of rides and calendar.

    Raises:
        SourceError: the file is absent or not Parquet.
        DataError: its index is no index of naive hours.
    """
    path = Path(data_folder) / "manhattan69_taxi_pickups.parquet"
    wide = read_parquet(path, ())
    if not isinstance(wide.index, pd.DatetimeIndex) or wide.index.tz is not None:
        raise DataError(
            f"cannot read {path.name}: expected one column per zone and an index of wall-clock "
            f"hours; found an index of {wide.index.dtype}. Give the file as published."
        )
    times = local_to_utc(wide.index, ZONE)
    first = wide.set_axis(times.instants).mul(1 - 0.5 * times.ambiguous, axis=0)
    second = first[times.ambiguous]
    second = second.set_axis(second.index + pd.Timedelta(hours=1))
    marks = pd.DataFrame({"exists": ~times.nonexistent, "halved": times.ambiguous})
    again = pd.DataFrame({"exists": True, "halved": True}, index=range(len(second)))
    rows = pd.concat([_long(first, marks), _long(second, again)], ignore_index=True)
    zones = dict.fromkeys(sorted(rows["region"].unique()), ZONE)
    calendar = calendar_rows(zones, times.instants.min(), times.instants.max())
    return MetricStore(store_folder).ingest_all(
        [Ingestion(_TABLE, rows), Ingestion(CALENDAR, calendar)]
    )


def _long(wide: pd.DataFrame, marks: pd.DataFrame) -> pd.DataFrame:
    """One row per hour and zone, each with the marks of its hour."""
    hours, zones = wide.shape
    place = np.tile(np.arange(hours), zones)
    return pd.DataFrame(
        {
            "region": np.repeat(wide.columns.astype(str).to_numpy(), hours),
            "hour": wide.index[place],
            "rides": wide.to_numpy(dtype=np.float64).ravel(order="F"),
            "exists": marks["exists"].to_numpy()[place],
            "halved": marks["halved"].to_numpy()[place],
        }
    )
