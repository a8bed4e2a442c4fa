"""Declarations of how a source's columns become those of a table: names, expressions, lookups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import DeclarationError

Typed = Literal["text", "number"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A file that says what the values of a column mean: zone number -> region.

    Attributes:
        path: a Parquet or CSV file.
        key: its column of the values that are looked up; every one once.
        value: its column of what they mean.
    """

    path: Path
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Take:
    """What fills a column of a table: one of a source's column, an expression and a constant.

    Attributes:
        column: of the source, read as the table's declaration says.
        sql: expression over the source's columns, in DuckDB's SQL. A column that is text in the
            source is a number in an expression for a number, unless it is compared with a text or
            ``ColumnMap.kinds`` says otherwise; a row in which it is none is set aside.
        value: a constant, as text.
        lookup: what ``column`` is looked up in; a row with a value that is not there is set aside.
    """

    column: str | None = None
    sql: str | None = None
    value: str | None = None
    lookup: Lookup | None = None

    def __post_init__(self) -> None:
        given = [entry for entry in (self.column, self.sql, self.value) if entry is not None]
        if len(given) != 1 or (self.lookup is not None and self.column is None):
            raise DeclarationError(
                "cannot fill a column: expected one of a column, an expression (sql) and a "
                f"constant (value), a lookup only beside a column; found {self}. Correct it."
            )


@dataclass(frozen=True, slots=True)
class Unpivot:
    """A cube whose columns are labels: one row becomes one per column that is named nowhere else.

    Attributes:
        names: column that holds the former columns' names from then on.
        values: column that holds their cells.
    """

    names: str
    values: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Every row counts for each of several labels, as a city's weather does for its districts.

    Attributes:
        names: column that holds the label from then on.
        labels: of whom every row tells.
    """

    names: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How the columns of a source become those of a table.

    Attributes:
        name: of the source, e.g. as a project declares it. Two sources of one file and one table,
            such as two columns of spend for two labels, are told apart by it.
        columns: column of the table -> what fills it. A column left out has no value in any row,
            which only a nullable one may.
        kinds: column of the source -> how expressions read it, where they should not find out.
        select: SELECT over the relation ``source``, whose columns are mapped instead; its rows are
            those that count as read.
        unpivot: where columns of the source are labels.
        repeat: where rows tell of several labels; each counts as read once for each.
        thousands: mark between thousands in numbers that are text, e.g. ",".
        decimal: mark before decimals in them.
        known_lag_hours: fills the table's ``known_at`` where the source has none: a row was known
            this long after its hour had ended.
        zone: of times without one, in place of the table's.
        null_text: texts that mean "no value", in place of the table's.
        formats: column of the table -> how its times are written; see ``Column.format``.
        nonexistent: what becomes of a row at a local time that does not exist: "shift", it counts
            for the hour that begins then, or "set aside".
    """

    name: str
    columns: Mapping[str, Take]
    kinds: Mapping[str, Typed] = field(default_factory=dict)
    select: str | None = None
    unpivot: Unpivot | None = None
    repeat: Repeat | None = None
    thousands: str = ""
    decimal: str = "."
    known_lag_hours: float | None = None
    zone: str | None = None
    null_text: tuple[str, ...] | None = None
    formats: Mapping[str, str] = field(default_factory=dict)
    nonexistent: Literal["shift", "set aside"] = "shift"

    def __post_init__(self) -> None:
        if sum(entry is not None for entry in (self.select, self.unpivot, self.repeat)) > 1:
            raise DeclarationError(
                f"cannot map the columns of {self.name!r}: expected either a select, an unpivot or "
                f"a repeat; found several. Write all of it into the select."
            )

    def reading(self, table: EventTable) -> EventTable:
        """The table's declaration for this source: how what is written there is read.

        Raises:
            DeclarationError: the zone or a format is none.
        """
        columns = tuple(
            replace(column, format=self.formats[column.name])
            if column.name in self.formats
            else column
            for column in table.columns
        )
        return replace(
            table,
            columns=columns,
            zone=table.zone if self.zone is None else self.zone,
            null_text=table.null_text if self.null_text is None else self.null_text,
        )

    def to_json(self) -> dict[str, Any]:
        """The declaration as plain JSON values, without what the lookups' files hold."""
        return {
            "name": self.name,
            "columns": {
                name: {
                    "column": take.column,
                    "sql": take.sql,
                    "value": take.value,
                    "lookup": None
                    if take.lookup is None
                    else [take.lookup.path.name, take.lookup.key, take.lookup.value],
                }
                for name, take in sorted(self.columns.items())
            },
            "kinds": dict(sorted(self.kinds.items())),
            "select": self.select,
            "unpivot": None if self.unpivot is None else [self.unpivot.names, self.unpivot.values],
            "repeat": None if self.repeat is None else [self.repeat.names, *self.repeat.labels],
            "numbers": [self.thousands, self.decimal],
            "known_lag_hours": self.known_lag_hours,
            "nonexistent": self.nonexistent,
            "read": [self.zone, self.null_text, dict(sorted(self.formats.items()))],
        }
