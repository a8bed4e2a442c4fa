"""What looks wrong about the data: all of it, or what concerns the models over a history."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dagcast.workflow.common._horizon import HOUR, Moments

if TYPE_CHECKING:
    from dagcast.quality import Finding
    from dagcast.workflow.common._session import Session
    from dagcast_core.data import MetricStore

_REPEATED = 5


def cells(
    store: "MetricStore",
    name: str,
    as_of: pd.Timestamp,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> "tuple[list[str], pd.DatetimeIndex, np.ndarray[Any, np.dtype[np.float64]]]":
    """A metric as joined labels, hours, and values by label and hour; NaN where one is missing.

    Args:
        store: to read from.
        name: of the metric.
        as_of: as known when.
        start: first hour; by default that of its table.
        end: last hour; by default that of its table.
    """
    from dagcast_core.data import MissingCellsError

    spans = store.spans()
    owner = next(
        (t.name for t in store.tables().values() if any(m.name == name for m in t.metrics)), None
    )
    own = [spans[owner]] if owner in spans else list(spans.values())
    first = min(span.start for span in own) if start is None else start
    last = max(span.end for span in own) if end is None else end
    hours = pd.DatetimeIndex(pd.date_range(first, last, freq="h"))
    dims = store.metrics()[name].dims[:-1]
    held = store.labels()
    labels = [""]
    for dim in dims:
        labels = [", ".join(filter(None, (a, b))) for a in labels for b in held.get(dim, ())]
    try:
        read = store.read([name], start=first, end=last, as_of=as_of, cache=False)[name]
        values = read.values(*dims, "hour").double().numpy().reshape(len(labels), len(hours))
    except MissingCellsError:
        # A metric of whole numbers has no value for a missing cell: what is there is counted.
        read = store.counts([name], start=first, end=last, as_of=as_of)[name]
        there = read.values(*dims, "hour").numpy().reshape(len(labels), len(hours))
        values = np.where(np.isnan(there) | (there == 0), np.nan, 1.0)
    return labels, hours, np.asarray(values, dtype=np.float64)


def latest(store: "MetricStore") -> pd.Timestamp:
    """A moment by which everything in the store was known."""
    last: pd.Timestamp = max(span.known_until for span in store.spans().values())
    return last + HOUR


def series_findings(
    store: "MetricStore",
    as_of: pd.Timestamp,
    decided: Collection[str],
    names: Collection[str] | None = None,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> "Iterator[Finding]":
    """Findings about the series of metrics that are read from tables.

    Args:
        store: to read from.
        as_of: as known when.
        decided: metrics that people set, whose standing still is no finding.
        names: metrics to look at; all by default.
        start: first hour; by default that of each table.
        end: last hour; by default that of each table.
    """
    from dagcast.quality import findings

    for table in store.tables().values():
        for metric in table.metrics:
            if names is not None and metric.name not in names:
                continue
            labels, hours, values = cells(store, metric.name, as_of, start, end)
            amount = table.revision == "add" or metric.across == "sum"
            adds = metric.per is None and amount
            yield from findings(
                metric.name, values, labels, hours, adds=adds, decided=metric.name in decided
            )


def concerning(session: "Session", times: Moments | None = None) -> tuple[str, ...]:
    """What looks wrong about what the models read over a history, a sentence each.

    Holes that an ingestion found, silences of all labels, values that stand still, jumps of scale
    and shifted clocks; of what people decide, jumps of scale alone. That a series is mostly 0 is
    left to `dagcast data quality`: models of counts know it.

    Args:
        session: the project's models and data.
        times: of the round; the present one by default.
    """
    times = times or session.times
    store, names = session.store, set(session.names)
    tables = {t.name for t in store.tables().values() if any(m.name in names for m in t.metrics)}
    found = [
        str(hole).removesuffix(".")
        for report in store.reports()
        for hole in report.holes
        if hole.table in tables
        and pd.Timestamp(hole.start) <= times.last
        and pd.Timestamp(hole.end) >= times.first
    ]
    found += [
        f"{' of '.join(filter(None, (item.metric, item.label)))}: {item.what}"
        for item in series_findings(
            store, times.as_of, session.decided, names, times.first, times.last
        )
        if item.odd
    ]
    return tuple(dict.fromkeys(found))


def repeated(session: "Session", times: Moments | None = None) -> tuple[str, ...]:
    """The first of :func:`concerning`, and how many more there are."""
    found = concerning(session, times)
    shown = tuple(f"data: {text}" for text in found[:_REPEATED])
    if more := len(found) - len(shown):
        shown += (f"data: {more:,} findings more, which `dagcast data quality` lists",)
    return shown
