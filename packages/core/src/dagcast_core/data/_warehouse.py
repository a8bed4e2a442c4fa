"""The ledger of a table as one statement that a warehouse runs."""

from __future__ import annotations

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._sql import aggregate, identity_of, known_at, listed, quoted, reason


def ledger_sql(table: EventTable, dialect: str = "duckdb") -> str:
    """The one statement that aggregates a table's events into its ledger.

    Args:
        table: the declaration.
        dialect: any that sqlglot knows, e.g. "bigquery", "snowflake", "spark".

    Returns:
        SQL over a relation of the table's name with the declared columns, instants as UTC
        timestamps without zone; its rows are what :meth:`MetricStore.append_components` takes.

    Raises:
        DeclarationError: sqlglot does not know the dialect.
    """
    import sqlglot

    statement = _statement(table)
    try:
        return sqlglot.transpile(statement, read="duckdb", write=dialect, pretty=True)[0]
    except ValueError as error:
        raise DeclarationError(
            f"cannot write the ledger of {table.name!r} for {dialect!r}: expected a dialect "
            f"sqlglot knows; found {error}. Use for example 'bigquery', 'snowflake' or 'duckdb'."
        ) from error


def _statement(table: EventTable) -> str:
    """The ledger of a table as one statement over a relation of the table's name.

    It expects the declared columns with their types, instants as UTC timestamps without zone, and
    yields what ingestion writes: bad rows and duplicates are left out.
    """
    good = f"{reason(table, raw=False)} IS NULL"
    known = known_at(table)
    source = f"(SELECT * FROM {quoted(table.name)} WHERE {good}"
    if table.key:
        key = listed(identity_of(table))
        rest = listed(column.name for column in table.columns)
        source += f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {known}, {rest}) = 1"
    return aggregate(table, source + ") AS accepted", known, "TRUE")
