"""Rows of a database as a source: a DuckDB file, or any other by a driver of ADBC or DB-API.

The rows are copied once, by the one SELECT that is written here, into a Parquet file that lives as
long as it is read. Whoever changes the table meanwhile changes nothing of what is ingested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from dagcast_core.data._errors import DeclarationError, SourceError
from dagcast_core.data._sql import text

_BATCH = 50_000


@dataclass(frozen=True, slots=True)
class DatabaseRows:
    """Rows of a table or of a query.

    Attributes:
        relation: table or view, with its schema where it has one, e.g. "public.trips".
        query: a SELECT in the database's own SQL, in place of ``relation``; one of a DuckDB
            file reads no other file.
        path: of a DuckDB file, which is opened to read only.
        driver: module with a DB-API ``connect``, in place of ``path``; those of ADBC, such as
            "adbc_driver_postgresql.dbapi", hand over columns instead of rows.
        arguments: of ``connect``, by name.
        dialect: of the database, as sqlglot calls it, e.g. "postgres".
    """

    relation: str | None = None
    query: str | None = None
    path: Path | None = None
    driver: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dialect: str = "duckdb"

    def __post_init__(self) -> None:
        if (self.relation is None) == (self.query is None):
            raise DeclarationError(
                "cannot read a database: expected either a relation or a query; found "
                f"{'none' if self.relation is None else 'both'}. Name the table."
            )
        if (self.path is None) == (self.driver is None):
            raise DeclarationError(
                "cannot read a database: expected either the path of a DuckDB file or a driver; "
                f"found {'none' if self.path is None else 'both'}. Name one."
            )

    @property
    def label(self) -> str:
        """How messages name it; no argument of the connection, which may be a secret."""
        where = self.path.name if self.path is not None else str(self.driver).partition(".")[0]
        return f"{self.relation or 'a query'} of {where}"

    def statement(self, columns: Sequence[str] | None = None) -> str:
        """The SELECT that is run.

        Args:
            columns: that are read; all by default. A query is run as it stands.

        Raises:
            DeclarationError: the relation is no name, or sqlglot does not know the dialect.
        """
        if self.query is not None:
            return self.query.rstrip().rstrip(";")
        import sqlglot
        from sqlglot import exp

        assert self.relation is not None
        try:
            table = exp.to_table(self.relation, dialect=self.dialect)
            chosen = [exp.to_identifier(name, quoted=True) for name in columns or ()]
            select = exp.select(*(map(exp.column, chosen) if chosen else (exp.Star(),)))
            return select.from_(table).sql(dialect=self.dialect)
        except (ValueError, sqlglot.errors.SqlglotError) as error:
            raise DeclarationError(
                f"cannot read {self.relation!r} in {self.dialect!r}: expected a table's name and "
                f"a dialect that sqlglot knows; found {str(error).splitlines()[0]}. Correct them."
            ) from error


def copy_rows(source: DatabaseRows, columns: Sequence[str] | None, target: Path) -> None:
    """Writes the rows into a Parquet file.

    Raises:
        SourceError: no such database, driver, table or column, or the connection fails.
        DeclarationError: the declaration is wrong.
    """
    statement = source.statement(columns)
    try:
        if source.path is not None:
            _copy_duckdb(source.path, statement, target)
        else:
            _copy_by_driver(source, statement, target)
    except SourceError:
        raise
    # Every driver has errors of its own.
    except Exception as error:
        raise SourceError(
            source.label,
            f"a database that answers {statement!r}",
            str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            "Correct the declaration, or what the database allows.",
        ) from error


def _copy_duckdb(path: Path, statement: str, target: Path) -> None:
    if not path.is_file():
        found = f"{'a folder' if path.is_dir() else 'no such file'} at {path}"
        raise SourceError(path.name, "a DuckDB file", found, "Correct the path.")
    with duckdb.connect(
        str(path),
        read_only=True,
        config={"python_enable_replacements": False, "temp_directory": str(target.parent)},
    ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # A query is somebody's text, about this file alone. What is closed cannot be opened again.
        connection.execute(f"SET allowed_directories = [{text(str(target.parent))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute(f"COPY ({statement}) TO {text(str(target))} (FORMAT parquet)")


def _copy_by_driver(source: DatabaseRows, statement: str, target: Path) -> None:
    assert source.driver is not None
    try:
        driver = import_module(source.driver)
    except ImportError as error:
        raise SourceError(
            source.label,
            f"the driver {source.driver}",
            f"no such module ({error})",
            "Install the package that brings it, e.g. adbc-driver-postgresql.",
        ) from error
    with driver.connect(**source.arguments) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        if source.driver.startswith("adbc_"):
            batches = cursor.fetch_record_batch()
            with pyarrow.parquet.ParquetWriter(target, batches.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            return
        names = [str(entry[0]) for entry in cursor.description]
        rows: list[Sequence[Any]] = []
        while block := cursor.fetchmany(_BATCH):
            rows += block
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    columns = [pa.array(list(column)) for column in cells]
    pyarrow.parquet.write_table(pa.table(dict(zip(names, columns, strict=True))), target)
