"""SQL that declarations bring reads the rows it was given, and no file, address or other table.

DuckDB reads any file that a statement names, by a function or as a table. Its own switch against
that closes a whole database for good, and one database reads the files of many stores. So what
others wrote is parsed by DuckDB before it is run, and refused where it names more than it may.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import duckdb

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._mapping import ColumnMap

_COUNTING = frozenset({"range", "generate_series", "unnest"})
"""Functions that make rows out of their arguments alone."""
_GIVEN = frozenset({"source", "given", "raw"})
"""Relations that hold the rows of a source."""


_FOUND: dict[str, str] = {}
"""What statements were found to read: the same tables are declared for every delivery."""


def require_closed(
    connection: duckdb.DuckDBPyConnection, table: EventTable, mapping: ColumnMap | None = None
) -> None:
    """Refuses declarations whose SQL reads more than the rows of their source.

    Args:
        connection: that parses them.
        table: its sums, checks and remarks are expressions.
        mapping: its columns may be expressions, and its rows those of a SELECT.

    Raises:
        DeclarationError: one of them is not one expression, or reads something else.
    """
    written = [sum_.of for sum_ in table.sums]
    written += [check.fails for check in (*table.checks, *table.remarks)]
    if mapping is not None:
        written += [take.sql for take in mapping.columns.values() if take.sql is not None]
    # On lines of its own: what a comment hides in the end would else hide what stands behind it.
    statements = [(sql, f"SELECT (\n{sql}\n)") for sql in written]
    if mapping is not None and mapping.select is not None:
        select = mapping.select.rstrip().rstrip(";")
        statements.append((mapping.select, f"SELECT * FROM (\n{select}\n)"))
    for sql, statement in statements:
        if found := _beyond(connection, statement):
            raise DeclarationError(
                f"cannot ingest into {table.name!r}: expected SQL expressions over the declared "
                f"columns in its sums and checks, which read the rows of their source and nothing "
                f"else; found {found} in {sql!r}. Correct the declaration."
            )


def _beyond(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """What a SELECT reads besides the rows it is given, in words; empty where it is nothing."""
    if statement not in _FOUND:
        serialized = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()
        _FOUND[statement] = _said(json.loads(serialized[0][0]))
    return _FOUND[statement]


def _said(tree: dict[str, Any]) -> str:
    if tree["error"]:
        if tree["error_type"] == "not implemented":
            return "something else than one SELECT, whose columns are named"
        return str(tree["error_message"]).splitlines()[0].rstrip(".")
    if len(tree["statements"]) != 1:
        return f"{len(tree['statements'])} statements"
    return next(_foreign(tree, _GIVEN), "")


def _foreign(node: Any, known: Collection[str]) -> Iterator[str]:
    """Tables and functions below a node of the tree that are not known."""
    if isinstance(node, list):
        for entry in node:
            yield from _foreign(entry, known)
    if not isinstance(node, dict):
        return
    if "cte_map" in node:
        known = {*known, *(str(entry["key"]).lower() for entry in node["cte_map"]["map"])}
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"]["function_name"])
        if name.lower() not in _COUNTING:
            yield f"the function {name}"
    elif kind == "BASE_TABLE":
        name = ".".join(filter(None, (node["catalog_name"], node["schema_name"])))
        name = f"{name}.{node['table_name']}" if name else str(node["table_name"])
        if name.lower() not in known:
            yield f"the table {name}"
    elif kind == "SHOW_REF":
        yield "a question about tables"
    for entry in node.values():
        yield from _foreign(entry, known)
