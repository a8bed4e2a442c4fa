"""Many regions that deliver every day: what ingestion costs beyond reading their files."""

import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from dagcast.ingest import ingest_events
from dagcast_core.data import Column, EventTable, MetricSpec, Sum

TABLE = EventTable(
    name="orders",
    columns=(
        Column("id", "integer"),
        Column("region", "text"),
        Column("at", "instant"),
        Column("fare", "number", lower=0),
    ),
    time="at",
    key=("id",),
    dims={"region": "region"},
    empty="zero",
    sums=(Sum("fare", "fare"),),
    metrics=(MetricSpec("orders", "n", "order/h"), MetricSpec("revenue", "fare", "USD/h")),
)


def seconds_beyond_reading(regions: int, deliveries: int) -> tuple[float, float]:
    """CPU seconds of an ingestion of all deliveries beyond, and of, reading and adding up alone.

    Every delivery is a day with one row for each region and hour.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [_delivery(folder / f"day-{day:03}", regions, day) for day in range(deliveries)]
        start = time.process_time()
        with duckdb.connect() as connection:
            for file in files:
                connection.execute(
                    f"SELECT count(*), max(n), sum(fare) FROM (SELECT region, "
                    f"date_trunc('hour', \"at\"), count(*) AS n, sum(fare) AS fare "
                    f"FROM '{file}' GROUP BY ALL)"
                ).fetchall()
        reading = time.process_time() - start
        start = time.process_time()
        for file in files:
            ingest_events(folder / "store", file.parent, [TABLE])
        return time.process_time() - start - reading, reading


def _delivery(folder: Path, regions: int, day: int) -> Path:
    folder.mkdir()
    hours = pd.date_range("2025-01-06", periods=24, freq="h", tz="UTC") + pd.Timedelta(days=day)
    count = regions * 24
    frame = pd.DataFrame(
        {
            "id": np.arange(count) + day * count,
            "region": np.repeat([f"R{number:04}" for number in range(regions)], 24),
            "at": np.tile(hours, regions),
            "fare": np.random.default_rng(day).random(count).round(2),
        }
    )
    path = folder / "orders.parquet"
    frame.to_parquet(path, index=False)
    return path
