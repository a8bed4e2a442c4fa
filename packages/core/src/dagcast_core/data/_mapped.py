"""The view of a source's columns as those of a table, out of what a `ColumnMap` declares."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.parquet

from dagcast_core.data._declare import Column, EventTable
from dagcast_core.data._errors import DeclarationError, SourceError, shortened
from dagcast_core.data._mapping import ColumnMap, Lookup, Take, Typed, Unpivot
from dagcast_core.data._sql import as_number, cleaned, quoted, text

_TEXTS = ("VARCHAR",)
WHY = "_why"
"""Column of the view: why a row cannot be mapped, NULL where it can."""


def expression_columns(sql: str) -> dict[str, bool]:
    """Columns that a DuckDB expression or SELECT names -> whether one is compared with a text.

    Raises:
        DeclarationError: it does not parse.
    """
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except (sqlglot.errors.ParseError, sqlglot.errors.TokenError) as error:
        raise DeclarationError(
            f"cannot read the expression {sql!r}: expected SQL as DuckDB has it; found "
            f"{str(error).splitlines()[0].rstrip('.')}. Correct it."
        ) from error
    found: dict[str, bool] = {}
    for column in tree.find_all(exp.Column):
        found[column.name] = found.get(column.name, False) or _beside_text(column)
    return found


def _beside_text(column: object) -> bool:
    """Whether a column stands beside a text literal, as in ``status = 'done'`` or ``x || ' '``."""
    from sqlglot import exp

    assert isinstance(column, exp.Column)
    parent = column.parent
    kinds = (exp.EQ, exp.NEQ, exp.In, exp.Like, exp.ILike, exp.DPipe, exp.Case, exp.Trim)
    if not isinstance(parent, kinds):
        return False
    return any(literal.is_string for literal in parent.find_all(exp.Literal))


def columns_read(mapping: ColumnMap, table: EventTable) -> tuple[str, ...]:
    """Columns that the mapping takes of its source, or of its select.

    Raises:
        DeclarationError: the table has no such column, one that has to be filled is not, or an
            expression does not parse.
    """
    unknown = [name for name in mapping.columns if name not in {c.name for c in table.columns}]
    if unknown:
        raise DeclarationError(
            f"cannot map the columns of {mapping.name!r} to {table.name!r}: expected columns out "
            f"of {', '.join(c.name for c in table.columns)}; found {shortened(unknown)}. "
            f"Correct the names."
        )
    lag = table.known_at if mapping.known_lag_hours is not None else None
    lacking = [
        column.name
        for column in table.columns
        if column.name not in mapping.columns and not column.nullable and column.name != lag
    ]
    if lacking:
        raise DeclarationError(
            f"cannot map the columns of {mapping.name!r} to {table.name!r}: expected something "
            f"that fills every column that needs a value; found nothing for {shortened(lacking)}. "
            f"Name a column, an expression or a constant for each."
        )
    names: dict[str, None] = {}
    for take in mapping.columns.values():
        if take.column is not None:
            names[take.column] = None
        elif take.sql is not None:
            names.update(dict.fromkeys(expression_columns(take.sql)))
    if mapping.unpivot is not None:
        names.pop(mapping.unpivot.names, None)
        names.pop(mapping.unpivot.values, None)
    if mapping.repeat is not None:
        names.pop(mapping.repeat.names, None)
    return tuple(names)


def needs_all(mapping: ColumnMap) -> bool:
    """Whether any column of the source may matter, and not only those that are named."""
    return mapping.select is not None or mapping.unpivot is not None


def map_columns(
    connection: duckdb.DuckDBPyConnection,
    table: EventTable,
    mapping: ColumnMap,
    label: str,
    *,
    row: str,
) -> str:
    """Creates the view ``source`` over the relation ``raw``.

    Args:
        connection: holds ``raw``.
        table: whose columns the view has, besides ``_row`` and ``_why``.
        mapping: how.
        label: how messages name the source.
        row: expression over ``raw`` for the number of its row.

    Returns:
        sha256 of the lookups' content.

    Raises:
        SourceError: a column that is named is not there, or a lookup cannot be read.
        DeclarationError: a statement of the declaration does not run.
    """
    relation = _relation(connection, mapping, row)
    _run(connection, f"CREATE TEMP VIEW given AS {relation}", mapping)
    found = {str(name): str(kind) for name, kind, *_ in _run(connection, "DESCRIBE given", mapping)}
    missing = [name for name in columns_read(mapping, table) if name not in found]
    if missing:
        held = [name for name in found if name != "_row"]
        raise SourceError(
            f"{label} as {mapping.name!r}",
            f"columns {', '.join(columns_read(mapping, table))}",
            f"columns {shortened(held)}, without {shortened(missing)}",
            "Correct the declaration, or give the file they are in.",
        )
    digest = hashlib.sha256()
    joins: list[str] = []
    whys: list[str] = []
    parts = ["given._row"]
    lookups: dict[Lookup, str] = {}
    for column in table.columns:
        take = mapping.columns.get(column.name)
        if take is None:
            parts.append(f"CAST(NULL AS VARCHAR) AS {quoted(column.name)}")
            continue
        if take.lookup is not None:
            assert take.column is not None
            if take.lookup not in lookups:
                lookups[take.lookup] = f"lookup_{len(lookups)}"
                digest.update(_register(connection, lookups[take.lookup], take.lookup))
            alias = f"looked_up_{len(joins)}"
            key = _as_text(take.column, table)
            joins.append(f" LEFT JOIN {lookups[take.lookup]} AS {alias} ON {alias}._key = {key}")
            parts.append(f"{alias}._value AS {quoted(column.name)}")
            missed = text(f"{take.column} is not in {take.lookup.path.name}")
            whys.append(f"WHEN {key} IS NOT NULL AND {alias}._value IS NULL THEN {missed}")
            continue
        expression, unread = _filled(column, take, mapping, found, table)
        parts.append(f"{expression} AS {quoted(column.name)}")
        whys += unread
    why = f"CASE {' '.join(whys)} END" if whys else "CAST(NULL AS VARCHAR)"
    parts.append(f"{why} AS {WHY}")
    statement = f"CREATE TEMP VIEW source AS SELECT {', '.join(parts)} FROM given{''.join(joins)}"
    _run(connection, statement, mapping)
    _run(connection, "DESCRIBE source", mapping)
    return digest.hexdigest() if lookups else ""


def mapping_digest(mapping: ColumnMap, lookups: str) -> str:
    """sha256 of what a mapping says, and of what its lookups hold."""
    document = json.dumps({**mapping.to_json(), "files": lookups}, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def _relation(connection: duckdb.DuckDBPyConnection, mapping: ColumnMap, row: str) -> str:
    if mapping.select is not None:
        # Whatever the SELECT makes of the rows, they have no lines of their own any more.
        select = mapping.select.rstrip().rstrip(";")
        return (
            f"WITH source AS (SELECT * FROM raw) SELECT CAST(NULL AS BIGINT) AS _row, * "
            f"FROM ({select})"
        )
    if mapping.repeat is not None:
        labels = ", ".join(f"({text(label)})" for label in mapping.repeat.labels)
        name = quoted(mapping.repeat.names)
        return f"SELECT {row} AS _row, * FROM raw CROSS JOIN (VALUES {labels}) AS every({name})"
    if mapping.unpivot is None:
        return f"SELECT {row} AS _row, * FROM raw"
    return _unpivoted(connection, mapping, mapping.unpivot, row)


def _unpivoted(
    connection: duckdb.DuckDBPyConnection, mapping: ColumnMap, unpivot: Unpivot, row: str
) -> str:
    named: set[str] = set()
    for take in mapping.columns.values():
        if take.column is not None:
            named.add(take.column)
        elif take.sql is not None:
            named.update(expression_columns(take.sql))
    rows = connection.execute("DESCRIBE raw").fetchall()
    labels = [str(entry[0]) for entry in rows if entry[0] not in named and entry[0] != "_line"]
    kept = [str(entry[0]) for entry in rows if entry[0] in named]
    if not labels:
        raise DeclarationError(
            f"cannot turn the columns of {mapping.name!r} into labels: expected columns that are "
            f"named nowhere else; found {shortened(kept)} alone. Correct the declaration."
        )
    chosen = ", ".join([f"{row} AS _row", *map(quoted, (*kept, *labels))])
    return (
        f"SELECT * FROM (SELECT {chosen} FROM raw) UNPIVOT INCLUDE NULLS "
        f"({quoted(unpivot.values)} FOR {quoted(unpivot.names)} IN "
        f"({', '.join(map(quoted, labels))}))"
    )


def _filled(
    column: Column, take: Take, mapping: ColumnMap, found: Mapping[str, str], table: EventTable
) -> tuple[str, list[str]]:
    """Expression for a column of the table, and arms of a CASE that say why it has none."""
    if take.value is not None:
        return text(take.value), []
    if take.column is not None:
        plain = f"given.{quoted(take.column)}"
        if found[take.column] in _TEXTS and column.kind in ("number", "integer"):
            return _plain_number(plain, mapping), []
        return plain, []
    assert take.sql is not None
    return _computed(column, take.sql, mapping, found, table)


def _computed(
    column: Column, sql: str, mapping: ColumnMap, found: Mapping[str, str], table: EventTable
) -> tuple[str, list[str]]:
    import sqlglot
    from sqlglot import exp

    usual: Typed = "number" if column.kind in ("number", "integer") else "text"
    whys: dict[str, str] = {}
    beside = expression_columns(sql)

    def read(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        name = node.name
        plain = f"given.{quoted(name)}"
        if found[name] not in _TEXTS:
            return sqlglot.parse_one(plain, read="duckdb")
        kind = mapping.kinds.get(name, "text" if beside[name] else usual)
        trimmed = cleaned(plain, table)
        if kind == "number":
            number = as_number(cleaned(_plain_number(plain, mapping), table), "VARCHAR")
            said = text(f"{name} is not a number")
            whys[name] = f"WHEN {trimmed} IS NOT NULL AND {number} IS NULL THEN {said}"
            trimmed = number
        return sqlglot.parse_one(trimmed, read="duckdb")

    tree = sqlglot.parse_one(sql, read="duckdb").transform(read)
    return f"({tree.sql(dialect='duckdb')})", list(whys.values())


def _plain_number(raw: str, mapping: ColumnMap) -> str:
    """Expression for the text of a number as SQL writes it.

    What is written otherwise than declared stays no number: "1,5" is no 15 where commas part
    thousands, and "1.234" no 1.234 where they part decimals.
    """
    if not mapping.thousands and mapping.decimal == ".":
        return raw
    whole, plain = r"\d+", raw
    if mapping.thousands:
        whole = rf"(\d+|\d{{1,3}}({re.escape(mapping.thousands)}\d{{3}})+)"
        plain = f"replace({plain}, {text(mapping.thousands)}, '')"
    mark = re.escape(mapping.decimal)
    written = rf"\s*[-+]?({whole}({mark}\d*)?|{mark}\d+)([eE][-+]?\d+)?\s*"
    if mapping.decimal != ".":
        plain = f"replace({plain}, {text(mapping.decimal)}, '.')"
    # A text that means no value, or is no number anyway, is judged as it stands.
    other = f"CASE WHEN TRY_CAST({raw} AS DOUBLE) IS NULL THEN {raw} ELSE '?' || {raw} END"
    return f"CASE WHEN regexp_full_match({raw}, {text(written)}) THEN {plain} ELSE {other} END"


def _as_text(column: str, table: EventTable) -> str:
    return cleaned(f"CAST(given.{quoted(column)} AS VARCHAR)", table)


def _register(connection: duckdb.DuckDBPyConnection, name: str, lookup: Lookup) -> bytes:
    """Registers a lookup as a table of two columns of text; returns a digest of it."""
    rows = read_lookup(lookup)
    keys, values = pa.array(list(rows), pa.string()), pa.array(list(rows.values()), pa.string())
    connection.register(name, pa.table({"_key": keys, "_value": values}))
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).digest()


def read_lookup(lookup: Lookup) -> dict[str, str]:
    """What a lookup says, blanks around taken off; keys without a value are left out.

    Raises:
        SourceError: the file cannot be read, lacks a column, or says two things of one key.
    """
    wanted = f"a Parquet or CSV file with columns {lookup.key}, {lookup.value}, each key once"
    what = f"the lookup {lookup.path.name}"
    try:
        pairs = list(_pairs(lookup))
    except (OSError, ValueError, KeyError, pa.ArrowException, csv.Error) as error:
        found = f"no column {error}" if isinstance(error, KeyError) else str(error)
        raise SourceError(what, wanted, found, "Correct the file or the declaration.") from error
    rows: dict[str, str] = {}
    for key, value in pairs:
        if not key or not value:
            continue
        if rows.setdefault(key, value) != value:
            found = f"{key!r} as {rows[key]!r} and as {value!r}"
            raise SourceError(what, wanted, found, "Remove one of the two rows.")
    return rows


def _pairs(lookup: Lookup) -> Sequence[tuple[str, str]]:
    if lookup.path.suffix.lower() in (".parquet", ".pq"):
        read = pyarrow.parquet.read_table(lookup.path, columns=[lookup.key, lookup.value])
        columns = (read.column(name).to_pylist() for name in (lookup.key, lookup.value))
        keys, values = columns
    else:
        keys, values = _csv_columns(lookup)
    return [
        ("" if key is None else str(key).strip(), "" if value is None else str(value).strip())
        for key, value in zip(keys, values, strict=True)
    ]


def _csv_columns(lookup: Lookup) -> tuple[list[str], list[str]]:
    with lookup.path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline()
        marks = [mark for mark in (",", ";", "\t", "|") if mark in head]
        delimiter = max(marks, key=head.count, default=",")
        stream.seek(0)
        rows = [row for row in csv.reader(stream, delimiter=delimiter, strict=True) if row]
    names = [name.strip() for name in rows[0]] if rows else []
    at = []
    for name in (lookup.key, lookup.value):
        if name not in names:
            raise KeyError(name)
        at.append(names.index(name))
    short = next((n for n, row in enumerate(rows[1:], 2) if len(row) <= max(at)), None)
    if short is not None:
        raise ValueError(f"row {short} with fewer columns than its header")
    return [row[at[0]] for row in rows[1:]], [row[at[1]] for row in rows[1:]]


def _run(
    connection: duckdb.DuckDBPyConnection, statement: str, mapping: ColumnMap
) -> list[tuple[object, ...]]:
    try:
        return connection.execute(statement).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DeclarationError(
            f"cannot map the columns of {mapping.name!r}: expected expressions that DuckDB runs "
            f"over its columns; found {str(error).strip().splitlines()[0]}. Correct the "
            f"declaration."
        ) from error
