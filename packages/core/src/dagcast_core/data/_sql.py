"""SQL generated from declarations, in DuckDB's dialect; sqlglot turns it into others.

Values that add up are summed as ``DECIMAL(38, 9)``: sums of floats depend on the order in which
threads meet the rows, sums of decimals do not, so a ledger has the same bits on every machine and a
correction cancels what it corrects exactly. Nine decimals is what BigQuery's NUMERIC holds too.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from dagcast_core.data._declare import Column, EventTable
from dagcast_core.data._zones import FIRST_YEAR, LAST_YEAR, first_offset, transitions

AMOUNT = "DECIMAL(38, 9)"
LARGEST = 1e15
"""Numbers beyond this are quarantined: a thousand million of them still fit the sum."""

KNOWN = "_known"

Years: TypeAlias = tuple[int, int]
"""First year and the year after the last: of the changes of offset that a statement lists."""

# Types of instants, which need no clock to be read.
ZONED = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"})
_NUMBERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_OFFSET = r":\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$"


def quoted(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def moment(value: datetime) -> str:
    """A timestamp literal."""
    return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}'"


def accepts(kind: str, found: str) -> bool:
    """Whether a source column of DuckDB type ``found`` can be read as ``kind``."""
    if found == "VARCHAR" or found == '"NULL"':
        return True
    if kind == "text":
        return found in _NUMBERS or found.startswith("ENUM")
    if kind == "integer":
        return found in _NUMBERS
    if kind == "number":
        return (
            found in _NUMBERS or found in {"DOUBLE", "FLOAT", "HUGEINT"} or found.startswith("DEC")
        )
    if kind == "flag":
        return found == "BOOLEAN" or found in _NUMBERS
    return found == "DATE" or found.startswith("TIMESTAMP")


def typed(column: Column, found: str, table: EventTable, years: Years) -> str:
    """Expression that reads one source column; NULL where it cannot be read.

    Instants become naive UTC timestamps.
    """
    raw = given(column.name, found, table)
    match column.kind:
        case "text":
            return f"CAST({raw} AS VARCHAR)"
        case "integer":
            if found in _NUMBERS:
                return f"CAST({raw} AS BIGINT)"
            number = f"TRY_CAST({raw} AS DOUBLE)"
            return f"CASE WHEN {number} = floor({number}) THEN TRY_CAST({raw} AS BIGINT) END"
        case "number":
            return f"TRY_CAST({raw} AS DOUBLE)"
        case "flag":
            return f"TRY_CAST({raw} AS BOOLEAN)"
        case "instant":
            return instant(raw, found, table.zone, years)


def given(name: str, found: str, table: EventTable) -> str:
    """Expression for a source column as it stands; NULL where a text says that there is none."""
    if found != "VARCHAR":
        return quoted(name)
    # Trimming also keeps the optimiser from moving a TRY_CAST of the bare column into the CSV
    # reader, which then fails on the first text that is no number instead of yielding NULL.
    trimmed = f"trim({quoted(name)})"
    if not table.null_text:
        return trimmed
    blank = ", ".join(text(entry) for entry in table.null_text)
    return f"CASE WHEN {trimmed} IN ({blank}) THEN NULL ELSE {trimmed} END"


def instant(raw: str, found: str, zone: str, years: Years) -> str:
    """Expression for the UTC time of a source column; the connection's zone must be UTC."""
    if found in ZONED:
        # Nanoseconds, as pandas writes them, have no cast of their own to a naive time.
        return f"CAST(CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
    if found == "VARCHAR":
        with_zone = f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
        plain = utc_of_local(f"TRY_CAST({raw} AS TIMESTAMP)", zone, years)
        return f"CASE WHEN regexp_matches({raw}, {text(_OFFSET)}) THEN {with_zone} ELSE {plain} END"
    return utc_of_local(f"TRY_CAST({raw} AS TIMESTAMP)", zone, years)


def utc_of_local(local: str, zone: str, years: Years) -> str:
    """Expression that shifts a naive local time to UTC, by the same table as ``local_to_utc``."""
    before, table = first_offset(zone, years[0]), transitions(zone, *years)
    if not table and before == 0:
        return local
    arms = "".join(
        f" WHEN {local} < {moment(change.closes)} THEN {change.before}" for change in table
    )
    last = table[-1].after if table else before
    seconds = f"CASE{arms} ELSE {last} END" if arms else str(last)
    return f"({local} - to_seconds({seconds}))"


