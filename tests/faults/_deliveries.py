"""Many regions that deliver every day: what ingestion costs beyond reading their files."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dagcast.ingest import ingest_events
from dagcast_core.data import Column, EventTable, Ingestion, MetricSpec, MetricStore, Sum

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


def seconds_beyond_reading(regions: int, deliveries: int) -> tuple[dict[str, float], float]:
    """CPU seconds of ingesting deliveries beyond, and of, reading the same rows from one file.

    Every delivery is a day with one row for each region and hour. They come one after the other, or
    all lie there for one call.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [_delivery(folder / f"day-{day:03}", regions, day) for day in range(deliveries)]
        whole = folder / "whole" / "orders.parquet"
        whole.parent.mkdir()
        pd.concat(map(pd.read_parquet, files)).to_parquet(whole, index=False)
        # What is imported and started once is neither the one's nor the other's.
        ingest_events(folder / "first", files[0].parent, [TABLE])
        reading = _seconds(folder / "one", [whole])
        return {
            "one after the other": _seconds(folder / "many", files) - reading,
            "in one call": _together(folder / "all", files) - reading,
        }, reading


def _together(store: Path, files: Sequence[Path]) -> float:
    start = time.process_time()
    MetricStore(store).ingest_all([Ingestion(TABLE, file) for file in files])
    return time.process_time() - start


def _seconds(store: Path, files: Sequence[Path]) -> float:
    start = time.process_time()
    for file in files:
        ingest_events(store, file.parent, [TABLE])
    return time.process_time() - start


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
