"""Sources: Parquet and CSV files and frames, opened and checked before anything is written."""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from dagcast_core.data._closed import require_closed
from dagcast_core.data._csv import CsvFile, Dialect, NoTableError, Part, examine
from dagcast_core.data._database import DatabaseRows, copy_rows
from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import MemoryLimitError, SourceError, shortened
from dagcast_core.data._mapped import columns_read, map_columns, mapping_digest, needs_all
from dagcast_core.data._mapping import ColumnMap
from dagcast_core.data._memory import room
from dagcast_core.data._scratch import scratch_folder
from dagcast_core.data._sql import (
    CLEANED,
    OFFSETS,
    WALLS,
    ZONED,
    Years,
    accepts,
    cleaned,
    forms,
    given,
    literal,
    parquet,
    quoted,
    text,
    unusual,
    wall,
)
from dagcast_core.data._times import understand
from dagcast_core.data._zones import FIRST_YEAR, LAST_YEAR

Source: TypeAlias = str | Path | pd.DataFrame | pa.Table | DatabaseRows

MOST_ROWS = 200_000_000
"""Rows of one Parquet file: a few kilobytes can say that they are more than any machine holds."""
_NARROW = 2**30
"""Bytes of memory below which each further thread costs more than it brings."""

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
        odd: columns that hold times in other ways than ISO's; ``t_<column>`` reads them.
        csv: its lines, where it is a CSV file; a table then holds its rows in their order.
        mapping: how its columns became those of the view, where they are not the same.
        meaning: sha256 of the mapping, and of what its lookups hold.
    """

    label: str
    sha256: str
    found: dict[str, str]
    years: Years
    odd: tuple[str, ...] = ()
    csv: CsvFile | None = None
    mapping: ColumnMap | None = None
    meaning: str = ""

    @property
    def rows(self) -> str:
        """Relation that holds the rows of a CSV file as they stand in it."""
        return "source" if self.mapping is None else "raw"

    @property
    def row(self) -> str:
        """Expression for the number of a row of the view; NULL where its source has no lines."""
        if self.mapping is not None:
            return "source._row"
        return "NULL" if self.csv is None else "source.rowid"

    @property
    def line(self) -> str:
        """Expression for the line of the file that a row of ``rows`` stands in."""
        if self.csv is None:
            return "CAST(NULL AS BIGINT)"
        copied = any(part.copied for part in self.csv.parts) or not self.csv.parts
        at = f"{self.rows}.rowid + {0 if copied else self.csv.parts[0].skip + 1}"
        return f"{self.rows}._line" if copied else at


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own, with its own temporary tables, whose zone is UTC.

    Raises:
        MemoryLimitError: there is too little memory for what is done with it.
    """
    try:
        with _database(os.getpid()).cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise MemoryLimitError(str(error).splitlines()[0]) from error


@lru_cache(maxsize=1)
def _database(process: int) -> duckdb.DuckDBPyConnection:
    # Starting a database costs fifty times as much as connecting to one. It lives in memory and
    # holds nothing between calls; a forked process must not use its parent's, whose threads are
    # not there.
    left = room()
    # No variable of the program is a table because a statement names one so.
    connection = duckdb.connect(config={"python_enable_replacements": False})
    # Left open until the modules are torn down, the bindings complain of leaks on stderr.
    atexit.register(_database.cache_clear)
    connection.execute("SET enable_progress_bar = false")
    # What does not fit in memory would spill into the working directory.
    connection.execute(f"SET temp_directory = {text(str(scratch_folder()))}")
    if left is not None:
        # It asks the system how much memory there is, not what of it this process may use.
        connection.execute(f"SET memory_limit = '{left // 2**21} MiB'")
        if left < _NARROW:
            connection.execute("SET threads = 1")
    # Nothing is fetched from elsewhere because a statement names a function or an address.
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions",
                    "allow_community_extensions"):  # fmt: skip
        connection.execute(f"SET {setting} = false")
    return connection