def doubtful(local: str, zone: str, years: Years, *, repeats: bool) -> str:
    """Predicate: the naive local time occurs twice (``repeats``) or never."""
    arms = [
        f"({local} >= {moment(change.opens)} AND {local} < {moment(change.closes)})"
        for change in transitions(zone, *years)
        if change.repeats == repeats
    ]
    return "(" + " OR ".join(arms) + ")" if arms else "FALSE"


def known_at(table: EventTable) -> str:
    """Expression for when a row was known, over typed columns."""
    if table.known_at is not None:
        return quoted(table.known_at)
    base = quoted(table.until or table.time)
    # Rounded to the microsecond; a lag is an assumption and needs no more.
    lag = round(table.known_lag_hours * 3_600_000_000)
    return f"(date_trunc('hour', {base}) + INTERVAL 1 HOUR + to_microseconds({lag}))"


def reason(table: EventTable, labels: dict[str, bool], *, raw: bool = True) -> str:
    """CASE expression with the first reason to refuse a row, NULL for a good one.

    Args:
        table: the declaration.
        labels: dim -> whether a table ``allowed_<dim>`` restricts its labels.
        raw: whether the columns were just read from a source, so that some may not have been
            readable; a warehouse's columns have their types already.
    """
    rules: list[tuple[str, str]] = []
    for column in table.columns:
        name = quoted(column.name)
        noun = {"integer": "an integer", "number": "a number", "flag": "true or false"}.get(
            column.kind, "a time"
        )
        if raw and column.kind != "text":
            rules.append((f"{column.name} is not {noun}", f"_unread_{column.name}"))
        if not column.nullable:
            rules.append((f"{column.name} is missing", f"{name} IS NULL"))
        if column.kind == "number":
            if raw:
                rules.append((f"{column.name} is not finite", f"(isnan({name}) OR isinf({name}))"))
            # Databases order NaN above every number, so that this catches it too.
            rules.append((f"{column.name} is out of range", f"abs({name}) > {LARGEST:.0f}"))
        if column.kind == "instant":
            early, late = (moment(datetime(year, 1, 1)) for year in (FIRST_YEAR, LAST_YEAR))
            rules.append(
                (
                    f"{column.name} is outside the years {FIRST_YEAR}-{LAST_YEAR - 1}",
                    f"({name} < {early} OR {name} >= {late})",
                )
            )
        if column.lower is not None:
            rules.append((f"{column.name} below {column.lower:g}", f"{name} < {column.lower!r}"))
        if column.upper is not None:
            rules.append((f"{column.name} above {column.upper:g}", f"{name} > {column.upper!r}"))
    for dim, restricted in labels.items():
        if restricted:
            column_name = quoted(table.dims[dim])
            rules.append(
                (f"unknown {dim}", f"{column_name} NOT IN (SELECT label FROM allowed_{dim})")
            )
    time = quoted(table.time)
    if table.until is not None:
        until = quoted(table.until)
        limit = round(table.longest_hours * 3_600_000_000)
        rules.append((f"{table.until} before {table.time}", f"{until} < {time}"))
        rules.append(
            (
                f"longer than {table.longest_hours:g} hours",
                f"epoch_us({until}) - epoch_us({time}) > {limit}",
            )
        )
    if table.revision == "latest":
        rules.append((f"{table.time} is not on the hour", f"{time} <> date_trunc('hour', {time})"))
    if table.known_at is not None and not table.foreseeable:
        rules.append((f"known before {table.time}", f"{quoted(table.known_at)} < {time}"))
    rules.extend((check.reason, f"({check.fails})") for check in table.checks)
    arms = " ".join(f"WHEN {fails} THEN {text(why)}" for why, fails in rules)
    return f"CASE {arms} END"


