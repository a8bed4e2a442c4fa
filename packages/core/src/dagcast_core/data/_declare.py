"""Declarations: what an event file holds, how it aggregates, and which metrics come out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._zone import zone_info

Kind = Literal["text", "integer", "number", "flag", "instant"]
Revision = Literal["add", "latest"]
Empty = Literal["missing", "zero", "zero unless gap"]

_EPOCHS = ("epoch s", "epoch ms", "epoch us")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = frozenset({"hour", "known_at", "revised_at", "n", "microseconds", "reason"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source.

    Attributes:
        name: as in the source.
        kind: "text", "integer", "number" (float64), "flag" (true or false) or "instant" (a time
            with zone, or a naive local time of the table's zone).
        lower: smallest allowed value; numbers only.
        upper: largest allowed value; numbers only.
        nullable: whether a row without a value is good.
        format: of an instant that is not written as ISO has it: "epoch s", "epoch ms" or
            "epoch us" for a number of them since 1970 (UTC), or a pattern such as
            "%d/%m/%Y %H:%M" for texts. Without it a text is read where all of it is understood:
            ISO times, with an offset, a zone's name or an unambiguous abbreviation, AM or PM.
    """

    name: str
    kind: Kind
    lower: float | None = None
    upper: float | None = None
    nullable: bool = False
    format: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and (
            self.kind != "instant" or ("%" not in self.format and self.format not in _EPOCHS)
        ):
            raise DeclarationError(
                f"cannot declare column {self.name!r}: expected the format of an instant, one of "
                f"{', '.join(map(repr, _EPOCHS))} or a pattern such as '%d/%m/%Y %H:%M'; found "
                f"{self.format!r} for kind {self.kind!r}. Correct the declaration."
            )
        if self.kind not in ("text", "integer", "number", "flag", "instant"):
            raise DeclarationError(
                f"cannot declare column {self.name!r}: expected a kind out of text, integer, "
                f"number, flag, instant; found {self.kind!r}. Correct the declaration."
            )


@dataclass(frozen=True, slots=True)
class Check:
    """A rule that rows must obey.

    Attributes:
        reason: what is said of a row that breaks it, e.g. "off shift before on".
        fails: SQL predicate over the columns, true for a bad row.
    """

    reason: str
    fails: str


@dataclass(frozen=True, slots=True)
class Sum:
    """An additive component: what a row contributes to the sum of its cell.

    Attributes:
        name: of the component.
        of: SQL expression over the columns; NULL contributes nothing. Tables of intervals also
            offer ``microseconds``, the part of the interval within the cell's hour.
    """

    name: str
    of: str


