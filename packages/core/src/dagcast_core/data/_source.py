"""Sources: Parquet and CSV files and frames, opened and checked before anything is written."""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import SourceError, shortened
from dagcast_core.data._sql import ZONED, Years, accepts, given, text
from dagcast_core.data._zones import FIRST_YEAR, LAST_YEAR

Source: TypeAlias = str | Path | pd.DataFrame | pa.Table

_WORDS = {
    "text": "text",
    "integer": "integers",
    "number": "numbers",
    "flag": "true or false",
    "instant": "times",
}


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that has the declared columns, as the view ``source`` of a connection.

    Attributes:
        label: how messages name it.
        sha256: of its content.
        found: column -> DuckDB type.
        years: first year of its local times and the year after the last, with a year's margin.
    """

    label: str
    sha256: str
    found: dict[str, str]
    years: Years


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of its own, with its own temporary tables, whose zone is UTC."""
    connection = _database(os.getpid()).cursor()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@lru_cache(maxsize=1)
def _database(process: int) -> duckdb.DuckDBPyConnection:
    # Starting a database costs fifty times as much as connecting to one. It lives in memory and
    # holds nothing between calls; a forked process must not use its parent's, whose threads are
    # not there.
    connection = duckdb.connect()
    # Left open until the modules are torn down, the bindings complain of leaks on stderr.
    atexit.register(_database.cache_clear)
    connection.execute("SET enable_progress_bar = false")
    # What does not fit in memory would spill into the working directory.
    spill = Path(tempfile.gettempdir()) / f"dagcast-{process}"
    connection.execute(f"SET temp_directory = {text(str(spill))}")
    return connection


def open_source(
    connection: duckdb.DuckDBPyConnection, table: EventTable, source: Source
) -> OpenSource:
    """Registers ``source`` as the view ``source`` after checking that it fits ``table``.

    Raises:
        SourceError: no such file, neither Parquet nor CSV, or columns missing or of other types.
    """
    if isinstance(source, pd.DataFrame | pa.Table):
        label, digest = _register_frame(connection, table, source)
    else:
        label, digest = _register_file(connection, table, Path(source))
    rows = connection.execute("DESCRIBE source").fetchall()
    found = {str(row[0]): str(row[1]) for row in rows}
    wanted = f"columns {_columns(table)}"
    missing = [column.name for column in table.columns if column.name not in found]
    if missing:
        raise SourceError(
            f"{label} as {table.name!r}",
            wanted,
            f"columns {shortened(list(found))}, without {shortened(missing)}",
            "Rename or add the columns, or give the file they are in.",
        )
    wrong = [
        f"{column.name} of type {found[column.name]} where {_WORDS[column.kind]} are needed"
        for column in table.columns
        if not accepts(column.kind, found[column.name])
    ]
    if wrong:
        raise SourceError(
            f"{label} as {table.name!r}",
            wanted,
            "; ".join(wrong),
            "Convert those columns before writing the file.",
        )
    return OpenSource(label, digest, found, _years(connection, table, found))


def _years(
    connection: duckdb.DuckDBPyConnection, table: EventTable, found: dict[str, str]
) -> Years:
    """Bounds the changes of offset to look through: a century of them makes a slow statement."""
    if table.zone == "UTC":
        return FIRST_YEAR, LAST_YEAR
    local = [
        f"TRY_CAST({given(column.name, found[column.name], table)} AS TIMESTAMP)"
        for column in table.columns
        if column.kind == "instant" and found[column.name] not in ZONED
    ]
    if not local:
        return FIRST_YEAR, LAST_YEAR
    least, most = f"least({', '.join(local)})", f"greatest({', '.join(local)})"
    try:
        limits = connection.execute(
            f"SELECT year(min({least})), year(max({most})) FROM source"
        ).fetchall()[0]
    except duckdb.Error:
        # A damaged row group; the statement that reads every row reports it.
        limits = (None, None)
    if limits[0] is None:
        return FIRST_YEAR, LAST_YEAR
    return max(FIRST_YEAR, int(limits[0]) - 1), min(LAST_YEAR, int(limits[1]) + 2)


def _register_frame(
    connection: duckdb.DuckDBPyConnection, table: EventTable, source: pd.DataFrame | pa.Table
) -> tuple[str, str]:
    label = "a data frame" if isinstance(source, pd.DataFrame) else "an Arrow table"
    try:
        arrow = (
            pa.Table.from_pandas(source, preserve_index=False)
            if isinstance(source, pd.DataFrame)
            else source
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise SourceError(
            f"{label} as {table.name!r}",
            f"columns {_columns(table)}",
            f"a column that Arrow cannot hold ({error})",
            "Give every column one type.",
        ) from error
    arrow = arrow.combine_chunks().replace_schema_metadata(None)
    digest = hashlib.sha256()
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    digest.update(sink.getbuffer())
    connection.register("source", arrow)
    return label, digest.hexdigest()


def _register_file(
    connection: duckdb.DuckDBPyConnection, table: EventTable, path: Path
) -> tuple[str, str]:
    wanted = f"a Parquet or CSV file with columns {_columns(table)}"
    label = f"{path.name} as {table.name!r}"
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise SourceError(label, wanted, f"{what} at {path}", "Correct the path.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        head = stream.read(4096)
    parquet = head[:4] == b"PAR1"
    fix = "Write the file again, or give another one."
    if not parquet:
        if path.suffix.lower() in (".parquet", ".pq"):
            raise SourceError(label, wanted, "content that is not Parquet", fix)
        if not head:
            raise SourceError(label, wanted, "an empty file", fix)
        if b"\x00" in head:
            raise SourceError(label, wanted, "a binary file of another format", fix)
    reader = (
        f"read_parquet({text(str(path))})"
        if parquet
        # Everything is read as text: types are the declaration's business, not a guess from the
        # first rows, and a borough called "NA" stays one.
        else f"read_csv({text(str(path))}, header = true, all_varchar = true, delim = ',', "
        f"quote = '\"', escape = '\"', strict_mode = true)"
    )
    try:
        connection.execute(f"CREATE TEMP VIEW source AS SELECT * FROM {reader}")
        connection.execute("SELECT COUNT(*) FROM (SELECT * FROM source LIMIT 1)").fetchall()
    except duckdb.Error as error:
        summary = str(error).strip().splitlines()[0]
        kind = "a damaged Parquet file" if parquet else "text that is not a CSV table"
        raise SourceError(label, wanted, f"{kind} ({summary})", fix) from error
    return path.name, digest


def _columns(table: EventTable) -> str:
    return ", ".join(f"{column.name} ({_WORDS[column.kind]})" for column in table.columns)