def open_source(
    connection: duckdb.DuckDBPyConnection,
    table: EventTable,
    source: Source,
    dialect: Dialect | None = None,
    mapping: ColumnMap | None = None,
) -> OpenSource:
    """Registers ``source`` as the view ``source`` after checking that it fits ``table``.

    Raises:
        SourceError: no such file, neither Parquet nor CSV, or columns missing or of other types.
        DeclarationError: the mapping does not fit the table, does not run, or reads something else.
    """
    csv, meaning = None, ""
    names = [column.name for column in table.columns]
    reading = _Reading(table, "source", names, whole=False)
    if mapping is not None:
        read = columns_read(mapping, table)
        # What a select reads cannot be told from what it makes.
        names_read = [] if mapping.select is not None else list(read)
        reading = _Reading(table, "raw", names_read, whole=needs_all(mapping))
    require_closed(connection, table, mapping)
    if isinstance(source, pd.DataFrame | pa.Table):
        label, digest = _register_frame(connection, reading, source)
    elif isinstance(source, DatabaseRows):
        label, digest = _register_database(connection, reading, source)
    else:
        label, digest, csv = _register_file(connection, reading, Path(source), dialect or Dialect())
    if mapping is not None:
        row = "CAST(NULL AS BIGINT)" if csv is None else "raw.rowid"
        lookups = map_columns(connection, table, mapping, label, row=row)
        meaning = mapping_digest(mapping, lookups)
        digest = hashlib.sha256(f"{digest} {mapping.name}".encode()).hexdigest()
    rows = connection.execute("DESCRIBE source").fetchall()
    plain = csv is not None and mapping is None
    found = {str(row[0]): CLEANED if plain else str(row[1]) for row in rows}
    wanted = f"columns {_columns(table)}"
    missing = [name for name in names if name not in found]
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
        if not accepts(column, found[column.name])
    ]
    if wrong:
        raise SourceError(
            f"{label} as {table.name!r}",
            wanted,
            "; ".join(wrong),
            "Convert those columns before writing the file."
            if mapping is None
            else "Convert those columns in the declaration.",
        )
    if plain:
        found.update(_forms_of_times(connection, table))
    odd = _read_unusual_times(connection, table, found)
    years = _years(connection, table, found)
    return OpenSource(label, digest, found, years, odd, csv, mapping, meaning)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read of a source: the columns of a table, or those that a mapping takes.

    Attributes:
        table: that it is read for.
        relation: name under which it is registered.
        columns: that it must have.
        whole: whether its other columns are read, too.
    """

    table: EventTable
    relation: str
    columns: list[str]
    whole: bool

    @property
    def words(self) -> str:
        """The columns in words."""
        return _columns(self.table) if self.relation == "source" else ", ".join(self.columns)


def _forms_of_times(connection: duckdb.DuckDBPyConnection, table: EventTable) -> dict[str, str]:
    """The columns of a CSV file whose times are all of one plain form, and which."""
    columns = [c for c in table.columns if c.kind == "instant" and c.format is None]
    if not columns:
        return {}
    counts = connection.execute(forms(columns)).fetchall()[0]
    found = {}
    for place, column in enumerate(columns):
        texts, plain, offset = counts[3 * place : 3 * place + 3]
        if texts in (plain, offset):
            found[column.name] = WALLS if texts == plain else OFFSETS
    return found


def _read_unusual_times(
    connection: duckdb.DuckDBPyConnection, table: EventTable, found: dict[str, str]
) -> tuple[str, ...]:
    """Registers a table ``t_<column>`` of times that are understood but not plain ISO."""
    odd = []
    for column in table.columns:
        statement = unusual(column, found[column.name], table)
        if statement is None:
            continue
        try:
            texts = [row[0] for row in connection.execute(statement).fetchall()]
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            # A damaged row group; the statement that reads every row reports it.
            continue
        read = understand(texts, table.zone)
        if not read.texts:
            continue
        columns = {
            "_text": pa.array(read.texts, pa.string()),
            "_utc": pa.array(read.instants, pa.timestamp("us")),
            "_ambiguous": pa.array(read.ambiguous, pa.bool_()),
            "_nonexistent": pa.array(read.nonexistent, pa.bool_()),
        }
        connection.register(f"t_{column.name}", pa.table(columns))
        odd.append(column.name)
    return tuple(odd)


def _years(
    connection: duckdb.DuckDBPyConnection, table: EventTable, found: dict[str, str]
) -> Years:
    """Bounds the changes of offset to look through: a century of them makes a slow statement."""
    if table.zone == "UTC":
        return FIRST_YEAR, LAST_YEAR
    local = [
        wall(column, given(column.name, found[column.name], table), found[column.name])
        for column in table.columns
        if column.kind == "instant" and found[column.name] not in ZONED
    ]
    if not local:
        return FIRST_YEAR, LAST_YEAR
    # An infinite time has no year, and would leave the others without one.
    finite = [f"CASE WHEN isfinite({entry}) THEN {entry} END" for entry in local]
    least, most = f"least({', '.join(finite)})", f"greatest({', '.join(finite)})"
    try:
        limits = connection.execute(
            f"SELECT year(min({least})), year(max({most})) FROM source"
        ).fetchall()[0]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        # A damaged row group; the statement that reads every row reports it.
        limits = (None, None)
    if limits[0] is None:
        return FIRST_YEAR, LAST_YEAR
    return max(FIRST_YEAR, int(limits[0]) - 1), min(LAST_YEAR, int(limits[1]) + 2)


def _register_frame(
    connection: duckdb.DuckDBPyConnection, reading: _Reading, source: pd.DataFrame | pa.Table
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
            f"{label} as {reading.table.name!r}",
            f"columns {reading.words}",
            f"a column that Arrow cannot hold ({error})",
            "Give every column one type.",
        ) from error
    arrow = arrow.combine_chunks().replace_schema_metadata(None)
    digest = hashlib.sha256()
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    digest.update(sink.getbuffer())
    connection.register(reading.relation, arrow)
    return label, digest.hexdigest()


def _register_database(
    connection: duckdb.DuckDBPyConnection, reading: _Reading, source: DatabaseRows
) -> tuple[str, str]:
    columns = None if reading.whole or source.query is not None else reading.columns
    with tempfile.TemporaryDirectory(prefix="dagcast-") as scratch:
        target = Path(scratch) / "rows.parquet"
        copy_rows(source, columns, target)
        name = reading.relation
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM {parquet([target])}")
    # Databases return rows in any order: the same rows are the same source.
    kinds = connection.execute(f"DESCRIBE {name}").fetchall()
    counted = connection.execute(
        f"SELECT COUNT(*), SUM(CAST(hash({name}) AS HUGEINT)) FROM {name}"
    ).fetchall()
    content = f"{[row[:2] for row in kinds]} {counted} {source.relation or source.query}"
    return source.label, hashlib.sha256(content.encode()).hexdigest()


def _register_file(
    connection: duckdb.DuckDBPyConnection, reading: _Reading, path: Path, dialect: Dialect
) -> tuple[str, str, CsvFile | None]:
    wanted = f"a Parquet or CSV file with columns {reading.words}"
    label = f"{path.name} as {reading.table.name!r}"
    fix = "Write the file again, or give another one."
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise SourceError(label, wanted, f"{what} at {path}", "Correct the path.")
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            head = stream.read(4096)
    except OSError as error:
        raise SourceError(label, wanted, f"a file that cannot be read ({error})", fix) from error
    if head[:4] == b"PAR1":
        try:
            connection.execute(
                f"CREATE TEMP VIEW {reading.relation} AS SELECT * FROM {parquet([path])}"
            )
            connection.execute(
                f"SELECT COUNT(*) FROM (SELECT * FROM {reading.relation} LIMIT 1)"
            ).fetchall()
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            summary = str(error).strip().splitlines()[0]
            raise SourceError(label, wanted, f"a damaged Parquet file ({summary})", fix) from error
        if (rows := _rows_said(path)) > MOST_ROWS:
            wanted = f"at most {MOST_ROWS:,} rows in one Parquet file"
            raise SourceError(label, wanted, f"{rows:,}", "Split it into several.")
        return path.name, digest, None
    if path.suffix.lower() in (".parquet", ".pq"):
        raise SourceError(label, wanted, "content that is not Parquet", fix)
    if not head:
        raise SourceError(label, wanted, "an empty file", fix)
    with tempfile.TemporaryDirectory(prefix="dagcast-") as scratch:
        try:
            csv = examine(path, reading.columns, dialect, Path(scratch))
        except NoTableError as error:
            if b"\x00" in head:
                raise SourceError(label, wanted, "a binary file of another format", fix) from error
            raise _no_header(label, reading, error) from error
        except OSError as error:
            found = f"a file that cannot be read or copied ({error.strerror or error})"
            raise SourceError(label, wanted, found, fix) from error
        _load_csv(connection, reading, label, csv)
    return path.name, digest, csv


def _rows_said(path: Path) -> int:
    """How many rows a Parquet file says that it has."""
    try:
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        # The database has read its end already, and says what is wrong with the rest.
        return 0


def _no_header(label: str, reading: _Reading, error: NoTableError) -> SourceError:
    lacking = [name for name in reading.columns if name not in error.columns]
    found = f"columns {shortened(error.columns)}, without {shortened(lacking)}"
    return SourceError(
        label,
        f"a Parquet or CSV file with columns {reading.words}",
        found if error.columns else "text that is not a CSV table: no line names these columns",
        "Rename or add the columns, or give the file they are in.",
    )


def _load_csv(
    connection: duckdb.DuckDBPyConnection, reading: _Reading, label: str, csv: CsvFile
) -> None:
    """Loads the columns of a CSV file that are read, as text, into a table.

    Types are the declaration's business, not a guess from the first rows, and a borough called "NA"
    stays one.
    """
    wanted = list(reading.columns)
    if reading.relation == "raw":
        # As the file has them, so that a row that is set aside looks as it does there.
        headers = dict.fromkeys(name for part in csv.parts for name in part.columns if name)
        wanted = [name for name in headers if reading.whole or name in wanted]
    selects = [_read_part(csv, part, wanted, reading.table) for part in csv.parts]
    for part in csv.parts:
        twice = [name for name in wanted if part.columns.count(name) > 1]
        if twice:
            raise SourceError(
                label,
                "every column once",
                f"{shortened(twice)} twice in one header",
                "Rename one of them.",
            )
    columns = ", ".join(f"CAST(NULL AS VARCHAR) AS {quoted(name)}" for name in wanted)
    nothing = f"SELECT CAST(NULL AS BIGINT) AS _line, {columns} WHERE FALSE"
    try:
        rows = " UNION ALL BY NAME ".join(selects) or nothing
        connection.execute(f"CREATE TEMP TABLE {reading.relation} AS {rows}")
        found = int(connection.execute(f"SELECT COUNT(*) FROM {reading.relation}").fetchall()[0][0])
        problem = f"{found:,}" if found != csv.rows else ""
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        problem = str(error).strip().splitlines()[0]
    if problem:
        raise SourceError(
            label, f"{csv.rows:,} rows, as its lines say", problem, "Write the file again."
        )


def _read_part(csv: CsvFile, part: Part, wanted: list[str], table: EventTable) -> str:
    names = (["_line"] if part.copied else []) + [f"c{place}" for place in range(len(part.columns))]
    types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)
    columns = [
        f"{cleaned(f'c{part.columns.index(name)}', table)} AS {quoted(name)}"
        for name in wanted
        if name in part.columns
    ]
    if part.copied:
        columns.insert(0, "CAST(_line AS BIGINT) AS _line")
    return (
        f"SELECT {', '.join(columns)} FROM read_csv({literal(part.path)}, auto_detect = false, "
        f"header = false, skip = {part.skip}, columns = {{{types}}}, "
        f"delim = {text(csv.delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
        f"null_padding = false, ignore_errors = false, hive_partitioning = false, "
        f"max_line_size = 4194304)"
    )


def _columns(table: EventTable) -> str:
    return ", ".join(f"{column.name} ({_WORDS[column.kind]})" for column in table.columns)