@dataclass(frozen=True, slots=True)
class Implied:
    """What happens only where a table has rows: rides need a driver's hour.

    Attributes:
        table: the other table.
        of: component of it that is above zero where something happened, "n" for any row.
        then: what a cell without rows is where something happened: "missing", or a "finding" that
            is reported while the cell stays zero.
    """

    table: str
    of: str = "n"
    then: Literal["missing", "finding"] = "missing"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric read from a table's components: ``total / per / divisor``.

    Attributes:
        name: of the metric, and of the quantity it measures.
        total: component in the numerator, or "n" for the number of rows.
        unit: e.g. "ride/h".
        per: component in the denominator (an average is then a sum over a sum, at every level of
            aggregation), "n" for the number of rows, or None for a plain sum.
        divisor: constant that converts units, e.g. 3.6e9 for hours out of microseconds.
        dims: dims of the cube; hour is the last one. Those of the table in its order by default.
        dtype: "float64", where a missing cell is NaN, or "int64", where one is an error.
        only: dim of the table -> the label that is read; the metric does not have that dim.
        across: how values of a table with ``revision="latest"`` roll up: "mean" or "sum" over
            cells. Additive tables need no rule; their components add.
    """

    name: str
    total: str
    unit: str
    per: str | None = None
    divisor: float = 1.0
    dims: tuple[str, ...] = ()
    dtype: Literal["float64", "int64"] = "float64"
    across: Literal["mean", "sum"] = "mean"
    only: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinearMetric:
    """A metric that is a weighted sum of other metrics, with dims they do not share summed out.

    Attributes:
        name: of the metric.
        unit: unit of all its terms.
        terms: metric name -> coefficient.
        dims: dims of the result; by default those that all terms have.
    """

    name: str
    unit: str
    terms: Mapping[str, float]
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventTable:
    """How a source becomes a ledger: ``SELECT dims, hour, known_at, sums ... GROUP BY``.

    Attributes:
        name: of the table.
        columns: the columns read; others are ignored.
        time: column of the valid time; a row belongs to the hour it falls in.
        dims: label dim -> column that holds its labels.
        sums: additive components, or the values themselves where ``revision="latest"``.
        metrics: metrics read from the components.
        known_at: column that says when the row was known; None where the source has none.
        known_lag_hours: used instead of ``known_at``: a row counts as known this long after its
            hour has ended.
        until: column of the end of an interval, which is split over the hours it covers.
        longest_hours: intervals longer than this are bad rows.
        key: columns that identify a row; a row whose key was accepted before is a duplicate where
            it says the same, and a conflict where not. Empty: rows are not told apart, and only the
            source as a whole is.
        same_key: what rows are that have one key and other content: a "conflict", set aside, or
            parts of one thing that "add" up, such as several payments for one hour.
        zone: zone of naive times.
        revision: "add", rows of a cell add up; "latest", the row known last replaces the others.
        empty: meaning of a cell without rows inside the covered range: "missing"; "zero" (absence
            of events is a count of zero); "zero unless gap", the same except in hours without a
            row for any label, which look like an outage of the source and stay missing.
        foreseeable: whether a row may be known before its time (a forecast, a calendar).
        decided: whether its rows are decisions that somebody took (a price, money spent). A
            forecast of the past is conditional on them and reads them as they came out.
        like: table whose hours are covered where the absence of this one's rows is a zero: that
            no coupon is logged says that none was given only as long as sessions were logged.
        late_after_hours: an accepted row known longer than this after its time is counted as late.
        implied_by: where other tables say that something happened, this one has rows, or its cells
            are not known.
        labels: dim -> what its labels may be: a list of them; "known", so that new ones are set
            aside until they are accepted; or "any". A dim left out is "known": the first source
            says which labels there are, later ones have to keep to them.
        checks: further rules; a row that breaks one is quarantined.
        remarks: rules that are only counted; a row that breaks one is accepted and reported.
        null_text: texts that mean "no value" in a CSV file. Nothing else does: "NA" is a label.
    """

    name: str
    columns: tuple[Column, ...]
    time: str
    dims: Mapping[str, str]
    sums: tuple[Sum, ...]
    metrics: tuple[MetricSpec, ...]
    known_at: str | None = None
    known_lag_hours: float = 0.0
    until: str | None = None
    longest_hours: float = 48.0
    key: tuple[str, ...] = ()
    zone: str = "UTC"
    revision: Revision = "add"
    empty: Empty = "missing"
    foreseeable: bool = False
    decided: bool = False
    like: str | None = None
    late_after_hours: float = 24.0
    checks: tuple[Check, ...] = ()
    remarks: tuple[Check, ...] = ()
    null_text: tuple[str, ...] = ("",)
    same_key: Literal["conflict", "add"] = "conflict"
    labels: Mapping[str, tuple[str, ...] | Literal["known", "any"]] = field(default_factory=dict)
    implied_by: tuple[Implied, ...] = ()
    _by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})
        own = (*self.dims, "hour")
        metrics = tuple(m if m.dims else replace(m, dims=own) for m in self.metrics)
        object.__setattr__(self, "metrics", metrics)
        problems = list(_problems(self))
        if problems:
            raise DeclarationError(
                f"cannot declare event table {self.name!r}: {'; '.join(problems)}. "
                f"Correct the declaration."
            )

    def column(self, name: str) -> Column:
        """The declaration of one column."""
        return self._by_name[name]

    def layout(self) -> dict[str, Any]:
        """What the stored ledger depends on: how rows are read and added up."""
        document = self.to_json()
        for name in ("metrics", "decided", "like", "labels", "implied_by"):
            del document[name]
        return document

    def to_json(self) -> dict[str, Any]:
        """The declaration as plain JSON values."""
        document: dict[str, Any] = {}
        for item in fields(self):
            if item.name.startswith("_"):
                continue
            value = getattr(self, item.name)
            if item.name in ("columns", "checks", "remarks", "sums", "metrics", "implied_by"):
                value = [
                    {part.name: getattr(entry, part.name) for part in fields(entry)}
                    for entry in value
                ]
            document[item.name] = _plain(value)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EventTable:
        """Reads what :meth:`to_json` wrote."""
        values = dict(document)
        values["columns"] = tuple(Column(**entry) for entry in values["columns"])
        values["checks"] = tuple(Check(**entry) for entry in values["checks"])
        values["remarks"] = tuple(Check(**entry) for entry in values["remarks"])
        values["sums"] = tuple(Sum(**entry) for entry in values["sums"])
        values["implied_by"] = tuple(Implied(**entry) for entry in values["implied_by"])
        values["metrics"] = tuple(
            MetricSpec(**{**entry, "dims": tuple(entry["dims"])}) for entry in values["metrics"]
        )
        values["key"] = tuple(values["key"])
        values["null_text"] = tuple(values["null_text"])
        values["labels"] = {
            dim: rule if isinstance(rule, str) else tuple(rule)
            for dim, rule in values["labels"].items()
        }
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def _problems(table: EventTable) -> list[str]:
    """Everything that is inconsistent about a declaration, one phrase each."""
    found: list[str] = []
    declared = {column.name: column for column in table.columns}
    if not _NAME.fullmatch(table.name):
        found.append(f"the name {table.name!r} is not letters, digits and underscores")
    if len(declared) != len(table.columns):
        found.append("a column is declared twice")
    times = {"time": table.time, "known_at": table.known_at, "until": table.until}
    for role, name in times.items():
        if name is not None and (name not in declared or declared[name].kind != "instant"):
            found.append(f"{role}={name!r} is not a declared column of kind 'instant'")
    for dim, name in table.dims.items():
        if name not in declared or declared[name].kind != "text":
            found.append(f"dim {dim!r} reads {name!r}, which is not a declared text column")
        if not _NAME.fullmatch(dim) or dim in _RESERVED:
            found.append(f"dim name {dim!r} is reserved or not a plain name")
    found.extend(
        f"key column {name!r} is not declared" for name in table.key if name not in declared
    )
    for dim, rule in table.labels.items():
        if dim not in table.dims:
            found.append(f"labels are declared for {dim!r}, which is no dim")
        if isinstance(rule, str) and rule not in ("known", "any"):
            found.append(f"labels of {dim!r} are {rule!r}, not a list, 'known' or 'any'")
    if table.known_at is None and table.foreseeable:
        found.append("a foreseeable table needs a known_at column")
    if table.revision == "latest" and table.empty == "zero unless gap":
        found.append("values that replace one another have no gaps: use empty='missing' or 'zero'")
    if table.like is not None and table.empty == "missing":
        found.append(f"like={table.like!r} says where absence means zero: use empty='zero'")
    if table.same_key not in ("conflict", "add"):
        found.append(f"same_key is {table.same_key!r}, not 'conflict' or 'add'")
    if table.revision == "latest" and table.same_key == "add":
        found.append("values that replace one another do not add up: use same_key='conflict'")
    if table.revision == "latest" and table.until is not None:
        found.append("intervals add up: use revision='add'")
    names = [entry.name for entry in table.sums]
    if len(set(names)) != len(names):
        found.append("a component is declared twice")
    for name in names:
        if not _NAME.fullmatch(name) or name in _RESERVED or name in table.dims:
            found.append(f"component name {name!r} is reserved, a dim, or not a plain name")
    components = {*names, "n"}
    for metric in table.metrics:
        for part in (metric.total, metric.per):
            if part is not None and part not in components:
                found.append(f"metric {metric.name!r} reads {part!r}, which is no component")
        known = {*metric.dims[:-1], *metric.only}
        if metric.dims[-1:] != ("hour",) or known != set(table.dims):
            found.append(
                f"metric {metric.name!r} has dims {metric.dims}, but the table has "
                f"{(*table.dims, 'hour')}"
            )
        if table.revision == "latest" and metric.per is not None:
            found.append(f"metric {metric.name!r} divides values that replace one another")
        if not metric.divisor > 0:
            found.append(f"metric {metric.name!r} has divisor {metric.divisor}, not above 0")
    try:
        zone_info(table.zone)
    except DeclarationError as error:
        found.append(str(error))
    return found
