"""Ingestion: read, judge, tell duplicates, aggregate, and commit in one step."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import DeclarationError, SourceError
from dagcast_core.data._manifest import (
    Batch,
    Coverage,
    Manifest,
    StoredFile,
    adopt,
    locked,
    read_manifest,
    write_manifest,
)
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import OpenSource, Source, connect, open_source
from dagcast_core.data._sql import KNOWN, aggregate, quoted, staged, text

_PARQUET = "(FORMAT parquet, COMPRESSION zstd)"


def ingest(
    folder: Path,
    table: EventTable,
    source: Source,
    *,
    labels: Mapping[str, Sequence[str]] | None = None,
    coverage: Coverage | None = None,
) -> IngestReport:
    """Adds a source to the store in ``folder``; see :meth:`MetricStore.ingest`."""
    allowed = _checked_labels(table, labels)
    with connect() as connection:
        opened = open_source(connection, table, source)
        key = batch_id(table, opened, allowed, coverage)
        held = already_held(folder, table, key)
        if held is not None:
            return held
        for dim, entries in allowed.items():
            names = pa.table({"label": pa.array(list(entries), pa.string())})
            connection.register(f"allowed_{dim}", names)
        restricted = {dim: dim in allowed for dim in table.dims}
        statement = f"CREATE TEMP TABLE staged AS {staged(table, opened.found, restricted)}"
        _execute(connection, statement, opened, table)
        ledger = aggregate(table, "staged", KNOWN, "reason IS NULL")
        return commit(connection, folder, table, table, opened, key, coverage, ledger)


def already_held(folder: Path, table: EventTable, key: str) -> IngestReport | None:
    """The report of a batch that the store holds, with the table's metrics brought up to date."""
    manifest = read_manifest(folder)
    tables = declared(manifest, table)
    held = manifest.batches.get(key)
    if held is None:
        return None
    if tables != manifest.tables:
        # Metrics are read from the components, so that new ones need no new ledger.
        with locked(folder):
            manifest = read_manifest(folder)
            write_manifest(folder, replace(manifest, tables=declared(manifest, table)))
    return replace(held.report, unchanged=True)


def commit(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    table: EventTable,
    layout: EventTable,
    opened: OpenSource,
    key: str,
    coverage: Coverage | None,
    ledger: str,
) -> IngestReport:
    """Aggregates the staged rows and makes them part of the store in one step.

    Args:
        connection: holds the judged rows as the table ``staged``.
        folder: of the store.
        table: the declaration that the store keeps.
        layout: the declaration that the staged rows follow; differs for components.
        opened: the source.
        key: id of the batch.
        coverage: range in which absence means zero; by default that of the rows.
        ledger: SELECT over ``staged`` that yields the ledger.
    """
    with locked(folder):
        manifest = read_manifest(folder)
        tables = declared(manifest, table)
        _mark_duplicates(connection, folder, manifest, layout)
        _execute(connection, f"CREATE TEMP TABLE ledger AS {ledger}", opened, table)
        files = _write(connection, folder, layout)
        batch = Batch(
            id=key,
            table=table.name,
            ledger=files[0],
            keys=files[1],
            quarantine=files[2],
            coverage=coverage or _coverage(connection, table),
            report=_report(connection, layout, opened),
        )
        batches = {**manifest.batches, key: batch}
        write_manifest(folder, replace(manifest, tables=tables, batches=batches))
    return batch.report


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
    return {dim: tuple(sorted(set(entries))) for dim, entries in (labels or {}).items()}


