"""Looking into a store: how far tables go, what was kept out, and whether its files are whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from dagcast_core.data._cache import damaged
from dagcast_core.data._compact import damaged_copies, ledger_files
from dagcast_core.data._errors import StoreError, UnknownMetricError, shortened
from dagcast_core.data._manifest import CACHE, Manifest, strangers, trust
from dagcast_core.data._source import connect
from dagcast_core.data._sql import CONFLICT, parquet, quoted, text


@dataclass(frozen=True, slots=True)
class Span:
    """What a store holds of one metric.

    Attributes:
        start: first hour with a row.
        end: last hour with a row.
        known_until: the moment by which all rows were known.
        rows: ledger rows.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    known_until: pd.Timestamp
    rows: int


def spans(folder: Path, manifest: Manifest) -> dict[str, Span]:
    """See :meth:`MetricStore.spans`."""
    found: dict[str, Span] = {}
    with connect() as connection:
        for name in sorted(manifest.tables):
            files = [b.ledger for b in manifest.of_table(name) if b.ledger is not None]
            if not files:
                continue
            row = _query(
                folder,
                connection,
                f"SELECT epoch_us(min(hour)), epoch_us(max(hour)), epoch_us(max(known_at)) "
                f"FROM {parquet(ledger_files(folder, manifest, name))}",
            ).fetchall()[0]
            start, end, known = (
                pd.Timestamp(value, unit="us", tz="UTC").as_unit("us") for value in row
            )
            found[name] = Span(start, end, known, sum(item.rows for item in files))
    return found


def quarantine(folder: Path, manifest: Manifest, table: str) -> pd.DataFrame:
    """See :meth:`MetricStore.quarantine`."""
    if table not in manifest.tables:
        raise UnknownMetricError(table, manifest.tables, what="event table")
    files = [b.quarantine for b in manifest.of_table(table) if b.quarantine is not None]
    columns = (column.name for column in manifest.tables[table].columns)
    names = ["reason", *columns, "_line", "_text"]
    if not files:
        return pd.DataFrame(columns=names)
    chosen = ", ".join(quoted(name) for name in names)
    kept = parquet(trust(folder, files))
    with connect() as connection:
        return _query(folder, connection, f"SELECT {chosen} FROM {kept} ORDER BY ALL").fetchdf()


def conflicts(folder: Path, manifest: Manifest, table: str) -> pd.DataFrame:
    """See :meth:`MetricStore.conflicts`."""
    if table not in manifest.tables:
        raise UnknownMetricError(table, manifest.tables, what="event table")
    spec, batches = manifest.tables[table], manifest.of_table(table)
    names = [column.name for column in spec.columns]
    aside = [b.quarantine for b in batches if b.quarantine is not None and b.report.conflicts]
    if not aside:
        return pd.DataFrame(columns=["row", *names])
    accepted = [batch.keys for batch in batches if batch.keys is not None]
    columns, key = (", ".join(map(quoted, group)) for group in (names, spec.key))
    kept = (
        f"SELECT DISTINCT {columns} FROM {parquet(trust(folder, aside))} "
        f"WHERE reason = {text(CONFLICT)}"
    )
    both = f"SELECT 'set aside' AS row, {columns} FROM ({kept})"
    if accepted:
        both += (
            f" UNION ALL SELECT 'accepted', {columns} FROM "
            f"{parquet(trust(folder, accepted))} SEMI JOIN ({kept}) USING ({key})"
        )
    with connect() as connection:
        return _query(
            folder, connection, f"SELECT * FROM ({both}) ORDER BY {key}, row, {columns}"
        ).fetchdf()


def verify(folder: Path, manifest: Manifest, *, deep: bool) -> None:
    """See :meth:`MetricStore.verify`."""
    files = (item for batch in manifest.batches.values() for item in batch.files())
    trust(folder, files, deep=deep)
    unnamed = strangers(folder, manifest)
    if unnamed:
        raise StoreError(
            f"cannot trust the metric store {folder}: expected the files that its "
            f"manifest names; found {shortened(unnamed)} besides, as when an older store.json "
            f"was put in place of a newer one. Restore the newer one, or remove those files."
        )
    wrong = damaged(folder / CACHE, deep=deep)
    wrong += damaged_copies(folder) if deep else []
    if wrong:
        raise StoreError(
            f"cannot trust the metric store {folder}: expected cached cubes as they were "
            f"written; found {shortened(wrong)} changed. Remove them; reads compute them anew."
        )


def _query(
    folder: Path, connection: duckdb.DuckDBPyConnection, statement: str
) -> duckdb.DuckDBPyConnection:
    try:
        return connection.execute(statement)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise StoreError(
            f"cannot read the metric store {folder}: expected the files its manifest "
            f"names; found one damaged or absent ({str(error).splitlines()[0]}). Run verify() "
            f"to see which, and restore it from a copy."
        ) from error
