"""Rows of one key: which repeat another one, and which contradict it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from dagcast_core.data._compact import key_files
from dagcast_core.data._declare import EventTable
from dagcast_core.data._manifest import Manifest
from dagcast_core.data._sql import (
    CONFLICT,
    KNOWN,
    by_key,
    content_of,
    identity_of,
    listed,
    parquet,
    quoted,
    text,
)


def mark_repeats(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    manifest: Manifest,
    table: EventTable,
    sure: set[str] | None = None,
) -> None:
    """Marks good rows whose key was accepted in an earlier source, or earlier in this one.

    A row that says the same is a duplicate, one that says something else a conflict: nobody knows
    which of the two is right, so neither is dropped without a word. For ``sure`` see
    :func:`key_files`.
    """
    if not table.key:
        return
    stored = key_files(folder, manifest, table.name, sure)
    if stored:
        _compare_with_stored(connection, _near(connection, parquet(stored), table), table)
    _compare_within(connection, table)


def _near(connection: duckdb.DuckDBPyConnection, stored: str, table: EventTable) -> str:
    """Stored rows in the range of the new ones: constants, which skip whole parts of files."""
    kinds = {column.name: column.kind for column in table.columns}
    ranged = [name for name in by_key(table) if kinds[name] in ("instant", "integer")]
    if not ranged:
        return stored
    limits = ", ".join(f"min({quoted(name)}), max({quoted(name)})" for name in ranged)
    row = connection.execute(f"SELECT {limits} FROM staged WHERE reason IS NULL").fetchall()[0]
    if row[0] is None:
        return stored
    within = " AND ".join(
        f"{quoted(name)} BETWEEN {_constant(low)} AND {_constant(high)}"
        for name, low, high in zip(ranged, row[::2], row[1::2], strict=True)
        if low is not None
    )
    return f"(SELECT * FROM {stored} WHERE {within})"


def _constant(value: datetime | int) -> str:
    return f"TIMESTAMP '{value.isoformat(sep=' ')}'" if isinstance(value, datetime) else str(value)


def _compare_with_stored(
    connection: duckdb.DuckDBPyConnection, stored: str, table: EventTable
) -> None:
    key = listed(identity_of(table))
    made = connection.execute(
        f"CREATE OR REPLACE TEMP TABLE hits AS SELECT {key} FROM {stored} SEMI JOIN "
        f"(SELECT {key} FROM staged WHERE reason IS NULL) USING ({key})"
    )
    if not made.fetchall()[0][0]:
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
    key = listed(identity_of(table))
    made = connection.execute(
        f"CREATE OR REPLACE TEMP TABLE doubled AS SELECT {key}, min({KNOWN}) AS _first FROM staged "
        f"WHERE reason IS NULL GROUP BY {key} HAVING COUNT(*) > 1"
    )
    if not made.fetchall()[0][0]:
        return
    # Of several rows with one key the one known first counts, and what says the same repeats it. If
    # those known first contradict each other, none of them counts; never the order in the file.
    content = listed(content_of(table))
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
