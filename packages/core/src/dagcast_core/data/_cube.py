"""Ready cubes as sources: somebody else has aggregated, and one row is one cell.

A cube differs from events in what emptiness means. An empty cell of a row is a value that is not
known, never a zero; a row that is not there means what the declaration says it means, because the
file cannot. Revisions are further rows that are known later and replace the earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dagcast_core.data._declare import Check, Column, EventTable, MetricSpec, Sum
from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._sql import quoted

_QUANTITY = "quantity"


@dataclass(frozen=True, slots=True)
class CubeQuantity:
    """A quantity of a cube.

    Attributes:
        name: of the metric.
        unit: e.g. "session/h".
        column: that holds it, or its name in a long cube; None where it is called ``name``.
        across: how cells roll up: "sum" for what adds up, "mean" for what does not.
        lower: smallest value that can be.
        upper: largest value that can be.
        dtype: "float64", or "int64" where a missing cell is an error.
    """

    name: str
    unit: str
    column: str | None = None
    across: Literal["mean", "sum"] = "sum"
    lower: float | None = None
    upper: float | None = None
    dtype: Literal["float64", "int64"] = "float64"

    @property
    def source(self) -> str:
        """What the source calls it."""
        return self.name if self.column is None else self.column


@dataclass(frozen=True, slots=True)
class CubeTable:
    """A source with one row per cell (wide), or per cell and quantity (long).

    Attributes:
        name: of the table.
        time: column of the hour that a cell begins with.
        dims: label dim -> column that holds its labels.
        quantities: what the cells say.
        absent: what a row that is not there means, within the hours and labels of the source:
            "missing", or "zero" where only cells with something in them were written.
        names: column of a long cube that names the quantity; None for a wide one.
        value: column of a long cube that holds the value.
        known_at: column that says when a cell was known; None where the source has none.
        known_lag_hours: used instead: a cell is known this long after its hour has ended; 0 for
            final figures of the past.
        foreseeable: whether a cell may be known before its hour (a forecast, a calendar).
        zone: zone of naive times.
        time_format: of ``time`` and ``known_at``; see ``Column.format``.
        labels: as in ``EventTable.labels``.
        checks: further rules for rows, in SQL over the columns.
        late_after_hours: cells known longer than this after their hour are counted as late.
        null_text: texts that mean "no value".
    """

    name: str
    time: str
    dims: Mapping[str, str]
    quantities: tuple[CubeQuantity, ...]
    absent: Literal["missing", "zero"]
    names: str | None = None
    value: str | None = None
    known_at: str | None = None
    known_lag_hours: float = 0.0
    foreseeable: bool = False
    zone: str = "UTC"
    time_format: str | None = None
    labels: Mapping[str, tuple[str, ...] | Literal["known", "any"]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    late_after_hours: float = 24.0
    null_text: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        problems = []
        if not self.quantities:
            problems.append("it has no quantity")
        if self.absent not in ("missing", "zero"):
            problems.append(f"absent is {self.absent!r}, not 'missing' or 'zero'")
        if (self.names is None) != (self.value is None):
            problems.append("a long cube needs both names and value")
        if self.names is not None and _QUANTITY in self.dims:
            problems.append(f"a long cube has no dim {_QUANTITY!r} of its own")
        if problems:
            raise DeclarationError(
                f"cannot declare cube {self.name!r}: {'; '.join(problems)}. Correct it."
            )
        self.table()

    def table(self) -> EventTable:
        """The cube as a table whose values replace one another.

        Raises:
            DeclarationError: the declaration is inconsistent.
        """
        times = [self.time] if self.known_at is None else [self.time, self.known_at]
        columns = [Column(name, "text") for name in dict.fromkeys(self.dims.values())]
        columns += [Column(name, "instant", format=self.time_format) for name in times]
        dims, labels = dict(self.dims), dict(self.labels)
        shape = (*self.dims, "hour")
        if self.names is None:
            sums = tuple(Sum(item.name, quoted(item.source)) for item in self.quantities)
            columns += [
                Column(item.source, "number", item.lower, item.upper, nullable=True)
                for item in self.quantities
            ]
            metrics = tuple(
                MetricSpec(
                    item.name,
                    item.name,
                    item.unit,
                    dims=shape,
                    dtype=item.dtype,
                    across=item.across,
                )
                for item in self.quantities
            )
            checks = self.checks
        else:
            value = str(self.value)
            columns += [Column(self.names, "text"), Column(value, "number", nullable=True)]
            dims[_QUANTITY] = self.names
            labels[_QUANTITY] = tuple(item.source for item in self.quantities)
            sums = (Sum("value", quoted(value)),)
            metrics = tuple(
                MetricSpec(
                    item.name,
                    "value",
                    item.unit,
                    dims=shape,
                    dtype=item.dtype,
                    across=item.across,
                    only={_QUANTITY: item.source},
                )
                for item in self.quantities
            )
            checks = (*_bounds(self.names, value, self.quantities), *self.checks)
        return EventTable(
            name=self.name,
            columns=tuple(columns),
            time=self.time,
            known_at=self.known_at,
            known_lag_hours=self.known_lag_hours,
            key=(*dict.fromkeys(dims.values()), *times),
            dims=dims,
            zone=self.zone,
            revision="latest",
            empty=self.absent,
            foreseeable=self.foreseeable,
            late_after_hours=self.late_after_hours,
            labels=labels,
            checks=checks,
            null_text=self.null_text,
            sums=sums,
            metrics=metrics,
        )


def _bounds(names: str, value: str, quantities: tuple[CubeQuantity, ...]) -> list[Check]:
    found = []
    for item in quantities:
        this = f"{quoted(names)} = '{item.source.replace(chr(39), chr(39) * 2)}'"
        for sign, word, bound in (("<", "below", item.lower), (">", "above", item.upper)):
            if bound is not None:
                fails = f"{this} AND {quoted(value)} {sign} {bound!r}"
                found.append(Check(f"{item.name} {word} {bound:g}", fails))
    return found