def staged(
    table: EventTable,
    found: dict[str, str],
    labels: dict[str, bool],
    years: Years,
    *,
    opening: str | None = None,
) -> str:
    """SELECT that reads, types and judges every row of the view ``source``.

    Args:
        table: the declaration.
        found: column -> type in the source.
        labels: dim -> whether a table ``allowed_<dim>`` restricts its labels.
        years: of the source's local times.
        opening: dim of whose labels a table ``openings`` says when they opened.
    """
    columns, unread, outside = [], [], []
    for column in table.columns:
        expression = typed(column, found[column.name], table, years)
        columns.append(f"{expression} AS {quoted(column.name)}")
        outside.append(quoted(column.name))
        if column.kind != "text":
            some = f"{given(column.name, found[column.name], table)} IS NOT NULL"
            unread.append(f"({expression} IS NULL AND {some}) AS _unread_{column.name}")
    flags = []
    local = f"TRY_CAST({given(table.time, found[table.time], table)} AS TIMESTAMP)"
    naive = found[table.time] not in ZONED
    for name, repeats in (("_ambiguous", True), ("_nonexistent", False)):
        doubt = doubtful(local, table.zone, years, repeats=repeats) if naive else "FALSE"
        flags.append(f"COALESCE({doubt}, FALSE) AS {name}")
    inner = f"SELECT {', '.join([*columns, *unread, *flags])} FROM source"
    judged, rows = reason(table, labels), f"({inner}) AS rows_read"
    if opening:
        rows += f" LEFT JOIN openings ON openings._label = {quoted(table.dims[opening])}"
        end = f"{quoted(table.until)} <=" if table.until else f"{quoted(table.time)} <"
        early = f"CASE WHEN {end} openings._opens THEN {text(f'before the {opening} opened')} END"
        judged = f"COALESCE({judged}, {early})"
    return (
        f"SELECT {', '.join(outside)}, _ambiguous, _nonexistent, {known_at(table)} AS {KNOWN}, "
        f"{judged} AS reason FROM {rows}"
    )


def ceil_hour(expression: str) -> str:
    """The first full hour at or after a time: a row is known from then on."""
    return f"(date_trunc('hour', {expression} - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR)"


def aggregate(table: EventTable, source: str, known: str, where: str) -> str:
    """The ledger of a table: one SELECT ... GROUP BY over accepted rows.

    Args:
        table: the declaration.
        source: relation to read from.
        known: expression for the moment of knowledge.
        where: predicate of accepted rows.
    """
    dims = [f"{quoted(column)} AS {quoted(dim)}" for dim, column in table.dims.items()]
    time = quoted(table.time)
    order = ", ".join(["hour", *(quoted(dim) for dim in table.dims), "known_at"])
    if table.revision == "latest":
        values = [f"CAST({entry.of} AS DOUBLE) AS {quoted(entry.name)}" for entry in table.sums]
        # Several rows for one cell known in the same instant would leave the choice to chance; the
        # value decides, so that every machine chooses alike.
        return (
            f"SELECT {', '.join(dims)}, {time} AS hour, {ceil_hour(known)} AS known_at, "
            f"{known} AS revised_at, CAST(1 AS BIGINT) AS n, {', '.join(values)} "
            f"FROM {source} WHERE {where} ORDER BY {order}, revised_at, "
            f"{', '.join(quoted(entry.name) for entry in table.sums)}"
        )
    sums = [
        f"COALESCE(SUM(CAST({entry.of} AS {AMOUNT})), 0) AS {quoted(entry.name)}"
        for entry in table.sums
    ]
    groups = ", ".join(str(number + 1) for number in range(len(dims) + 2))
    hour = f"date_trunc('hour', {time})"
    if table.until is not None:
        until = quoted(table.until)
        hour = "_hour"
        source = (
            f"(SELECT *, epoch_us(LEAST({until}, _hour + INTERVAL 1 HOUR)) "
            f"- epoch_us(GREATEST({time}, _hour)) AS microseconds FROM (SELECT *, UNNEST("
            f"generate_series(date_trunc('hour', {time}), {until} - INTERVAL 1 MICROSECOND, "
            f"INTERVAL 1 HOUR)) AS _hour FROM {source} WHERE {where}))"
        )
        where = "TRUE"
    parts = [*dims, f"{hour} AS hour", f"{ceil_hour(known)} AS known_at", "COUNT(*) AS n", *sums]
    return (
        f"SELECT {', '.join(parts)} FROM {source} WHERE {where} GROUP BY {groups} ORDER BY {order}"
    )


def warehouse(table: EventTable) -> str:
    """The ledger of a table as one statement over a relation of the table's name.

    It expects the declared columns with their types, instants as UTC timestamps without zone, and
    yields what ingestion writes: bad rows and duplicates are left out.
    """
    good = f"{reason(table, {}, raw=False)} IS NULL"
    known = known_at(table)
    source = f"(SELECT * FROM {quoted(table.name)} WHERE {good}"
    if table.key:
        key = ", ".join(quoted(name) for name in table.key)
        rest = ", ".join(quoted(column.name) for column in table.columns)
        source += f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {known}, {rest}) = 1"
    return aggregate(table, source + ") AS accepted", known, "TRUE")
