"""A folder of event files into a metric store."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from dagcast_core.contract import LabelSet
from dagcast_core.data import (
    EventTable,
    Ingestion,
    IngestReport,
    LinearMetric,
    MetricStore,
    SourceError,
    UnreadFile,
    plan_folder,
)


def ingest_events(
    store_folder: Path | str,
    events_folder: Path | str,
    tables: Iterable[EventTable],
    *,
    metrics: Iterable[LinearMetric] = (),
    labels: Mapping[str, LabelSet] | None = None,
    known: Collection[str] = (),
) -> tuple[tuple[IngestReport, ...], tuple[UnreadFile, ...]]:
    """Reads a folder of event files into a store, all of them or, where one is wrong, none.

    Args:
        store_folder: of the metric store; made if needed.
        events_folder: holds ``<table>.parquet`` or ``<table>.csv`` of any of the tables.
        tables: as packages declare them.
        metrics: weighted sums of metrics; those whose terms the store all holds are defined.
        labels: by dim, the labels that exist. Rows with another label are set aside, and so are
            rows before a label did business, where they add up: a calendar may reach back.
        known: names of files there that are read otherwise; where there are some, no other need be.

    Returns:
        One report per file read; tables that others are measured by come first. And every other
        file of the folder, with the reason why it was not read.

    Raises:
        SourceError: no table has a file there, or a file is not Parquet or CSV, or lacks a column.
        DataError: the store is damaged.
    """
    folder = Path(events_folder)
    tables = _measured_first(tuple(tables))
    by_name = {table.name: table for table in tables}
    # Texts such as labels and experiments lie beside the events, and are read elsewhere.
    beside = {path.name for path in folder.glob("*.json")} | set(known)
    found = plan_folder(folder, tables, known=beside)
    items = [
        _ingestion(table, source, labels or {})
        for table in tables
        for source in found.sources.get(table.name, ())
    ]
    if not items and known:
        return (), found.unread
    if not items:
        raise SourceError(
            f"the event files in {folder}",
            table_files(tables),
            "; ".join(map(str, found.unread)) or "none of them",
            "Name the folder that holds them, or install the package that declares yours.",
        )
    store = MetricStore(store_folder)
    measured = {metric.name for name in found.sources for metric in by_name[name].metrics}
    held = measured | set(store.metrics())
    derived = tuple(metric for metric in metrics if set(metric.terms) <= held)
    return store.ingest_all(items, derived=derived), found.unread


def table_files(tables: Iterable[EventTable]) -> str:
    """Say in words which files may be there, and which columns they need."""
    listed = [
        f"{table.name}.parquet or .csv ({', '.join(column.name for column in table.columns)})"
        for table in tables
    ]
    return "; ".join(listed) or "a table that an installed package declares, and none does"


def _measured_first(tables: tuple[EventTable, ...]) -> tuple[EventTable, ...]:
    """The tables in their order, but each after the one whose hours it covers."""
    by_name = {table.name: table for table in tables}
    ordered: dict[str, EventTable] = {}
    for table in tables:
        chain = [table]
        while (other := by_name.get(chain[-1].like or "")) is not None and other not in chain:
            chain.append(other)
        ordered |= {item.name: item for item in reversed(chain) if item.name not in ordered}
    return tuple(ordered.values())


def _ingestion(table: EventTable, source: Path, labels: Mapping[str, LabelSet]) -> Ingestion:
    known = [labels[dim] for dim in table.dims if dim in labels]
    allowed = {item.dim: item.labels for item in known}
    # Tables whose rows replace one another, such as a calendar, may reach back before an opening.
    begun = next((item for item in known if item.since and table.revision == "add"), None)
    if begun is None:
        return Ingestion(table, source, allowed or None, like=table.like)
    return Ingestion(table, source, allowed, like=table.like, since=begun.since, begins=begun.dim)
