"""The metric store: sources in, cubes as of a moment out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, final

import pandas as pd

from dagcast_core.data._append import append
from dagcast_core.data._cache import Cube, cache_key, cube, recall, remember
from dagcast_core.data._compact import copies_id, drop_copies
from dagcast_core.data._cube import CubeTable
from dagcast_core.data._declare import EventTable, LinearMetric, MetricSpec
from dagcast_core.data._definitions import define
from dagcast_core.data._errors import (
    DataError,
    StoreError,
    UnknownMetricError,
    shortened,
)
from dagcast_core.data._ingest import Ingestion, ingest_all
from dagcast_core.data._inspect import Span, conflicts, quarantine, spans, verify
from dagcast_core.data._labels import normal, unfit
from dagcast_core.data._manifest import (
    CACHE,
    Coverage,
    Manifest,
    find_metric,
    locked,
    metric_names,
    read_manifest,
    write_manifest,
)
from dagcast_core.data._read import Reader
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import Source
from dagcast_core.data._warehouse import ledger_sql
from dagcast_core.data._window import (
    Frequency,
    Moment,
    Window,
    grouped,
    hour_of,
    identity,
    moment_of,
)

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel


@final
class MetricStore:
    """Named cubes aggregated from events, read as of a moment.

    Per event table the store keeps a ledger of additive components with two times, the hour a row
    is valid for and the hour by whose start it was known. A late row or a correction is a further
    row. A read adds up the rows known by its moment; an average is a sum over a sum. Reading as of
    a moment is the only way to read, so that a backtest cannot see the future.

    A missing cell is NaN (in an integer metric an error), a true zero is 0. Moments and hours are
    instants; a text or a naive time is taken as UTC.

    Args:
        folder: where the store lives; need not exist yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._pinned: Manifest | None = None

    def pinned(self) -> MetricStore:
        """The store as it is now: whatever is ingested later, all its reads are of one content.

        It reads alone. Where an ingestion lets go of files that it needs, its reads say so.

        Raises:
            StoreError: the store is damaged.
        """
        store = MetricStore(self._folder)
        store._pinned = self._manifest()
        return store

    @property
    def folder(self) -> Path:
        """Where the store lives."""
        return self._folder

    @property
    def manifest_id(self) -> str:
        """sha256 of the store's content; equal ids give equal bits for every read."""
        return self._manifest().id

    @property
    def copies_id(self) -> str:
        """sha256 of the list of merged ledgers, which the manifest does not name; empty without.

        Reads believe that list. Who keeps this digest elsewhere knows whether it was changed.
        """
        return copies_id(self._folder)

    def drop_copies(self) -> None:
        """Removes the merged ledgers, which save time alone: further loads merge them again."""
        with locked(self._folder):
            drop_copies(self._folder)

    def ingest(
        self,
        spec: EventTable | CubeTable,
        source: Source,
        *,
        labels: Mapping[str, Sequence[str]] | None = None,
        coverage: Coverage | None = None,
    ) -> IngestReport:
        """Adds a source.

        The same source twice changes nothing. Bad rows are kept in quarantine with their reason.
        The source enters as a whole or, if the process dies or the source proves unreadable, not
        at all.

        Args:
            spec: what the source holds.
            source: a Parquet or CSV file, a DataFrame, an Arrow table, or rows of a database.
            labels: dim -> labels that exist; rows with another one are quarantined. For a dim left
                out the table's declaration decides.
            coverage: range in which the absence of rows means zero, for tables whose ``empty``
                says so; by default the range and labels of the accepted rows.

        Returns:
            Counts of rows read, accepted, late, duplicate and quarantined.

        Raises:
            SourceError: not Parquet or CSV, or without the declared columns.
            DeclarationError: ``spec`` contradicts what the store holds.
            StoreError: the store is damaged.
        """
        return self.ingest_all([Ingestion(spec, source, labels, coverage)])[0]

    def ingest_all(
        self, items: Sequence[Ingestion], *, derived: Sequence[LinearMetric] = ()
    ) -> tuple[IngestReport, ...]:
        """Adds several sources in one step: all of them, or none where one is wrong.

        Args:
            items: the sources, in order; a source may cover the hours of an earlier one.
            derived: metrics to define in the same step.

        Returns:
            One report per source. Errors as in :meth:`ingest` and :meth:`define`.
        """
        return ingest_all(self._folder, items, derived)

    def accept(self, dim: str, labels: Sequence[str]) -> None:
        """Accepts labels that were set aside as new; ingest their sources again to take their rows.

        Args:
            dim: whose labels they are.
            labels: to accept; see ``IngestReport.new_labels``.

        Raises:
            UnknownMetricError: no table of the store has that dim.
            DataError: a label is blank, or no text that can be one.
        """
        wanted = {normal(label) for label in _distinct(labels)}
        if "" in wanted:
            raise DataError(f"cannot accept a label of {dim!r}: expected a text; found blanks.")
        for label in sorted(wanted):
            if why := unfit(dim, label):
                raise DataError(
                    f"cannot accept the label {shortened([label[:40]])}: expected a text that can "
                    f"be one; found that {why}. Its rows would be set aside all the same."
                )
        with locked(self._folder):
            manifest = read_manifest(self._folder)
            dims = {name for table in manifest.tables.values() for name in table.dims}
            if dim not in dims:
                raise UnknownMetricError(dim, dims, what="dim")
            # Those that the store has stay accepted when their sources are read again.
            known = _labels(manifest).get(dim, ())
            held = tuple(sorted({*manifest.accepted.get(dim, ()), *known, *wanted}))
            accepted = {**manifest.accepted, dim: held}
            write_manifest(self._folder, replace(manifest, accepted=accepted))

    def accepted_since(self, before: str, dim: str, labels: Sequence[str]) -> bool:
        """Whether the store is what an earlier one became by accepting these labels, and no more.

        That is what is found where :meth:`accept` was killed before its caller wrote it down.

        Args:
            before: ``manifest_id`` of the earlier one.
            dim: whose labels they are.
            labels: that were accepted.
        """
        manifest = self._manifest()
        held = set(manifest.accepted.get(dim, ()))
        wanted = sorted({normal(label) for label in _distinct(labels)})
        if not held.issuperset(wanted):
            return False
        others = {name: names for name, names in manifest.accepted.items() if name != dim}
        # Some of them may have been accepted earlier, or none of the dim's.
        most = len(wanted) if len(wanted) <= 8 else 0
        known = [again for n in range(most + 1) for again in combinations(wanted, n)]
        first = held == {*_labels(manifest).get(dim, ()), *wanted}
        earlier = [others] if first else []
        earlier += [{**others, dim: tuple(held.difference(wanted) | set(k))} for k in known]
        return any(replace(manifest, accepted=found).id == before for found in earlier)

    def define(self, *metrics: LinearMetric) -> None:
        """Adds metrics computed from others, such as a profit.

        Raises:
            DeclarationError: a term is unknown, or the name is taken by an event table.
        """
        with locked(self._folder):
            write_manifest(self._folder, define(read_manifest(self._folder), metrics))

    def read(
        self,
        names: Sequence[str],
        *,
        start: Moment,
        end: Moment,
        as_of: Moment,
        labels: Mapping[str, Sequence[str]] | None = None,
        cache: bool = True,
    ) -> Panel:
        """Reads metrics hour by hour, as known at a moment.

        Args:
            names: metrics, plain or derived.
            start: first hour.
            end: last hour, inclusive.
            as_of: only rows known by then count; rounded down to the hour.
            labels: dim -> labels to read, in this order; of a dim left out all, sorted.
            cache: whether to keep the cubes for the next read of the same.

        Returns:
            A panel of one IndexTensor per metric, dims as declared, e.g. (region, hour). Missing
            cells are NaN: no row and no coverage, or a mean over nothing.

        Raises:
            UnknownMetricError: the store does not hold a metric, dim or label asked for.
            MissingCellsError: a cell of an integer metric is missing.
        """
        manifest = self._manifest()
        window = self._window(manifest, start, end, as_of, labels)
        wanted = _distinct(names)
        for name in wanted:
            if name not in manifest.derived:
                find_metric(manifest, name)
        key = cache_key(
            names=sorted(wanted),
            start=str(window.hours[0]),
            end=str(window.hours[-1]),
            as_of=str(window.as_of),
            labels={dim: list(entries) for dim, entries in window.labels.items()},
            manifest=manifest.id,
        )
        folder = self._folder / CACHE
        cubes = recall(folder, key) if cache else None
        if cubes is None:
            with self._steady():
                reader = Reader(self._folder, manifest, window, identity(window))
                cubes = {name: cube(*reader.metric(name)) for name in wanted}
            if cache:
                remember(folder, key, cubes)
        return _panel({name: cubes[name] for name in wanted}, window.labels, window.hours)

    def counts(
        self,
        names: Sequence[str],
        *,
        start: Moment,
        end: Moment,
        as_of: Moment,
        labels: Mapping[str, Sequence[str]] | None = None,
    ) -> Panel:
        """Reads how many rows stand behind each cell, as weights or as a mask.

        Arguments as in :meth:`read`; derived metrics have no rows of their own.

        Returns:
            A panel of float64 counts: NaN where a cell is missing, 0 where it is a true zero that
            no row reported.
        """
        manifest = self._manifest()
        window = self._window(manifest, start, end, as_of, labels)
        with self._steady():
            reader = Reader(self._folder, manifest, window, identity(window))
            cubes = {name: cube(*reader.count(name)) for name in _distinct(names)}
        return _panel(cubes, window.labels, window.hours)

    def rollup(
        self,
        names: Sequence[str],
        *,
        start: Moment,
        end: Moment,
        as_of: Moment,
        labels: Mapping[str, Sequence[str]] | None = None,
        by: Mapping[str, Mapping[str, str]] | None = None,
        frequency: Frequency = "h",
        zone: str = "UTC",
    ) -> Panel:
        """Reads metrics aggregated over labels and time, exactly.

        Components are added before anything is divided, so a daily average is the day's sum over
        the day's count. A group with a missing cell is missing: a partial sum would look like a
        low one.

        Args:
            names: metrics, as in :meth:`read`.
            start: first hour; must begin a bucket.
            end: last hour, inclusive; must end a bucket.
            as_of: as in :meth:`read`.
            labels: as in :meth:`read`.
            by: dim -> label -> group; a label without a group is left out. Groups are sorted.
            frequency: "h", "D", "W" (from Monday) or "MS" (calendar months).
            zone: whose days, weeks and months; a day of a clock change has 23 or 25 hours.

        Raises:
            DataError: ``start`` or ``end`` cuts a bucket in two.
        """
        manifest = self._manifest()
        window = self._window(manifest, start, end, as_of, labels)
        for name in names:
            if name not in manifest.derived:
                find_metric(manifest, name)
        for dim in by or {}:
            if dim not in window.labels:
                raise UnknownMetricError(dim, window.labels, what="dim")
        window, groups = grouped(window, by or {}, frequency, zone)
        with self._steady():
            reader = Reader(self._folder, manifest, window, groups)
            cubes = {name: cube(*reader.metric(name)) for name in _distinct(names)}
        return _panel(cubes, groups.labels, groups.buckets)

    def tables(self) -> dict[str, EventTable]:
        """Declarations of every table held, by name, sorted; a cube is one, too."""
        tables = self._manifest().tables
        return {name: tables[name] for name in sorted(tables)}

    def metrics(self) -> dict[str, MetricSpec | LinearMetric]:
        """Declarations of every metric, by name, sorted."""
        manifest = self._manifest()
        return {
            name: manifest.derived[name]
            if name in manifest.derived
            else find_metric(manifest, name)[1]
            for name in metric_names(manifest)
        }

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Labels of every dim but hour, sorted: those with rows and those declared covered."""
        manifest = self._manifest()
        shown = {dim for s in self.metrics().values() for dim in s.dims}
        return {dim: names for dim, names in _labels(manifest).items() if dim in shown}

    def spans(self) -> dict[str, Span]:
        """First and last hour of every event table's rows, and when the last was known."""
        with self._steady():
            return spans(self._folder, self._manifest())

    def reports(self) -> tuple[IngestReport, ...]:
        """The counts of every source held, by table."""
        batches = sorted(self._manifest().batches.values(), key=lambda b: (b.table, b.id))
        return tuple(batch.report for batch in batches)

    def quarantine(self, table: str) -> pd.DataFrame:
        """Rows of a table kept out, as read, with the column ``reason`` first.

        For rows of a CSV file ``_line`` is the line it stands in and ``_text`` the row as written;
        lines that are no rows have these alone.

        Raises:
            UnknownMetricError: no source of that table was ingested.
        """
        return quarantine(self._folder, self._manifest(), table)

    def conflicts(self, table: str) -> pd.DataFrame:
        """Rows of a table that contradict each other: one key, other content.

        Returns:
            The rows set aside and, where there is one, the accepted row of their key, by key. The
            first column, ``row``, says "accepted" or "set aside".

        Raises:
            UnknownMetricError: no source of that table was ingested.
        """
        return conflicts(self._folder, self._manifest(), table)

    def sql(self, table: str, dialect: str = "duckdb") -> str:
        """The statement that makes a table's ledger, for a warehouse; see :func:`ledger_sql`."""
        manifest = self._manifest()
        if table not in manifest.tables:
            raise UnknownMetricError(table, manifest.tables, what="event table")
        return ledger_sql(manifest.tables[table], dialect)

    def verify(self, *, deep: bool = True) -> None:
        """Compares every file, cached cubes included, with what was written.

        Args:
            deep: whether every byte is read; otherwise sizes and a sample of each file, which is
                what every read does for the files it needs.

        Raises:
            StoreError: a file is absent or differs, or stands where ledgers are kept although the
                manifest does not name it.
        """
        verify(self._folder, self._manifest(), deep=deep)

    def append_components(
        self,
        spec: EventTable,
        rows: pd.DataFrame,
        *,
        coverage: Coverage | None = None,
    ) -> IngestReport:
        """Adds rows that are aggregated already, for example by a warehouse running :meth:`sql`.

        Args:
            spec: the table they belong to; its sums name the columns.
            rows: columns are the dims, ``hour``, ``known_at`` (instants), ``n`` and the sums.
            coverage: as in :meth:`ingest`.

        Returns:
            Counts of component rows, not of events.

        Raises:
            SourceError: a column is missing or of another type, or a row is not additive.
        """
        return append(self._folder, spec, rows, coverage)

    def _manifest(self) -> Manifest:
        return read_manifest(self._folder) if self._pinned is None else self._pinned

    @contextmanager
    def _steady(self) -> Iterator[None]:
        """One read; a file that an ingestion let go of meanwhile is no damage.

        Raises:
            StoreError: a file is absent or differs.
        """
        manifest = self._manifest()
        try:
            yield
        except StoreError as error:
            if read_manifest(self._folder) == manifest:
                raise
            raise StoreError(
                f"cannot read the metric store {self._folder}: expected what it held when it was "
                f"opened; found that an ingestion has replaced files of it since. Run the command "
                f"again: it then reads what is there now."
            ) from error

    def _window(
        self,
        manifest: Manifest,
        start: Moment,
        end: Moment,
        as_of: Moment,
        labels: Mapping[str, Sequence[str]] | None,
    ) -> Window:
        first, last = hour_of(start, "start"), hour_of(end, "end")
        if last < first:
            raise DataError(
                f"cannot read from {first} to {last}: expected an end at or after the start; "
                f"found it before. Exchange them."
            )
        read = _labels(manifest)
        for dim, names in (labels or {}).items():
            if dim not in read:
                raise UnknownMetricError(dim, read, what="dim")
            chosen = _distinct(names)
            for name in chosen:
                if name not in read[dim]:
                    raise UnknownMetricError(name, read[dim], what=dim)
            read[dim] = chosen
        hours = pd.date_range(first, last, freq="h", name="hour").as_unit("us")
        return Window(pd.DatetimeIndex(hours), moment_of(as_of, "as_of").floor("h"), read)


def _labels(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {
        dim: set() for table in manifest.tables.values() for dim in table.dims
    }
    for batch in manifest.batches.values():
        if batch.coverage is not None:
            for dim, names in batch.coverage.labels.items():
                found.setdefault(dim, set()).update(names)
    return {dim: tuple(sorted(found[dim])) for dim in sorted(found)}


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"expected a sequence of names; found the text {names!r}: use [{names!r}]")
    return tuple(dict.fromkeys(names))


def _panel(
    cubes: Mapping[str, Cube],
    labels: Mapping[str, tuple[str, ...]],
    hours: pd.DatetimeIndex,
) -> Panel:
    from dagcast_core.tensor import IndexTensor, Panel

    def indexes(dims: Sequence[str]) -> dict[str, pd.Index]:
        names = {dim: pd.Index(labels[dim], name=dim) for dim in dims[:-1]}
        return {**names, dims[-1]: hours}

    return Panel(
        [IndexTensor(cubes[name].values, indexes(cubes[name].dims), name) for name in cubes]
    )
