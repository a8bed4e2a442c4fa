"""New York's monthly taxi indicators as published at two dates, to read as of either.

Source: Taxi and Limousine Commission, monthly indicators; the copies of July 2022 and March 2025.
The later one revises the earlier: a tenth of the months they share differ in trips per day. Numbers
are written for people: blanks, thousands separators, "-" and NULL for none, shares in per cent.
"""

from pathlib import Path

import pandas as pd

from dagcast_core.data import (
    Column,
    EventTable,
    Ingestion,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
)
from readers._files import numbers, read_csv

VINTAGES = {
    "tlc_monthly_vintage_2022-07.csv": "2022-08-01T00:00:00Z",
    "tlc_monthly_vintage_2025-03.csv": "2025-04-01T00:00:00Z",
}
"""File -> moment from which on it counts as known: the start of the month after its last one."""

_MEASURES = {
    "Trips Per Day": ("trips_per_day", "ride/day"),
    "Farebox Per Day": ("farebox_per_day", "USD/day"),
    "Unique Drivers": ("drivers", "driver"),
    "Unique Vehicles": ("vehicles", "vehicle"),
    "Vehicles Per Day": ("vehicles_per_day", "vehicle/day"),
    "Avg Hours Per Day Per Vehicle": ("hours_per_vehicle", "h/day"),
    "Avg Hours Per Day Per Driver": ("hours_per_driver", "h/day"),
    "Avg Minutes Per Trip": ("minutes_per_trip", "min"),
}

_TABLE = EventTable(
    name="tlc_monthly",
    columns=(
        Column("region", "text"),
        Column("month", "instant"),
        Column("known_at", "instant"),
        *(Column(name, "number", lower=0, nullable=True) for name, _ in _MEASURES.values()),
    ),
    time="month",
    known_at="known_at",
    key=("region", "month", "known_at"),
    dims={"region": "region"},
    revision="latest",
    late_after_hours=24 * 366 * 20,
    sums=tuple(Sum(name, name) for name, _ in _MEASURES.values()),
    metrics=tuple(MetricSpec(name, name, unit) for name, unit in _MEASURES.values()),
)


def ingest_tlc_vintages(
    store_folder: Path | str, data_folder: Path | str
) -> tuple[IngestReport, ...]:
    """Reads both vintages into one store.

    Metrics, dims (region, hour), region being the license class and hour the first of a month,
    00:00 UTC (other hours are missing): trips_per_day, farebox_per_day, drivers, vehicles,
    vehicles_per_day, hours_per_vehicle, hours_per_driver, minutes_per_trip. As of a moment before
    August 2022 nothing is known, before April 2025 the first vintage, then the second.

    Args:
        store_folder: of the metric store; made if needed.
        data_folder: holds the files named in ``VINTAGES``.

    Raises:
        SourceError: a file is absent or lacks a column.
        DataError: a cell is no number.
    """
    items = []
    for name, known in VINTAGES.items():
        frame = read_csv(Path(data_folder) / name, ("Month/Year", "License Class", *_MEASURES))
        values = {target: numbers(frame[source]) for source, (target, _) in _MEASURES.items()}
        rows = pd.DataFrame(
            {
                "region": frame["License Class"].str.strip(),
                "month": pd.to_datetime(frame["Month/Year"].str.strip(), format="%Y-%m", utc=True),
                "known_at": pd.Timestamp(known),
                **values,
            }
        )
        items.append(Ingestion(_TABLE, rows))
    return MetricStore(store_folder).ingest_all(items)
