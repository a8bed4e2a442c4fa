"""The metric store: events in, additive components with two times, panels as of a moment out.

Declare an event table once (`EventTable`, `Column`, `Sum`, `MetricSpec`), hand it to
`MetricStore.ingest` with a Parquet or CSV file or a frame, and read its metrics back with
`MetricStore.read(names, start=..., end=..., as_of=...)`. Sums are exact decimals, so results do not
depend on the order of rows, of sources, or on the number of threads.
"""

from dagcast_core.data._calendar import hour_of_week, us_federal_holiday
from dagcast_core.data._csv import Dialect
from dagcast_core.data._cube import CubeQuantity, CubeTable
from dagcast_core.data._declare import (
    Check,
    Column,
    EventTable,
    Implied,
    LinearMetric,
    MetricSpec,
    Sum,
)
from dagcast_core.data._errors import (
    DataError,
    DeclarationError,
    MissingCellsError,
    SourceError,
    StoreError,
    UnknownMetricError,
)
from dagcast_core.data._folder import FolderPlan, UnreadFile, plan_folder
from dagcast_core.data._ingest import Ingestion
from dagcast_core.data._manifest import Coverage
from dagcast_core.data._report import Hole, IngestReport
from dagcast_core.data._store import MetricStore, Span, ledger_sql
from dagcast_core.data._zones import LocalTimes, local_to_utc

__all__ = [
    "Check",
    "Column",
    "Coverage",
    "CubeQuantity",
    "CubeTable",
    "DataError",
    "DeclarationError",
    "Dialect",
    "EventTable",
    "FolderPlan",
    "Hole",
    "Implied",
    "IngestReport",
    "Ingestion",
    "LinearMetric",
    "LocalTimes",
    "MetricSpec",
    "MetricStore",
    "MissingCellsError",
    "SourceError",
    "Span",
    "StoreError",
    "Sum",
    "UnknownMetricError",
    "UnreadFile",
    "hour_of_week",
    "ledger_sql",
    "local_to_utc",
    "plan_folder",
    "us_federal_holiday",
]
