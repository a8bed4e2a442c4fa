"""The files and the report of one source, out of its judged rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import DeclarationError, SourceError
from dagcast_core.data._manifest import Batch, Coverage, StoredFile, adopt, draft, unwritten
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import OpenSource
from dagcast_core.data._sql import KNOWN, by_key, listed, quoted, text

_PARQUET = "(FORMAT parquet, COMPRESSION zstd)"
_QUICK = "(FORMAT parquet, COMPRESSION snappy)"
"""For the accepted rows, which are many and read only where a later source repeats them."""


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
    execute(connection, f"CREATE TEMP TABLE ledger AS {ledger}", opened, table)
    refused = dict(
        connection.execute(
            "SELECT reason, COUNT(*) FROM staged WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1"
        ).fetchall()
    )
    files = _write(connection, folder, layout, opened, clean=not refused)
    coverage, gaps = _coverage(connection, table)
    return Batch(
        id=key,
        table=table.name,
        ledger=files[0],
        keys=files[1],
        quarantine=files[2],
        coverage=coverage,
        report=_report(connection, layout, opened, refused, gaps),
    )


def execute(
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
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise SourceError(
            f"{opened.label} as {table.name!r}",
            "rows that can be read to the end",
            f"a damaged file ({_first_line(error)})",
            "Write the file again.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _write(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    table: EventTable,
    opened: OpenSource,
    *,
    clean: bool,
) -> tuple[StoredFile | None, StoredFile | None, StoredFile | None]:
    """Writes ledger, keys and, unless every row is good, quarantine; none without rows is kept."""
    dims = [quoted(dim) for dim in table.dims]
    sums = [quoted(entry.name) for entry in table.sums]
    times = ["hour", "known_at", *(["revised_at"] if table.revision == "latest" else [])]
    zoned = [f"CAST({name} AS TIMESTAMPTZ) AS {name}" for name in times]
    chosen = ", ".join([*dims, *zoned, "n", *sums])
    order = ", ".join(["hour", *dims, *times[1:], "n", *sums])
    ledger = f"SELECT {chosen} FROM ledger ORDER BY {order}"
    key = listed(by_key(table))
    rows = listed([column.name for column in table.columns])
    keys = f"SELECT {rows} FROM staged WHERE reason IS NULL ORDER BY {key}"
    clean = clean and (opened.csv is None or not opened.csv.refused)
    refused = "" if clean else _set_aside(connection, table, opened)
    return (
        _copy(connection, folder, "ledgers", table.name, ledger),
        _copy(connection, folder, "keys", table.name, keys) if table.key else None,
        _copy(connection, folder, "quarantine", table.name, refused) if refused else None,
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
    names = [str(row[0]) for row in connection.execute(f"DESCRIBE {opened.rows}").fetchall()]
    written = [f"{opened.rows}.{quoted(name)}" for name in names if name != "_line"]
    cells = ", ".join(f"COALESCE({cell}, '')" for cell in written)
    mark = text(opened.csv.delimiter)
    return (
        f"SELECT reason, {opened.line} AS _line, concat_ws({mark}, {cells}) AS _text, {columns} "
        f"FROM staged AS s LEFT JOIN {opened.rows} ON {opened.rows}.rowid = s._row "
        f"WHERE reason IS NOT NULL "
        f"UNION ALL BY NAME SELECT * FROM refused ORDER BY ALL"
    )


def _copy(
    connection: duckdb.DuckDBPyConnection, folder: Path, kind: str, table: str, query: str
) -> StoredFile | None:
    temporary = draft(folder, f"{kind}.parquet")
    form = _QUICK if kind == "keys" else _PARQUET
    statement = f"COPY ({query}) TO {text(str(temporary))} {form}"
    try:
        rows = int(connection.execute(statement).fetchall()[0][0])
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise unwritten(folder, _first_line(error)) from error
    if not rows:
        temporary.unlink()
        return None
    return adopt(folder, temporary, kind, table, rows)


def _coverage(
    connection: duckdb.DuckDBPyConnection, table: EventTable
) -> tuple[Coverage | None, int]:
    """Range and labels of the accepted rows, where none are stated; hours without a row."""
    first, last, gaps = connection.execute(
        "SELECT strftime(min(hour), '%Y-%m-%dT%H:00:00Z'), "
        "strftime(max(hour), '%Y-%m-%dT%H:00:00Z'), "
        "date_diff('hour', min(hour), max(hour)) + 1 - COUNT(DISTINCT hour) FROM ledger"
    ).fetchall()[0]
    if first is None:
        return None, 0
    labels = {
        dim: tuple(
            row[0]
            for row in connection.execute(
                f"SELECT DISTINCT {quoted(dim)} FROM ledger ORDER BY 1"
            ).fetchall()
        )
        for dim in table.dims
    }
    return Coverage(first, last, labels), int(gaps)


def _report(
    connection: duckdb.DuckDBPyConnection,
    table: EventTable,
    opened: OpenSource,
    reasons: Mapping[str, int],
    gaps: int,
) -> IngestReport:
    time = quoted(table.until or table.time)
    allowance = round(table.late_after_hours * 3_600_000_000)
    late = f"epoch_us({KNOWN}) - epoch_us({time}) > {allowance}" if table.known_at else "FALSE"
    counts = [
        "COUNT(*)",
        "COUNT(*) FILTER (reason IS NULL)",
        f"COUNT(*) FILTER (reason IS NULL AND {late})",
        "COUNT(*) FILTER (reason IS NULL AND _ambiguous)",
        "COUNT(*) FILTER (reason IS NULL AND _nonexistent)",
        *(f"COUNT(*) FILTER (reason IS NULL AND ({r.fails}))" for r in table.remarks),
    ]
    counted = connection.execute(f"SELECT {', '.join(counts)} FROM staged").fetchall()[0]
    remarks = {r.reason: int(n) for r, n in zip(table.remarks, counted[5:], strict=True)}
    refused = {str(why): int(count) for why, count in reasons.items()}
    lines = Counter() if opened.csv is None else Counter(opened.csv.counts)
    return IngestReport(
        table=table.name,
        read=int(counted[0]) + lines.total(),
        accepted=int(counted[1]),
        duplicates=refused.pop("duplicate", 0),
        late=int(counted[2]),
        quarantined=dict(sorted((lines + Counter(refused)).items())),
        gaps=gaps,
        ambiguous=int(counted[3]),
        nonexistent=int(counted[4]),
        remarks={why: count for why, count in remarks.items() if count},
        source_sha256=opened.sha256,
        dialect="" if opened.csv is None else opened.csv.words,
    )
