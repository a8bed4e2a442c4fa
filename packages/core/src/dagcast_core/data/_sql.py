"""SQL generated from declarations, in DuckDB's dialect; sqlglot turns it into others.

Values that add up are summed as ``DECIMAL(38, 9)``: sums of floats depend on the order in which
threads meet the rows, sums of decimals do not, so a ledger has the same bits on every machine and a
correction cancels what it corrects exactly. Nine decimals is what BigQuery's NUMERIC holds too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from dagcast_core.data._declare import Column, EventTable
from dagcast_core.data._zones import FIRST_YEAR, LAST_YEAR, first_offset, transitions

AMOUNT = "DECIMAL(38, 9)"
LARGEST = 1e15
"""Numbers beyond this are quarantined: a thousand million of them still fit the sum."""
SANE = 1e12
"""The same where a column declares no ``upper``: no price, count or duration is that large."""

KNOWN = "_known"

CONFLICT = "same key, other content"
"""Reason of a row that contradicts another one of its key."""

Years: TypeAlias = tuple[int, int]
"""First year and the year after the last: of the changes of offset that a statement lists."""

# Types of instants, which need no clock to be read.
ZONED = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"})
_NUMBERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
CLEANED = "text without blanks"
"""Type of a column of text that was trimmed already, with NULL for what means no value."""
WALLS, OFFSETS = "local times", "times with offset"
"""Types of columns of cleaned text in which every value was found to be ISO, without or with an
offset: what a row is need not be asked again for each."""
_TEXTS = frozenset({"VARCHAR", CLEANED, WALLS, OFFSETS})
_CLOCK = r"[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?"
_PLAIN = rf"\d{{4}}-\d\d-\d\d({_CLOCK})?"
_OFFSET = rf"\d{{4}}-\d\d-\d\d{_CLOCK}(Z|[+-](0\d|1[0-5])(:[0-5]\d)?)"
_EPOCHS = {"epoch s": 1_000_000, "epoch ms": 1_000, "epoch us": 1}


def quoted(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    """Identifiers in double quotes, with commas between."""
    return ", ".join(quoted(name) for name in names)


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def literal(path: Path) -> str:
    """A path as DuckDB reads it: that very file, whatever ``*``, ``?`` and ``[`` its name holds."""
    return text(re.sub(r"([*?\[])", r"[\1]", str(path.absolute())))


def parquet(paths: Iterable[Path]) -> str:
    """Table function over Parquet files: what stands in them, never what their folders are called.

    Without the options, a parent folder named ``region=SFO`` would replace the column.
    """
    listed = ", ".join(literal(path) for path in paths)
    return (
        f"read_parquet([{listed}], hive_partitioning = false, filename = false, "
        f"union_by_name = false)"
    )


def moment(value: datetime) -> str:
    """A timestamp literal."""
    return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}'"


def accepts(column: Column, found: str) -> bool:
    """Whether a source column of DuckDB type ``found`` can be read as declared."""
    kind = column.kind
    if found in _TEXTS or found == '"NULL"':
        return True
    if column.format is not None:
        return column.format in _EPOCHS and (found in _NUMBERS or found in {"DOUBLE", "FLOAT"})
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


def typed(
    column: Column, found: str, table: EventTable, years: Years, odd: Collection[str] = ()
) -> str:
    """Expression that reads one source column; NULL where it cannot be read.

    Instants become naive UTC timestamps; for the columns ``odd`` a table ``t_<column>`` reads what
    is not plain ISO.
    """
    raw = given(column.name, found, table)
    match column.kind:
        case "text":
            return f"CAST({raw} AS VARCHAR)"
        case "integer":
            if found in _NUMBERS:
                return f"CAST({raw} AS BIGINT)"
            number = as_number(raw, found)
            return f"CASE WHEN {number} = floor({number}) THEN TRY_CAST({raw} AS BIGINT) END"
        case "number":
            return as_number(raw, found)
        case "flag":
            if found in _NUMBERS:
                return f"CASE {raw} WHEN 0 THEN FALSE WHEN 1 THEN TRUE END"
            return f"TRY_CAST({raw} AS BOOLEAN)"
        case "instant":
            read = instant(column, raw, found, table.zone, years)
            return (
                f"COALESCE({read}, {quoted(f't_{column.name}')}._utc)"
                if column.name in odd
                else read
            )


def as_number(raw: str, found: str) -> str:
    """Expression for the number that a value of a type is; NULL where it is none.

    To DuckDB, as to Python, 1_000 is a thousand; to whoever writes tables it is a typing error.
    """
    if found in _TEXTS or found.startswith("ENUM"):
        raw = f"replace(CAST({raw} AS VARCHAR), '_', '?')"
    return f"TRY_CAST({raw} AS DOUBLE)"


def given(name: str, found: str, table: EventTable) -> str:
    """Expression for a source column as it stands; NULL where a text says that there is none."""
    return cleaned(quoted(name), table) if found == "VARCHAR" else quoted(name)


def cleaned(raw: str, table: EventTable) -> str:
    """Expression for a text without blanks around; NULL where it means no value."""
    found = f"trim({raw})"
    for entry in table.null_text:
        found = f"NULLIF({found}, {text(entry)})"
    return found


def instant(column: Column, raw: str, found: str, zone: str, years: Years) -> str:
    """Expression for the UTC time of a source column; the connection's zone must be UTC."""
    if column.format in _EPOCHS:
        # Out of the years that are read anyway, where the conversion would fail.
        number = as_number(raw, found)
        micros = f"CAST(round({number} * {_EPOCHS[column.format]}) AS BIGINT)"
        bounds = [datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (FIRST_YEAR, LAST_YEAR)]
        low, high = (f"{bound * 1e6 / _EPOCHS[column.format]:.0f}" for bound in bounds)
        return (
            f"CASE WHEN {number} >= {low} AND {number} < {high} THEN make_timestamp({micros}) END"
        )
    if found in ZONED:
        # Nanoseconds, as pandas writes them, have no cast of their own to a naive time.
        return f"CAST(CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
    if found == OFFSETS:
        return f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
    if found in (CLEANED, "VARCHAR"):
        if column.format is not None and "%z" in column.format:
            return f"CAST(try_strptime({raw}, {text(column.format)}) AS TIMESTAMP)"
        with_zone = f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
        plain = utc_of_local(wall(column, raw, found), zone, years)
        if column.format is not None:
            return plain
        return (
            f"CASE WHEN regexp_full_match({raw}, {text(_OFFSET)}) THEN {with_zone} ELSE {plain} END"
        )
    return utc_of_local(wall(column, raw, found), zone, years)


def wall(column: Column, raw: str, found: str) -> str:
    """Expression for a naive local time; NULL where a column holds none."""
    if found in {*ZONED, OFFSETS} or column.format in _EPOCHS:
        return "CAST(NULL AS TIMESTAMP)"
    if found not in (CLEANED, "VARCHAR"):
        return f"TRY_CAST({raw} AS TIMESTAMP)"
    if column.format is not None:
        zoned = "%z" in column.format
        return "CAST(NULL AS TIMESTAMP)" if zoned else f"try_strptime({raw}, {text(column.format)})"
    plain = f"regexp_full_match({raw}, {text(_PLAIN)})"
    return f"CASE WHEN {plain} THEN TRY_CAST({raw} AS TIMESTAMP) END"


def forms(columns: Sequence[Column]) -> str:
    """SELECT of how many texts a source has in each column, of ISO without and with an offset."""
    counts = []
    for column in columns:
        name = quoted(column.name)
        counts += [
            f"COUNT({name})",
            f"COUNT(*) FILTER (regexp_full_match({name}, {text(_PLAIN)}))",
            f"COUNT(*) FILTER (regexp_full_match({name}, {text(_OFFSET)}))",
        ]
    return f"SELECT {', '.join(counts)} FROM source"


def unusual(column: Column, found: str, table: EventTable) -> str | None:
    """SELECT of the distinct texts of a column that are not plain ISO; None where none can be."""
    if column.kind != "instant" or found not in (CLEANED, "VARCHAR") or column.format is not None:
        return None
    raw = given(column.name, found, table)
    plain = text(f"{_PLAIN}|{_OFFSET}")
    return (
        f"SELECT DISTINCT {raw} AS odd FROM source WHERE {raw} IS NOT NULL "
        f"AND NOT regexp_full_match({raw}, {plain})"
    )


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
    return _after(quoted(table.until or table.time), table.known_lag_hours)


def _after(time: str, lag_hours: float) -> str:
    """Expression for a moment so many hours after the end of a time's hour."""
    # Rounded to the microsecond; a lag is an assumption and needs no more.
    lag = round(lag_hours * 3_600_000_000)
    return f"(date_trunc('hour', {time}) + INTERVAL 1 HOUR + to_microseconds({lag}))"


def reason(table: EventTable, *, raw: bool = True) -> str:
    """CASE expression with the first reason to refuse a row, NULL for a good one.

    Args:
        table: the declaration.
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
            rules.append((f"{column.name} is not {noun}", quoted(f"_unread_{column.name}")))
        if not column.nullable:
            rules.append((f"{column.name} is missing", f"{name} IS NULL"))
        if column.kind == "number":
            if raw:
                rules.append((f"{column.name} is not finite", f"(isnan({name}) OR isinf({name}))"))
            # Databases order NaN above every number, so that this catches it too.
            bound = SANE if column.upper is None else LARGEST
            rules.append((f"{column.name} is out of range", f"abs({name}) > {bound:.0f}"))
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
    years: Years,
    *,
    odd: Collection[str] = (),
    opening: str | None = None,
    row: str = "CAST(NULL AS BIGINT)",
    why: str = "",
    lag: float | None = None,
    existing: bool = False,
) -> str:
    """SELECT that reads, types and judges every row of the view ``source``.

    Args:
        table: the declaration.
        found: column -> type in the source.
        years: of the source's local times.
        odd: columns whose unusual times a table ``t_<column>`` reads.
        opening: dim of whose labels a table ``openings`` says when they opened.
        row: expression for the number of a row in the source.
        why: column of the source that says why a row cannot be used at all, if there is one.
        lag: fills ``known_at``: hours after the end of a row's hour.
        existing: whether a local time that does not exist is a reason to refuse a row.
    """
    columns, unread, outside = [], [], []
    for column in table.columns:
        expression = typed(column, found[column.name], table, years, odd)
        if lag is not None and column.name == table.known_at:
            last = table.column(table.until or table.time)
            expression = _after(typed(last, found[last.name], table, years, odd), lag)
        columns.append(f"{expression} AS {quoted(column.name)}")
        outside.append(quoted(column.name))
        if column.kind != "text":
            some = f"{given(column.name, found[column.name], table)} IS NOT NULL"
            unread.append(
                f"({expression} IS NULL AND {some}) AS {quoted(f'_unread_{column.name}')}"
            )
    flags = []
    time = table.column(table.time)
    local = wall(time, given(time.name, found[time.name], table), found[time.name])
    for name, repeats in (("_ambiguous", True), ("_nonexistent", False)):
        doubt = f"COALESCE({doubtful(local, table.zone, years, repeats=repeats)}, FALSE)"
        if time.name in odd:
            doubt = f"({doubt} OR COALESCE({quoted(f't_{time.name}')}.{name}, FALSE))"
        flags.append(f"{doubt} AS {name}")
    joins = "".join(
        f" LEFT JOIN {quoted(f't_{name}')} ON {quoted(f't_{name}')}._text = "
        f"{given(name, found[name], table)}"
        for name in odd
    )
    flags += [f"{row} AS _row", *([f"source.{quoted(why)} AS _why"] if why else [])]
    inner = f"SELECT {', '.join([*columns, *unread, *flags])} FROM source{joins}"
    judged, rows = reason(table), f"({inner}) AS rows_read"
    if existing:
        absent = text(f"{table.time} is a local time that does not exist")
        judged = f"COALESCE({judged}, CASE WHEN _nonexistent THEN {absent} END)"
    if why:
        judged = f"COALESCE(_why, {judged})"
    if opening:
        rows += f" LEFT JOIN openings ON openings._label = {quoted(table.dims[opening])}"
        end = f"{quoted(table.until)} <=" if table.until else f"{quoted(table.time)} <"
        early = f"CASE WHEN {end} openings._opens THEN {text(f'before the {opening} opened')} END"
        judged = f"COALESCE({judged}, {early})"
    return (
        f"SELECT {', '.join(outside)}, _ambiguous, _nonexistent, _row, "
        f"{known_at(table)} AS {KNOWN}, {judged} AS reason FROM {rows}"
    )


def identity_of(table: EventTable) -> tuple[str, ...]:
    """Columns of which no two rows may have the same values: the key, or all that rows say."""
    return table.key if table.same_key == "conflict" else (*table.key, *_rest_of(table))


def by_key(table: EventTable) -> tuple[str, ...]:
    """The same, the times among them first: new rows are compared with those of their hours."""
    kinds = {column.name: column.kind for column in table.columns}
    return tuple(sorted(identity_of(table), key=lambda name: kinds[name] != "instant"))


def content_of(table: EventTable) -> tuple[str, ...]:
    """Columns in which two rows of one key may contradict each other."""
    return _rest_of(table) if table.same_key == "conflict" else ()


def _rest_of(table: EventTable) -> tuple[str, ...]:
    # The same row reported a second time is known later, and says nothing else.
    names = (column.name for column in table.columns)
    return tuple(name for name in names if name not in table.key and name != table.known_at)


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