def batch_id(
    table: EventTable,
    opened: OpenSource,
    allowed: Mapping[str, Sequence[str]],
    coverage: Coverage | None,
) -> str:
    document = {
        "layout": table.layout(),
        "source": opened.sha256,
        "labels": {dim: list(entries) for dim, entries in allowed.items()},
        "coverage": None if coverage is None else coverage.to_json(),
    }
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
    """Marks good rows whose key was accepted in an earlier source, or earlier in this one."""
    if not table.key:
        return
    key = ", ".join(quoted(name) for name in table.key)
    stored = [batch.keys for batch in manifest.of_table(table.name) if batch.keys is not None]
    if stored:
        files = ", ".join(text(str(folder / item.path)) for item in stored)
        connection.execute(
            f"UPDATE staged SET reason = 'duplicate' WHERE reason IS NULL AND ({key}) IN "
            f"(SELECT ({key}) FROM read_parquet([{files}]))"
        )
    connection.execute(
        f"CREATE TEMP TABLE doubled AS SELECT {key} FROM staged WHERE reason IS NULL "
        f"GROUP BY {key} HAVING COUNT(*) > 1"
    )
    found = connection.execute("SELECT COUNT(*) FROM doubled").fetchone()
    if not found or not found[0]:
        return
    # Of several rows with one key the one known first counts; equal moments are decided by content,
    # never by the order of the rows in the file.
    rest = ", ".join(quoted(column.name) for column in table.columns)
    connection.execute(
        f"UPDATE staged SET reason = 'duplicate' WHERE rowid IN (SELECT row FROM (SELECT "
        f"s.rowid AS row, row_number() OVER (PARTITION BY {key} ORDER BY {KNOWN}, {rest}) "
        f"AS place FROM staged s SEMI JOIN doubled USING ({key}) WHERE reason IS NULL) "
        f"WHERE place > 1)"
    )


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: EventTable
) -> tuple[StoredFile | None, StoredFile | None, StoredFile | None]:
    """Writes ledger, keys and quarantine; a file without rows is not kept."""
    dims = [quoted(dim) for dim in table.dims]
    sums = [quoted(entry.name) for entry in table.sums]
    times = ["hour", "known_at", *(["revised_at"] if table.revision == "latest" else [])]
    zoned = [f"CAST({name} AS TIMESTAMPTZ) AS {name}" for name in times]
    chosen = ", ".join([*dims, *zoned, "n", *sums])
    order = ", ".join(["hour", *dims, *times[1:], "n", *sums])
    ledger = f"SELECT {chosen} FROM ledger ORDER BY {order}"
    key = ", ".join(quoted(name) for name in table.key)
    keys = f"SELECT {key} FROM staged WHERE reason IS NULL ORDER BY {key}"
    columns = ", ".join(quoted(column.name) for column in table.columns)
    refused = f"SELECT reason, {columns} FROM staged WHERE reason IS NOT NULL ORDER BY ALL"
    return (
        _copy(connection, folder, "ledgers", table.name, ledger),
        _copy(connection, folder, "keys", table.name, keys) if table.key else None,
        _copy(connection, folder, "quarantine", table.name, refused),
    )


def _copy(
    connection: duckdb.DuckDBPyConnection, folder: Path, kind: str, table: str, query: str
) -> StoredFile | None:
    temporary = folder / f".tmp-{os.getpid()}-{kind}.parquet"
    written = connection.execute(f"COPY ({query}) TO {text(str(temporary))} {_PARQUET}").fetchone()
    rows = int(written[0]) if written else 0
    if not rows:
        temporary.unlink()
        return None
    return adopt(folder, temporary, kind, table, rows)


def _coverage(connection: duckdb.DuckDBPyConnection, table: EventTable) -> Coverage | None:
    """The range and labels of the accepted rows, where the caller states none."""
    limits = connection.execute(
        "SELECT strftime(min(hour), '%Y-%m-%dT%H:00:00Z'), "
        "strftime(max(hour), '%Y-%m-%dT%H:00:00Z') FROM ledger"
    ).fetchone()
    if limits is None or limits[0] is None:
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
    ).fetchone()
    assert counted is not None
    reasons = connection.execute(
        "SELECT reason, COUNT(*) FROM staged WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    refused = {str(why): int(count) for why, count in reasons}
    gaps = connection.execute(
        "SELECT COALESCE(date_diff('hour', min(hour), max(hour)) + 1 - COUNT(DISTINCT hour), 0) "
        "FROM ledger"
    ).fetchone()
    return IngestReport(
        table=table.name,
        read=int(counted[0]),
        accepted=int(counted[1]),
        duplicates=refused.pop("duplicate", 0),
        late=int(counted[2]),
        quarantined=refused,
        gaps=int(gaps[0]) if gaps else 0,
        ambiguous=int(counted[3]),
        nonexistent=int(counted[4]),
        source_sha256=opened.sha256,
    )
