"""What a source looks like, before anything is declared about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd

from dagcast_core.data._csv import CsvFile, Dialect, NoTableError, examine
from dagcast_core.data._database import DatabaseRows, copy_rows
from dagcast_core.data._errors import SourceError
from dagcast_core.data._source import connect
from dagcast_core.data._sql import literal, parquet, quoted, text


@dataclass(frozen=True, slots=True)
class Peek:
    """The columns of a source and its first rows.

    Attributes:
        columns: name -> DuckDB type; those of a CSV file are VARCHAR, all of them.
        rows: the first ones, as they stand in the source.
        dialect: of a CSV file, in words.
    """

    columns: dict[str, str]
    rows: pd.DataFrame
    dialect: str = ""


def peek(source: Path | DatabaseRows, dialect: Dialect | None = None, rows: int = 5000) -> Peek:
    """Looks at a Parquet or CSV file, or at rows of a database.

    Args:
        source: where.
        dialect: of a CSV file, as far as it is declared.
        rows: so many at most.

    Raises:
        SourceError: it cannot be read.
    """
    with TemporaryDirectory(prefix="dagcast-") as scratch, connect() as connection:
        described = ""
        if isinstance(source, DatabaseRows):
            target = Path(scratch) / "rows.parquet"
            copy_rows(source, None, target)
            relation = parquet([target])
        elif not source.is_file():
            found = f"{'a folder' if source.is_dir() else 'no such file'} at {source}"
            raise SourceError(source.name, "a Parquet or CSV file", found, "Correct the path.")
        elif _is_parquet(source):
            relation = parquet([source])
        else:
            try:
                csv = examine(source, (), dialect or Dialect(), Path(scratch))
            except NoTableError as error:
                found = "no line that could be its header"
                fix = "Give another file."
                raise SourceError(source.name, "a CSV table", found, fix) from error
            if not csv.parts:
                found = "no row below what looks like its header"
                raise SourceError(source.name, "a CSV table", found, "Give another file.")
            relation, described = _first_part(csv), csv.words
        try:
            kinds = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            first = connection.execute(f"SELECT * FROM {relation} LIMIT {rows}").fetchdf()
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            summary = str(error).strip().splitlines()[0]
            fix = "Write the file again, or give another one."
            raise SourceError(str(source), "rows that can be read", summary, fix) from error
    return Peek({str(row[0]): str(row[1]) for row in kinds}, first, described)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError as error:
        found = error.strerror or str(error)
        fix = "Correct its rights."
        raise SourceError(path.name, "a file that can be read", found, fix) from error


def _first_part(csv: CsvFile) -> str:
    part = csv.parts[0]
    names = [f"c{place}" for place in range(len(part.columns))]
    types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in (["_line"] * part.copied + names))
    chosen = ", ".join(
        f"c{place} AS {quoted(name)}" for place, name in enumerate(part.columns) if name
    )
    return (
        f"(SELECT {chosen} FROM read_csv({literal(part.path)}, auto_detect = false, "
        f"header = false, skip = {part.skip}, columns = {{{types}}}, "
        f"delim = {text(csv.delimiter)}, quote = '\"', escape = '\"', strict_mode = false, "
        f"null_padding = true, hive_partitioning = false))"
    )
