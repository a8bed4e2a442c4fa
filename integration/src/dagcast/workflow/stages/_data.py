"""Stage 2, looking back: what is in the store, how good it is, and what a revision changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd

from dagcast.errors import UsageError
from dagcast.figures import number
from dagcast.project import Project
from dagcast.workflow.common._findings import cells, latest, series_findings
from dagcast.workflow.common._horizon import open_store, require_metrics
from dagcast.workflow.common._result import Result, ResultTable

_SHOWN = 20


@final
@dataclass(frozen=True)
class DataTable:
    """One table of the store.

    Attributes:
        table: its name.
        metrics: that are read from it, with their units.
        labels: how many of each dim.
        start: first hour, UTC.
        end: last hour, UTC.
        known_until: moment by which all of it was known.
        sources: that it was read from.
        read: rows in them.
        accepted: rows that entered.
        set_aside: rows that did not, duplicates among them.
    """

    table: str
    metrics: tuple[str, ...]
    labels: str
    start: str
    end: str
    known_until: str
    sources: int
    read: int
    accepted: int
    set_aside: int


@final
@dataclass(frozen=True)
class DataListResult(Result):
    """What is in the store.

    Attributes:
        folder: the project.
        held: by table.
        derived: metrics that are sums of others.
    """

    folder: Path
    held: tuple[DataTable, ...]
    derived: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                item.table,
                ", ".join(item.metrics),
                item.labels,
                f"{item.start} to {item.end}",
                item.known_until,
                f"{item.accepted:,} of {item.read:,}",
            )
            for item in self.held
        )
        columns = ("table", "metrics", "labels", "hours, UTC", "known until", "rows accepted")
        note = f"and sums of them: {', '.join(self.derived)}" if self.derived else ""
        return (ResultTable("Data in the store", columns, rows, note),)

    def next_command(self) -> str:
        return f"dagcast data quality --project {self.folder}"


@final
@dataclass(frozen=True)
class DataSeries:
    """A metric of one label.

    Attributes:
        label: dims joined.
        cells: hours of the table's range.
        missing: of them without a value.
        zeros: of them 0.
        mean: of the others,
        lowest: and least,
        highest: and greatest.
        last: the last value there is.
    """

    label: str
    cells: int
    missing: int
    zeros: int
    mean: float
    lowest: float
    highest: float
    last: float


@final
@dataclass(frozen=True)
class DataShowResult(Result):
    """One metric, label by label.

    Attributes:
        folder: the project.
        metric: its name.
        unit: of its values.
        series: by label.
        as_of: as known when.
    """

    folder: Path
    metric: str
    unit: str
    series: tuple[DataSeries, ...]
    as_of: str

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                item.label,
                f"{item.cells:,}",
                f"{item.missing:,}",
                f"{item.zeros:,}",
                *(number(value) for value in (item.mean, item.lowest, item.highest, item.last)),
            )
            for item in self.series
        )
        columns = ("label", "hours", "missing", "zero", "mean", "least", "greatest", "last")
        title = f"{self.metric}, {self.unit}"
        return (ResultTable(title, columns, rows, f"as known at {self.as_of}"),)

    def next_command(self) -> str:
        return ""


@final
@dataclass(frozen=True)
class DataQualityResult(Result):
    """What looks wrong.

    Attributes:
        folder: the project.
        rows: table, rows, and why they were set aside.
        found: metric, label and finding.
    """

    folder: Path
    rows: tuple[tuple[str, int, str], ...]
    found: tuple[tuple[str, str, str], ...]

    def tables(self) -> tuple[ResultTable, ...]:
        tables = []
        if self.rows:
            rows = tuple((table, f"{count:,}", why) for table, count, why in self.rows)
            tables.append(ResultTable("Rows set aside", ("table", "rows", "reason"), rows))
        if self.found:
            columns = ("metric or table", "label", "finding")
            tables.append(ResultTable("Findings", columns, self.found))
        return tuple(tables) or (ResultTable("Nothing looks wrong", (), ()),)

    def next_command(self) -> str:
        return f"dagcast check --project {self.folder}"


@final
@dataclass(frozen=True)
class DataDiffResult(Result):
    """Cells that are known otherwise at a later moment.

    Attributes:
        folder: the project.
        as_of: the earlier moment,
        to: and the later one.
        counts: metric, cells known at both that differ, known only later, known only before.
        changes: metric, label, hour, before, after; those known at both.
    """

    folder: Path
    as_of: str
    to: str
    counts: tuple[tuple[str, int, int, int, int], ...]
    changes: tuple[tuple[str, str, str, float, float], ...]

    def tables(self) -> tuple[ResultTable, ...]:
        counts = tuple(
            (name, f"{both:,}", f"{changed:,}", f"{new:,}", f"{gone:,}")
            for name, both, changed, new, gone in self.counts
        )
        columns = ("metric", "known at both", "of these changed", "new", "gone")
        title = f"From {self.as_of} to {self.to}"
        tables = [ResultTable(title, columns, counts)]
        if self.changes:
            rows = tuple(
                (name, label, hour, number(before, 6), number(after, 6))
                for name, label, hour, before, after in self.changes[:_SHOWN]
            )
            more = len(self.changes) - len(rows)
            note = f"and {more:,} more; --json has them all" if more > 0 else ""
            columns = ("metric", "label", "hour, UTC", "before", "after")
            tables.append(ResultTable("Changed cells", columns, rows, note))
        return tuple(tables)

    def next_command(self) -> str:
        return ""


def data_list(project: Project) -> DataListResult:
    """List the tables of the store.

    Raises:
        ProjectError: nothing was ingested yet.
    """
    store = open_store(project)
    spans, labels = store.spans(), store.labels()
    reports = store.reports()
    held = []
    for name, table in store.tables().items():
        if name not in spans:
            continue
        span, own = spans[name], [report for report in reports if report.table == name]
        held.append(
            DataTable(
                name,
                tuple(f"{metric.name} ({metric.unit})" for metric in table.metrics),
                ", ".join(f"{len(labels.get(dim, ()))} {dim}" for dim in table.dims),
                f"{span.start:%Y-%m-%d %H:%M}",
                f"{span.end:%Y-%m-%d %H:%M}",
                f"{span.known_until:%Y-%m-%d %H:%M}",
                len(own),
                sum(report.read for report in own),
                sum(report.accepted for report in own),
                sum(sum(report.quarantined.values()) + report.duplicates for report in own),
            )
        )
    measured = {metric.name for table in store.tables().values() for metric in table.metrics}
    derived = tuple(name for name in store.metrics() if name not in measured)
    return DataListResult(project.folder, tuple(held), derived)


def data_show(project: Project, metric: str, *, as_of: str | None = None) -> DataShowResult:
    """Show one metric, label by label.

    Args:
        project: the project.
        metric: its name.
        as_of: as known when; by default everything.

    Raises:
        ProjectError: nothing was ingested yet.
        UsageError: the store holds no such metric, or the moment is none.
    """
    store = open_store(project)
    require_metrics(store, (metric,), what="a metric")
    moment = latest(store) if as_of is None else _moment(as_of)
    labels, _, values = cells(store, metric, moment)
    series = []
    for label, row in zip(labels, values, strict=True):
        there = row[~np.isnan(row)]
        some = len(there) > 0
        series.append(
            DataSeries(
                label,
                len(row),
                int(np.isnan(row).sum()),
                int((there == 0).sum()),
                float(there.mean()) if some else float("nan"),
                float(there.min()) if some else float("nan"),
                float(there.max()) if some else float("nan"),
                float(there[-1]) if some else float("nan"),
            )
        )
    unit = store.metrics()[metric].unit
    return DataShowResult(project.folder, metric, unit, tuple(series), str(moment))


def data_quality(project: Project) -> DataQualityResult:
    """Say what looks wrong: rows set aside, holes, and series that no hour of which is odd alone.

    Raises:
        ProjectError: nothing was ingested yet.
    """
    from dagcast.plugins import load_plugins
    from dagcast.vocabulary import decided

    store = open_store(project)
    rows: dict[tuple[str, str], int] = {}
    found: list[tuple[str, str, str]] = []
    for report in store.reports():
        for why, count in report.quarantined.items():
            rows[report.table, why] = rows.get((report.table, why), 0) + count
        found += [(hole.table, ", ".join(hole.labels.values()), str(hole)) for hole in report.holes]
        found += [(report.table, "", note) for note in report.notes]
        if report.nonexistent:
            what = f"{report.nonexistent:,} rows at local times that do not exist"
            found.append((report.table, "", what))
        if report.ambiguous:
            what = f"{report.ambiguous:,} rows at local times that occur twice"
            found.append((report.table, "", what))
    plugins = load_plugins(disable=project.config.disable)
    set_by_people = decided(plugins) | set(project.config.levers)
    found += [
        (item.metric, item.label, item.what)
        for item in series_findings(store, latest(store), set_by_people)
    ]
    return DataQualityResult(
        project.folder, tuple((table, n, why) for (table, why), n in rows.items()), tuple(found)
    )


def data_diff(
    project: Project, as_of: str, to: str | None = None, metrics: Sequence[str] = ()
) -> DataDiffResult:
    """Compare what was known at two moments.

    Args:
        project: the project.
        as_of: the earlier moment.
        to: the later one; by default everything.
        metrics: to compare; by default all that are read from a table.

    Raises:
        ProjectError: nothing was ingested yet.
        UsageError: a metric or a moment is none.
    """
    store = open_store(project)
    require_metrics(store, metrics, what="metrics to compare, out of those")
    before, after = _moment(as_of), latest(store) if to is None else _moment(to)
    measured = [metric.name for table in store.tables().values() for metric in table.metrics]
    counts, changes = [], []
    for name in metrics or measured:
        labels, hours, old = cells(store, name, before)
        _, _, new = cells(store, name, after)
        had, has = ~np.isnan(old), ~np.isnan(new)
        changed = had & has & (old != new)
        counts.append(
            (name, int((had & has).sum()), int(changed.sum()), int((~had & has).sum()),
             int((had & ~has).sum()))
        )  # fmt: skip
        changes += [
            (name, labels[row], f"{hours[hour]:%Y-%m-%d %H:%M}", float(old[row, hour]),
             float(new[row, hour]))
            for row, hour in np.argwhere(changed)
        ]  # fmt: skip
    return DataDiffResult(project.folder, str(before), str(after), tuple(counts), tuple(changes))


def _moment(text: str) -> pd.Timestamp:
    try:
        found = pd.Timestamp(text)
    except ValueError as error:
        raise UsageError(
            "a moment such as 2026-03-02 or 2026-03-02T14:00Z", repr(text), "Correct it."
        ) from error
    if pd.isna(found):
        raise UsageError("a moment such as 2026-03-02", repr(text), "Correct it.")
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
