"""The tables ``[sources.NAME]`` and ``[labels.DIM]`` of ``dagcast.toml``."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from dagcast._settings import no_flag

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]
Kind = Literal["text", "integer", "number", "flag", "instant"]


def _known_zone(zone: str) -> str:
    """An IANA name of a zone; of a misspelt one no hour could be told."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError("an IANA name of a zone such as 'America/New_York'") from None
    return zone


Zone = Annotated[str, AfterValidator(_known_zone)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    _no_flag = field_validator("*", mode="before")(no_flag)


def _as_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Fill(_Settings):
    """What fills a column: one of the source's, an expression over them, or a constant.

    ``lookup`` is a file in which ``column`` is looked up: its ``key`` names the column of what is
    looked for, ``label`` the column of what is found. ``columns = "*"`` says that the source's
    other columns are the labels of a dim, ``every`` that each row tells of all those labels.
    """

    column: str | None = None
    sql: str | None = None
    value: str | None = None
    columns: Literal["*"] | None = None
    every: tuple[str, ...] | None = None
    lookup: str | None = None
    key: str | None = None
    label: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.column, self.sql, self.value, self.columns, self.every]
        if sum(entry is not None for entry in given) != 1:
            raise ValueError("one of a column's name, { sql = ... } and { value = ... }")
        looked = [self.lookup, self.key, self.label]
        if any(looked) and (self.column is None or not all(looked)):
            raise ValueError('{ column = ..., lookup = "FILE", key = ..., label = ... }, all of it')
        return self


class Time(Fill):
    """The column of the time of a row; ``format`` says how it is written, if not as ISO has it."""

    format: str | None = None


class Known(_Settings):
    """When rows were known: a column says so, so long after their hour, or one moment per file."""

    column: str | None = None
    format: str | None = None
    lag_hours: Annotated[float, Field(ge=0)] | None = None
    files: dict[str, datetime] | None = None

    @field_validator("files")
    @classmethod
    def _moments(cls, files: dict[str, datetime] | None) -> dict[str, datetime] | None:
        if files is None:
            return None
        if any(moment.tzinfo is None for moment in files.values()):
            raise ValueError("moments with a zone, such as 2026-03-02T00:00:00Z")
        return {name: moment.astimezone(UTC) for name, moment in files.items()}

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.column, self.lag_hours, self.files]
        if sum(entry is not None for entry in given) != 1:
            raise ValueError(f"one of {_KNOWN}")
        return self


_KNOWN = '"final", { column = "..." }, { lag_hours = 3 } and { files = { "a.csv" = 2026-03-02T00:00:00Z } }'  # noqa: E501


def _as_known(value: Any) -> Any:
    if value == "final":
        return {"lag_hours": 0.0}
    if isinstance(value, str):
        raise ValueError(f"one of {_KNOWN}")
    return value


class Measure(_Settings):
    """A quantity of a source.

    Of cells: what fills it, a column's name or an expression. Of events, one of ``count``,
    ``sum``, ``mean`` (over the rows where it has a value, each with its ``weight``) and ``hours``
    (of intervals), ``where`` saying which rows. ``unit`` and ``across``, how cells roll up, are the
    models' own by default.
    """

    column: str | None = None
    sql: str | None = None
    count: Literal[True] | None = None
    sum: str | None = None
    mean: str | None = None
    hours: Literal[True] | None = None
    where: str | None = None
    weight: str | None = None
    unit: str | None = None
    across: Literal["sum", "mean"] | None = None
    lower: float | None = None
    upper: float | None = None


class Long(_Settings):
    """A cube with one row per cell and quantity: the columns of its name and of its value."""

    names: str
    value: str


class Connect(_Settings):
    """How to reach a database by a DB-API driver; ``$NAME`` is read from the environment."""

    driver: str
    arguments: dict[str, Any] = {}
    dialect: str


