"""Ingestion: read, judge, tell duplicates, aggregate, and commit in one step."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from dagcast_core.data._csv import Dialect
from dagcast_core.data._cube import CubeTable
from dagcast_core.data._declare import EventTable, LinearMetric
from dagcast_core.data._errors import DeclarationError, SourceError
from dagcast_core.data._gaps import find_holes
from dagcast_core.data._labels import LabelRule, judge_labels, normal
from dagcast_core.data._manifest import (
    Batch,
    Coverage,
    Manifest,
    StoredFile,
    adopt,
    find_metric,
    locked,
    note_pending,
    read_manifest,
    settled,
    trust,
    unwritten,
    write_manifest,
)
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import OpenSource, Source, connect, open_source
from dagcast_core.data._sql import (
    CONFLICT,
    KNOWN,
    aggregate,
    content_of,
    identity_of,
    parquet,
    quoted,
    staged,
    text,
)

_PARQUET = "(FORMAT parquet, COMPRESSION zstd)"
_QUICK = "(FORMAT parquet, COMPRESSION snappy)"
"""For the accepted rows, which are many and read only where a later source repeats them."""


@dataclass(frozen=True, slots=True)
class Ingestion:
    """One source on its way into a store.

    Attributes:
        spec: what the source holds.
        source: a Parquet or CSV file, a DataFrame or an Arrow table.
        labels: dim -> labels that exist; rows with another one are quarantined. For a dim left out
            the table's declaration decides.
        coverage: range in which the absence of rows means zero; by default the hours of the
            accepted rows and the labels allowed, or else found.
        like: table whose hours are covered instead, out of the same call: coupons given in a few
            hours say that none were given in the other hours with sessions.
        since: label -> moment it opened. Rows before it are quarantined, and its cells before
            the hour of it are missing; an interval that reaches into it counts from there.
        begins: dim whose labels ``since`` names.
        dialect: of a CSV file, where it should not be found.
    """

    spec: EventTable | CubeTable
    source: Source
    labels: Mapping[str, Sequence[str]] | None = None
    coverage: Coverage | None = None
    like: str | None = None
    since: Mapping[str, str] = field(default_factory=dict)
    begins: str = "region"
    dialect: Dialect | None = None


def ingest_all(
    folder: Path, items: Sequence[Ingestion], derived: Sequence[LinearMetric] = ()
) -> tuple[IngestReport, ...]:
    """Adds sources to the store in ``folder``; see :meth:`MetricStore.ingest_all`."""
    with ExitStack() as stack:
        work: list[_Work] = []
        accepted = read_manifest(folder).accepted
        for item in items:
            # All sources are opened before anything is locked or written: the wrong file in the
            # last place must not leave the others half in.
            connection = stack.enter_context(connect())
            table = item.spec.table() if isinstance(item.spec, CubeTable) else item.spec
            allowed = _checked_labels(table, item.labels)
            opened = open_source(connection, table, item.source, item.dialect)
            item = replace(item, since=_checked_openings(item, table))
            key = batch_id(table, opened, allowed, item, accepted)
            work.append(_Work(item, table, connection, opened, allowed, key))
        tables = [entry.table for entry in work]
        before = read_manifest(folder)
        after = _declare(before, tables, derived)
        known = all(entry.key in before.batches for entry in work)
        if after == before and known and settled(folder):
            return tuple(replace(before.batches[e.key].report, unchanged=True) for e in work)
        with locked(folder):
            before = read_manifest(folder)
            manifest = _declare(before, tables, derived)
            reports = []
            for entry in work:
                held = manifest.batches.get(entry.key)
                if held is not None:
                    reports.append(replace(held.report, unchanged=True))
                    continue
                manifest = _without_former(folder, manifest, entry)
                batch = _ingest_one(folder, manifest, entry)
                reports.append(batch.report)
                manifest = replace(manifest, batches={**manifest.batches, batch.id: batch})
            if manifest != before:
                # Only now is there what the tables say of each other.
                manifest = _with_holes(folder, before, manifest)
                write_manifest(folder, manifest)
    return tuple(
        replace(report, holes=manifest.batches[entry.key].report.holes)
        if entry.key in manifest.batches
        else report
        for entry, report in zip(work, reports, strict=True)
    )


def _with_holes(folder: Path, before: Manifest, manifest: Manifest) -> Manifest:
    """Looks for holes in the tables that got rows, and in those that these rows imply rows of."""
    batches = dict(manifest.batches)
    new = {key: batch for key, batch in batches.items() if key not in before.batches}
    filled = {batch.table for batch in new.values()}
    for key, batch in new.items():
        if batch.coverage is None:
            continue
        implied = [
            table
            for table in manifest.tables.values()
            if table.name not in filled
            and any(entry.table == batch.table for entry in table.implied_by)
        ]
        span = (batch.coverage.start, batch.coverage.end)
        holes = tuple(
            hole
            for table in (manifest.tables[batch.table], *implied)
            for hole in find_holes(folder, manifest, table, *span)
        )
        batches[key] = replace(batch, report=replace(batch.report, holes=holes))
    return replace(manifest, batches=batches)


@dataclass(frozen=True, slots=True)
class _Work:
    item: Ingestion
    table: EventTable
    connection: duckdb.DuckDBPyConnection
    opened: OpenSource
    allowed: Mapping[str, tuple[str, ...]]
    key: str


def _ingest_one(folder: Path, manifest: Manifest, entry: _Work) -> Batch:
    table, connection = entry.table, entry.connection
    opening = entry.item.begins if entry.item.since and entry.item.begins in table.dims else None
    if opening:
        connection.register("openings", _openings(entry.item.since))
    row = "NULL" if entry.opened.csv is None else "source.rowid"
    opened = entry.opened
    judged = staged(table, opened.found, opened.years, odd=opened.odd, opening=opening, row=row)
    statement = f"CREATE TEMP TABLE staged AS {judged}"
    _execute(connection, statement, entry.opened, table)
    news = judge_labels(connection, table, _label_rules(manifest, entry))
    _mark_duplicates(connection, folder, manifest, table)
    ledger = aggregate(table, "staged", KNOWN, "reason IS NULL")
    batch = make_batch(connection, folder, table, table, entry.opened, entry.key, ledger)
    # The rows are on the disk now; several tables need not be held at once.
    connection.execute("DROP TABLE staged; DROP TABLE ledger")
    if entry.opened.csv is not None:
        connection.execute("DROP TABLE source")
    report = replace(batch.report, new_labels=news)
    return replace(batch, coverage=_stated_coverage(manifest, entry, batch), report=report)


def _label_rules(manifest: Manifest, entry: _Work) -> dict[str, LabelRule]:
    rules = {}
    for dim in entry.table.dims:
        if dim in entry.allowed:
            rules[dim] = LabelRule(allowed=entry.allowed[dim])
        elif entry.table.labels.get(dim) == "any":
            rules[dim] = LabelRule()
        else:
            known = set(manifest.accepted.get(dim, ()))
            for batch in manifest.batches.values():
                if batch.coverage is not None:
                    known.update(batch.coverage.labels.get(dim, ()))
            rules[dim] = LabelRule(known=known)
    return rules


def _without_former(folder: Path, manifest: Manifest, entry: _Work) -> Manifest:
    """Lets go of what the same source gave under other options: it is judged anew, not added."""
    former = [
        batch
        for batch in manifest.of_table(entry.table.name)
        if batch.report.source_sha256 == entry.opened.sha256
    ]
    note_pending(folder, (item.path for batch in former for item in batch.files()))
    gone = {batch.id for batch in former}
    kept = {key: batch for key, batch in manifest.batches.items() if key not in gone}
    return replace(manifest, batches=kept)


def _stated_coverage(manifest: Manifest, entry: _Work, batch: Batch) -> Coverage | None:
    item = entry.item
    if item.coverage is not None:
        return item.coverage
    hours = batch.coverage
    if item.like is not None:
        others = [b.coverage for b in manifest.of_table(item.like) if b.coverage is not None]
        hours = (
            Coverage(min(c.start for c in others), max(c.end for c in others)) if others else None
        )
    if hours is None:
        return None
    found = {} if batch.coverage is None else batch.coverage.labels
    return Coverage(hours.start, hours.end, {**found, **entry.allowed}, item.since, item.begins)


def _openings(since: Mapping[str, str]) -> pa.Table:
    opens = [_opening(moment).tz_localize(None).to_pydatetime() for moment in since.values()]
    return pa.table(
        {
            "_label": pa.array(list(since), pa.string()),
            "_opens": pa.array(opens, pa.timestamp("us")),
        }
    )


def _opening(moment: str) -> pd.Timestamp:
    """The hour in which a label opened: the cell that is its first."""
    found = pd.Timestamp(moment)
    return (found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")).floor(
        "h"
    )


def make_batch(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    table: EventTable,
    layout: EventTable,
    opened: OpenSource,
    key: str,
    ledger: str,
) -> Batch:
    """Aggregates the staged rows and writes the files of a batch, which no manifest names yet.

    Args:
        connection: holds the judged rows as the table ``staged``.
        folder: of the store; the caller holds its lock.
        table: the declaration that the store keeps.
        layout: the declaration that the staged rows follow; differs for components.
        opened: the source.
        key: id of the batch.
        ledger: SELECT over ``staged`` that yields the ledger.
    """
    _execute(connection, f"CREATE TEMP TABLE ledger AS {ledger}", opened, table)
    files = _write(connection, folder, layout, opened)
    return Batch(
        id=key,
        table=table.name,
        ledger=files[0],
        keys=files[1],
        quarantine=files[2],
        coverage=_coverage(connection, table),
        report=_report(connection, layout, opened),
    )


def _declare(
    manifest: Manifest, tables: Sequence[EventTable], derived: Sequence[LinearMetric]
) -> Manifest:
    for table in tables:
        manifest = replace(manifest, tables=declared(manifest, table))
    return define(manifest, derived)


def define(manifest: Manifest, derived: Sequence[LinearMetric]) -> Manifest:
    """The manifest with derived metrics added.

    Raises:
        DeclarationError: a term is unknown or derived itself, or the name is taken.
    """
    for metric in derived:
        for table in manifest.tables.values():
            if any(spec.name == metric.name for spec in table.metrics):
                raise DeclarationError(
                    f"cannot define {metric.name!r}: expected a name of its own; found it in "
                    f"table {table.name!r} already. Rename one of them."
                )
        _check_terms(manifest, metric)
        if not metric.dims:
            held = [find_metric(manifest, name)[1].dims for name in metric.terms]
            shared = tuple(dim for dim in held[0] if all(dim in dims for dims in held))
            metric = replace(metric, dims=shared)
        manifest = replace(manifest, derived={**manifest.derived, metric.name: metric})
    return manifest


def _check_terms(manifest: Manifest, metric: LinearMetric) -> None:
    for name in metric.terms:
        if name in manifest.derived:
            raise DeclarationError(
                f"cannot define {metric.name!r}: expected terms that are read from an event "
                f"table; found {name!r}, which is derived itself. Write its terms out."
            )
        spec = find_metric(manifest, name)[1]
        lost = [dim for dim in metric.dims if dim not in spec.dims]
        if lost:
            raise DeclarationError(
                f"cannot define {metric.name!r} with dims {metric.dims}: expected terms that have "
                f"them all; found {name!r} with {spec.dims}. Remove {', '.join(lost)}."
            )


def declared(manifest: Manifest, table: EventTable) -> dict[str, EventTable]:
    """The manifest's tables with ``table`` among them.

    Raises:
        DeclarationError: the store's ledger of that name has another layout, or another table has
            a metric of the same name.
    """
    held = manifest.tables.get(table.name)
    if held is not None and held.layout() != table.layout():
        before, after = held.layout(), table.layout()
        changed = sorted(name for name in after if after[name] != before.get(name))
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected the declaration the store was built "
            f"with; found another {', '.join(changed)}. Ingest into a new store, or give the "
            f"table another name."
        )
    owners = {metric: name for name, metric in _metric_owners(manifest) if name != table.name}
    for metric in table.metrics:
        if metric.name in owners:
            raise DeclarationError(
                f"cannot declare metric {metric.name!r} in table {table.name!r}: expected a name "
                f"of its own; found it in {owners[metric.name]!r} already. Rename one of them."
            )
    return {**manifest.tables, table.name: table}


def _metric_owners(manifest: Manifest) -> list[tuple[str, str]]:
    owned = [(t.name, metric.name) for t in manifest.tables.values() for metric in t.metrics]
    return [*owned, *(("the derived metrics", name) for name in manifest.derived)]


def _checked_labels(
    table: EventTable, labels: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    unknown = [dim for dim in labels or {} if dim not in table.dims]
    if unknown:
        raise DeclarationError(
            f"cannot restrict the labels of {', '.join(unknown)} in table {table.name!r}: "
            f"expected dims out of {', '.join(table.dims)}. Remove the others."
        )
    stated: dict[str, Sequence[str]] = {
        dim: rule for dim, rule in table.labels.items() if not isinstance(rule, str)
    }
    stated.update(labels or {})
    return {dim: tuple(sorted(set(map(normal, names)))) for dim, names in stated.items()}


def _checked_openings(item: Ingestion, table: EventTable) -> dict[str, str]:
    try:
        return {label: _opening(moment).isoformat() for label, moment in item.since.items()}
    except (ValueError, TypeError) as error:
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected a moment for every label in since; "
            f"found {dict(item.since)} ({error}). Give texts such as '2025-03-03T00:00Z'."
        ) from error


def batch_id(
    table: EventTable,
    opened: OpenSource,
    allowed: Mapping[str, Sequence[str]],
    item: Ingestion,
    accepted: Mapping[str, Sequence[str]],
) -> str:
    """sha256 of everything that decides what a source contributes."""
    document = {
        "layout": table.layout(),
        "source": opened.sha256,
        "labels": {dim: list(entries) for dim, entries in allowed.items()},
        "open": {
            dim: table.labels.get(dim, list(accepted.get(dim, ())))
            for dim in table.dims
            if dim not in allowed
        },
        "coverage": None if item.coverage is None else item.coverage.to_json(),
        "like": item.like,
        "since": dict(item.since),
        "dialect": None if item.dialect is None else asdict(item.dialect),
    }
    if item.since and item.begins != "region":
        # Left out where it says nothing new, so that a store built before knows its sources again.
        document["begins"] = item.begins
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _execute(
    connection: duckdb.DuckDBPyConnection, statement: str, opened: OpenSource, table: EventTable
) -> None:
    """Runs a statement over the source; a damaged file shows itself only here."""
    try:
        connection.execute(statement)
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected SQL expressions over the declared "
            f"columns in its sums and checks; found {_first_line(error)}. Correct the declaration."
        ) from error
    except duckdb.Error as error:
        raise SourceError(
            f"{opened.label} as {table.name!r}",
            "rows that can be read to the end",
            f"a damaged file ({_first_line(error)})",
            "Write the file again.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _mark_duplicates(
    connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest, table: EventTable
) -> None:
    """Marks good rows whose key was accepted in an earlier source, or earlier in this one.

    A row that says the same is a duplicate, one that says something else a conflict: nobody knows
    which of the two is right, so neither is dropped without a word.
    """
    if not table.key:
        return
    stored = [batch.keys for batch in manifest.of_table(table.name) if batch.keys is not None]
    if stored:
        _compare_with_stored(connection, parquet(trust(folder, stored)), table)
    _compare_within(connection, table)


def _compare_with_stored(
    connection: duckdb.DuckDBPyConnection, stored: str, table: EventTable
) -> None:
    key = _listed(identity_of(table))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE hits AS SELECT {key} FROM {stored} SEMI JOIN "
        f"(SELECT {key} FROM staged WHERE reason IS NULL) USING ({key})"
    )
    if not connection.execute("SELECT COUNT(*) FROM hits").fetchall()[0][0]:
        return
    same = " AND ".join(
        f"s.{quoted(name)} IS NOT DISTINCT FROM h.{quoted(name)}" for name in content_of(table)
    )
    matched = " AND ".join(f"s.{quoted(k)} = h.{quoted(k)}" for k in identity_of(table))
    connection.execute(
        f"UPDATE staged SET reason = found.why FROM (SELECT s.rowid AS row, CASE WHEN "
        f"bool_or({same or 'TRUE'}) THEN 'duplicate' ELSE {text(CONFLICT)} END AS why "
        f"FROM staged AS s JOIN (SELECT * FROM {stored} SEMI JOIN hits USING ({key})) AS h "
        f"ON {matched} WHERE s.reason IS NULL GROUP BY s.rowid) AS found "
        f"WHERE staged.rowid = found.row"
    )


def _compare_within(connection: duckdb.DuckDBPyConnection, table: EventTable) -> None:
    key = _listed(identity_of(table))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE doubled AS SELECT {key}, min({KNOWN}) AS _first FROM staged "
        f"WHERE reason IS NULL GROUP BY {key} HAVING COUNT(*) > 1"
    )
    if not connection.execute("SELECT COUNT(*) FROM doubled").fetchall()[0][0]:
        return
    # Of several rows with one key the one known first counts, and what says the same repeats it. If
    # those known first contradict each other, none of them counts; never the order in the file.
    content = _listed(content_of(table))
    row = f"row({content})" if content else "TRUE"
    connection.execute(
        f"UPDATE staged SET reason = found.why FROM (SELECT row, CASE WHEN least IS DISTINCT FROM "
        f"most OR content IS DISTINCT FROM least THEN {text(CONFLICT)} WHEN place > 1 THEN "
        f"'duplicate' END AS why FROM (SELECT s.rowid AS row, {row} AS content, "
        f"min({row}) FILTER ({KNOWN} = _first) OVER (PARTITION BY {key}) AS least, "
        f"max({row}) FILTER ({KNOWN} = _first) OVER (PARTITION BY {key}) AS most, "
        f"row_number() OVER (PARTITION BY {key} ORDER BY {KNOWN}, {row}) AS place "
        f"FROM staged AS s JOIN doubled USING ({key}) WHERE reason IS NULL)) AS found "
        f"WHERE staged.rowid = found.row"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: EventTable, opened: OpenSource
) -> tuple[StoredFile | None, StoredFile | None, StoredFile | None]:
    """Writes ledger, keys and quarantine; a file without rows is not kept."""
    dims = [quoted(dim) for dim in table.dims]
    sums = [quoted(entry.name) for entry in table.sums]
    times = ["hour", "known_at", *(["revised_at"] if table.revision == "latest" else [])]
    zoned = [f"CAST({name} AS TIMESTAMPTZ) AS {name}" for name in times]
    chosen = ", ".join([*dims, *zoned, "n", *sums])
    order = ", ".join(["hour", *dims, *times[1:], "n", *sums])
    ledger = f"SELECT {chosen} FROM ledger ORDER BY {order}"
    key = _listed(identity_of(table))
    rows = _listed([column.name for column in table.columns])
    keys = f"SELECT {rows} FROM staged WHERE reason IS NULL ORDER BY {key}"
    refused = _set_aside(connection, table, opened)
    return (
        _copy(connection, folder, "ledgers", table.name, ledger),
        _copy(connection, folder, "keys", table.name, keys) if table.key else None,
        _copy(connection, folder, "quarantine", table.name, refused),
    )


def _set_aside(connection: duckdb.DuckDBPyConnection, table: EventTable, opened: OpenSource) -> str:
    """SELECT of the rows and lines kept out: reason, line and text of a CSV file, and columns."""
    names = [quoted(column.name) for column in table.columns]
    columns = ", ".join(f"s.{name}" for name in names)
    if opened.csv is None:
        return (
            f"SELECT reason, CAST(NULL AS BIGINT) AS _line, CAST(NULL AS VARCHAR) AS _text, "
            f"{columns} FROM staged AS s WHERE reason IS NOT NULL ORDER BY ALL"
        )
    lines = opened.csv.refused
    connection.register(
        "refused",
        pa.table(
            {
                "reason": pa.array([line.reason for line in lines], pa.string()),
                "_line": pa.array([line.number for line in lines], pa.int64()),
                "_text": pa.array([line.text for line in lines], pa.string()),
            }
        ),
    )
    cells = ", ".join(f"COALESCE(source.{name}, '')" for name in names)
    mark = text(opened.csv.delimiter)
    return (
        f"SELECT reason, {opened.line} AS _line, concat_ws({mark}, {cells}) AS _text, {columns} "
        f"FROM staged AS s JOIN source ON source.rowid = s._row WHERE reason IS NOT NULL "
        f"UNION ALL BY NAME SELECT * FROM refused ORDER BY ALL"
    )


def _copy(
    connection: duckdb.DuckDBPyConnection, folder: Path, kind: str, table: str, query: str
) -> StoredFile | None:
    temporary = folder / f".tmp-{os.getpid()}-{kind}.parquet"
    form = _QUICK if kind == "keys" else _PARQUET
    statement = f"COPY ({query}) TO {text(str(temporary))} {form}"
    try:
        rows = int(connection.execute(statement).fetchall()[0][0])
    except duckdb.Error as error:
        raise unwritten(folder, _first_line(error)) from error
    if not rows:
        temporary.unlink()
        return None
    return adopt(folder, temporary, kind, table, rows)


def _coverage(connection: duckdb.DuckDBPyConnection, table: EventTable) -> Coverage | None:
    """The range and labels of the accepted rows, where the caller states none."""
    limits = connection.execute(
        "SELECT strftime(min(hour), '%Y-%m-%dT%H:00:00Z'), "
        "strftime(max(hour), '%Y-%m-%dT%H:00:00Z') FROM ledger"
    ).fetchall()[0]
    if limits[0] is None:
        return None
    labels = {
        dim: tuple(
            row[0]
            for row in connection.execute(
                f"SELECT DISTINCT {quoted(dim)} FROM ledger ORDER BY 1"
            ).fetchall()
        )
        for dim in table.dims
    }
    return Coverage(limits[0], limits[1], labels)


def _report(
    connection: duckdb.DuckDBPyConnection, table: EventTable, opened: OpenSource
) -> IngestReport:
    time = quoted(table.until or table.time)
    allowance = round(table.late_after_hours * 3_600_000_000)
    late = f"epoch_us({KNOWN}) - epoch_us({time}) > {allowance}" if table.known_at else "FALSE"
    counted = connection.execute(
        f"SELECT COUNT(*), COUNT(*) FILTER (reason IS NULL), "
        f"COUNT(*) FILTER (reason IS NULL AND {late}), "
        f"COUNT(*) FILTER (reason IS NULL AND _ambiguous), "
        f"COUNT(*) FILTER (reason IS NULL AND _nonexistent) FROM staged"
    ).fetchall()[0]
    reasons = connection.execute(
        "SELECT reason, COUNT(*) FROM staged WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    remarks = {}
    for remark in table.remarks:
        row = connection.execute(
            f"SELECT COUNT(*) FROM staged WHERE reason IS NULL AND ({remark.fails})"
        ).fetchall()[0]
        remarks[remark.reason] = int(row[0])
    refused = {str(why): int(count) for why, count in reasons}
    lines = Counter() if opened.csv is None else Counter(opened.csv.counts)
    gaps = connection.execute(
        "SELECT COALESCE(date_diff('hour', min(hour), max(hour)) + 1 - COUNT(DISTINCT hour), 0) "
        "FROM ledger"
    ).fetchall()[0]
    return IngestReport(
        table=table.name,
        read=int(counted[0]) + lines.total(),
        accepted=int(counted[1]),
        duplicates=refused.pop("duplicate", 0),
        late=int(counted[2]),
        quarantined=dict(sorted((lines + Counter(refused)).items())),
        gaps=int(gaps[0]),
        ambiguous=int(counted[3]),
        nonexistent=int(counted[4]),
        remarks={why: count for why, count in remarks.items() if count},
        source_sha256=opened.sha256,
        dialect="" if opened.csv is None else opened.csv.words,
    )