def _as_connect(value: Any) -> Any:
    if isinstance(value, str):
        return {
            "driver": "adbc_driver_postgresql.dbapi",
            "arguments": {"uri": value},
            "dialect": "postgres",
        }
    return value


class SourceSettings(_Settings):
    """A source: where its rows are, when they were known, and what they mean.

    ``nonexistent`` says what becomes of a row in the hour that clocks skip in spring.

    Where: ``files`` (paths and globs, from the project's folder), ``database`` (a DuckDB file) or
    ``connect`` (PostgreSQL by its URI, anything else by a driver), the last two with ``relation``
    or ``query``. What: ``into`` a table that a package declares, filled by ``columns``; or
    ``quantities`` of ``rows`` that are cells (a cube) or events.
    """

    files: Texts = ()
    database: str | None = None
    connect: Annotated[Connect | None, BeforeValidator(_as_connect)] = None
    relation: str | None = None
    query: str | None = None
    select: str | None = None
    rows: Literal["cells", "events"] = "cells"
    into: str | None = None
    columns: dict[str, Annotated[Fill, BeforeValidator(_as_column)]] = {}
    time: Annotated[Time | None, BeforeValidator(_as_column)] = None
    until: Annotated[Time | None, BeforeValidator(_as_column)] = None
    zone: str
    known: Annotated[Known, BeforeValidator(_as_known)]
    dims: dict[str, Annotated[Fill, BeforeValidator(_as_column)]] = {}
    quantities: dict[str, Annotated[Measure, BeforeValidator(_as_column)]] = {}
    long: Long | None = None
    absent: Literal["missing", "zero", "zero unless gap"] | None = None
    foreseeable: bool = False
    decided: bool = False
    key: Texts = ()
    optional: Texts = ()
    kinds: dict[str, Kind] = {}
    labels: dict[str, Literal["known", "any"] | tuple[str, ...]] = {}
    set_aside: dict[str, str] = {}
    remark: dict[str, str] = {}
    late_after_hours: Annotated[float, Field(gt=0)] | None = None
    nonexistent: Literal["shift", "set aside"] = "shift"
    null_text: Texts = ("",)
    thousands: str = ""
    decimal: str = "."
    delimiter: str | None = None
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        where = [bool(self.files), self.database is not None, self.connect is not None]
        if sum(where) != 1:
            raise ValueError(
                'where its rows are: one of files = "...", database = "FILE.duckdb" and '
                'connect = "postgresql://..."'
            )
        if (self.relation is None) == (self.query is None) and not self.files:
            raise ValueError('either relation = "schema.table" or query = "SELECT ..." beside it')
        if self.into is None and not self.quantities:
            raise ValueError('what its rows say: [quantities], or into = "TABLE" with [columns]')
        if self.into is not None and (self.quantities or self.long or self.rows == "events"):
            raise ValueError("either into, which names a table, or quantities of its own")
        if self.into is None:
            if self.columns:
                raise ValueError("columns only beside into; quantities and dims name theirs")
            if self.time is None:
                raise ValueError('the column of its time: time = "..."')
            if self.absent is None:
                raise ValueError(
                    'what an absent row means: absent = "missing" (nobody knows) or "zero" '
                    "(nothing happened)"
                )
        return self


class LabelSettings(_Settings):
    """What is known of a dim's labels: their clocks, and the country whose holidays they keep.

    ``zone`` and ``holidays`` hold for every label that ``zones`` and ``holidays_of`` leave out. A
    country is a code of ISO 3166, such as "US", with a subdivision where it matters: "US-CA".
    """

    zone: Zone | None = None
    zones: dict[str, Zone] = {}
    holidays: str | None = None
    holidays_of: dict[str, str] = {}


def source_named(
    sources: Mapping[str, SourceSettings], table: str
) -> tuple[str, SourceSettings] | None:
    """The source whose rows go to a table."""
    for name, settings in sources.items():
        if (settings.into or name) == table:
            return name, settings
    return None
