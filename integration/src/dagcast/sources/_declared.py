"""From the settings of a source to a table, and to how its columns are filled."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from zoneinfo import ZoneInfo

from dagcast.sources._events import events_table
from dagcast.sources._places import Finding, refuse
from dagcast.sources._quantities import HOUR, ordered_dims, unit_of
from dagcast.sources._settings import Fill, Measure, SourceSettings
from dagcast_core.contract import Quantity, nearest
from dagcast_core.data import (
    Check,
    ColumnMap,
    CubeQuantity,
    CubeTable,
    DeclarationError,
    EventTable,
    Lookup,
    Repeat,
    Take,
    Unpivot,
    expression_columns,
)

KNOWN = "known_at"
_LABEL, _VALUE = "label", "value"


@dataclass(frozen=True, slots=True)
class Declared:
    """A source, resolved.

    Attributes:
        name: of the source.
        settings: as declared.
        table: that its rows go to.
        mapping: how the table's columns are filled; that of the moment of knowledge only where it
            is the same for all files.
    """

    name: str
    settings: SourceSettings
    table: EventTable
    mapping: ColumnMap

    def of_file(self, path: Path) -> ColumnMap | None:
        """The mapping of one file; None where no moment is declared for it."""
        moments = self.settings.known.files
        if moments is None:
            return self.mapping
        if path.name not in moments:
            return None
        known = Take(value=moments[path.name].isoformat())
        name = self.table.known_at or KNOWN
        return replace(self.mapping, columns={**self.mapping.columns, name: known})


def declared(
    sources: Mapping[str, SourceSettings],
    quantities: Mapping[str, Quantity],
    tables: Mapping[str, EventTable],
    folder: Path | None = None,
) -> tuple[Declared, ...]:
    """Resolves declarations; reads no file of the sources.

    Args:
        sources: by name.
        quantities: of the installed models, which say units, dims and bounds.
        tables: that packages declare.
        folder: of the project, from which paths count.

    Raises:
        ConfigError: a declaration is wrong; everything that is, of the first source that is.
    """
    return tuple(
        _resolved(name, settings, quantities, tables, folder) for name, settings in sources.items()
    )


def _resolved(
    name: str,
    settings: SourceSettings,
    quantities: Mapping[str, Quantity],
    tables: Mapping[str, EventTable],
    folder: Path | None,
) -> Declared:
    findings: list[Finding] = []
    try:
        if settings.into is not None:
            table = tables.get(settings.into)
            if table is None:
                near = nearest(settings.into, tables)
                fix = f"Did you mean {near!r}?" if near else "Declare quantities in its place."
                expected = f"a table that a package declares ({', '.join(tables) or 'none does'})"
                findings.append(Finding(("into",), expected, repr(settings.into), fix))
                raise refuse(folder, name, findings)
            columns = _of_table(table, settings, findings)
        elif settings.rows == "events":
            table = events_table(name, settings, quantities, findings)
            columns = {c.name: Take(column=c.name) for c in table.columns}
            columns |= {table.dims[dim]: _take(fill) for dim, fill in settings.dims.items()}
            if settings.known.files is not None:
                del columns[KNOWN]
        else:
            table = _cube(name, settings, quantities, findings).table()
            columns = _of_cube(settings)
        findings += _unread(settings)
        several = [dim for dim, f in settings.dims.items() if f.every or f.columns]
        if len(several) > 1 or (several and settings.select is not None):
            expected = "one dim with columns or every, and no select beside it"
            findings.append(Finding(("dims",), expected, ", ".join(several)))
        if not findings:
            mapping = _mapping(name, settings, table, columns, folder)
            mapping.reading(table)
            return Declared(name, settings, table, mapping)
    except DeclarationError as error:
        findings.append(Finding((), "a declaration that holds together", str(error)))
    raise refuse(folder, name, findings)


def _unread(settings: SourceSettings) -> list[Finding]:
    """A zone that is none, and expressions that are no SQL."""
    findings = []
    try:
        ZoneInfo(settings.zone)
    except (KeyError, ValueError, OSError):
        expected = "an IANA name such as 'America/New_York' or 'UTC'"
        findings.append(Finding(("zone",), expected, repr(settings.zone)))
    for group in ("columns", "dims", "quantities"):
        for item, entry in getattr(settings, group).items():
            try:
                expression_columns(entry.sql or "1")
            except DeclarationError as error:
                findings.append(Finding((group, item), "SQL as DuckDB has it", str(error)))
    return findings


def _mapping(
    name: str,
    settings: SourceSettings,
    table: EventTable,
    columns: Mapping[str, Take],
    folder: Path | None,
) -> ColumnMap:
    pivoted = any(fill.columns for fill in settings.dims.values())
    every = [fill.every for fill in settings.dims.values() if fill.every]
    formats = {
        column: said.format
        for column, said in (
            (table.time, settings.time),
            (table.until, settings.until),
            (table.known_at, settings.known),
        )
        if column is not None and said is not None and said.format is not None
    }
    lag = settings.known.lag_hours if settings.into and table.known_at else None
    return ColumnMap(
        name,
        {column: _from(take, folder) for column, take in columns.items()},
        kinds={c: k for c, k in settings.kinds.items() if k in ("text", "number")},
        select=settings.select,
        unpivot=Unpivot(_LABEL, _VALUE) if pivoted else None,
        repeat=Repeat(_LABEL, every[0]) if every else None,
        thousands=settings.thousands,
        decimal=settings.decimal,
        known_lag_hours=lag,
        zone=settings.zone,
        null_text=settings.null_text,
        formats=formats,
        nonexistent=settings.nonexistent,
    )


def _from(take: Take, folder: Path | None) -> Take:
    if take.lookup is None or folder is None:
        return take
    return replace(take, lookup=replace(take.lookup, path=folder / take.lookup.path))


def _take(fill: Fill | Measure) -> Take:
    if isinstance(fill, Fill) and (fill.columns is not None or fill.every is not None):
        return Take(column=_LABEL)
    if isinstance(fill, Fill) and fill.lookup is not None:
        assert fill.key is not None
        assert fill.label is not None
        return Take(column=fill.column, lookup=Lookup(Path(fill.lookup), fill.key, fill.label))
    value = fill.value if isinstance(fill, Fill) else None
    return Take(fill.column, fill.sql, value)


def _of_table(
    table: EventTable, settings: SourceSettings, findings: list[Finding]
) -> dict[str, Take]:
    """What fills the columns of a package's table."""
    names = [column.name for column in table.columns]
    columns: dict[str, Take] = {}
    for name, fill in settings.columns.items():
        if name not in names:
            near = nearest(name, names)
            expected = f"a column of {table.name!r} ({', '.join(names)})"
            fix = f"Did you mean {near!r}?" if near else "Remove it."
            findings.append(Finding(("columns", name), expected, repr(name), fix))
        elif fill.columns is not None or fill.every is not None:
            expected = "a column, an expression or a constant"
            findings.append(Finding(("columns", name), expected, "labels"))
        else:
            columns[name] = _take(fill)
    for dim, fill in settings.dims.items():
        if dim not in table.dims:
            expected = f"a dim of {table.name!r} ({', '.join(table.dims)})"
            findings.append(Finding(("dims", dim), expected, repr(dim), "Correct its name."))
        else:
            columns[table.dims[dim]] = _take(fill)
    for key, column, said in (
        ("time", table.time, settings.time),
        ("until", table.until, settings.until),
        ("known", table.known_at, settings.known),
    ):
        if said is None or (key == "known" and settings.known.column is None):
            continue
        if column is None:
            expected = f"left out, since {table.name!r} has none"
            findings.append(Finding((key,), expected, repr(said.column)))
        elif isinstance(said, Fill):
            columns[column] = _take(said)
        else:
            columns[column] = Take(column=settings.known.column)
    filled = {*columns} | {table.known_at}
    lacking = [c.name for c in table.columns if not c.nullable and c.name not in filled]
    if lacking:
        expected = f"something that fills {', '.join(lacking)} of {table.name!r}"
        fix = "Name a column, { sql = ... } or { value = ... } for each in columns."
        findings.append(Finding((), expected, "nothing", fix))
    return columns


def _of_cube(settings: SourceSettings) -> dict[str, Take]:
    """What fills the columns of a cube: named as its dims and quantities are."""
    assert settings.time is not None
    columns = {HOUR: _take(settings.time)}
    columns |= {dim: _take(fill) for dim, fill in settings.dims.items()}
    if settings.known.column is not None:
        columns[KNOWN] = Take(column=settings.known.column)
    if settings.long is not None:
        columns["quantity"] = Take(column=settings.long.names)
        columns[_VALUE] = Take(column=settings.long.value)
        return columns
    for name, measure in settings.quantities.items():
        plain = measure.column is None and measure.sql is None
        columns[name] = Take(column=_VALUE) if plain else _take(measure)
    return columns


def _cube(
    name: str,
    settings: SourceSettings,
    quantities: Mapping[str, Quantity],
    findings: list[Finding],
) -> CubeTable:
    pivoted = [dim for dim, fill in settings.dims.items() if fill.columns]
    plain = [n for n, m in settings.quantities.items() if m.column is None and m.sql is None]
    if len(pivoted) > 1 or (pivoted and (len(settings.quantities) != 1 or settings.long)):
        expected = "one dim whose labels are columns, and one quantity that the cells say"
        findings.append(Finding(("dims",), expected, f"{', '.join(pivoted)}"))
    if plain and not pivoted and settings.long is None:
        expected = "a column's name or { sql = ... }"
        findings += [Finding(("quantities", item), expected, "neither") for item in plain]
    if settings.until is not None:
        findings.append(Finding(("until",), "left out: a cell is an hour", "a column"))
    for item, measure in settings.quantities.items():
        for word in ("count", "sum", "mean", "hours", "where", "weight"):
            if getattr(measure, word) is not None:
                fix = 'Say rows = "events", or give a column or { sql = ... }.'
                expected = "a column or an expression of cells"
                findings.append(Finding(("quantities", item), expected, word, fix))
    if settings.absent == "zero unless gap":
        expected = '"missing" or "zero" for cells'
        findings.append(Finding(("absent",), expected, '"zero unless gap"'))
        settings = settings.model_copy(update={"absent": "zero"})
    measured = tuple(
        _cube_quantity(item, measure, settings, quantities, findings)
        for item, measure in settings.quantities.items()
    )
    known = settings.known
    assert settings.absent in ("missing", "zero")
    # Each file of a vintage tells of years.
    usual = 24.0 if known.files is None else 24.0 * 366 * 100
    return CubeTable(
        name=name,
        time=HOUR,
        dims={dim: dim for dim in ordered_dims(settings, quantities)},
        quantities=measured,
        absent="zero" if settings.absent == "zero" else "missing",
        names=None if settings.long is None else "quantity",
        value=None if settings.long is None else _VALUE,
        known_at=KNOWN if known.column is not None or known.files is not None else None,
        known_lag_hours=known.lag_hours or 0.0,
        foreseeable=settings.foreseeable,
        labels=settings.labels,
        checks=tuple(Check(why, fails) for why, fails in settings.set_aside.items()),
        late_after_hours=settings.late_after_hours or usual,
    )


def _cube_quantity(
    name: str,
    measure: Measure,
    settings: SourceSettings,
    quantities: Mapping[str, Quantity],
    findings: list[Finding],
) -> CubeQuantity:
    unit = unit_of(name, measure, settings, quantities, findings)
    quantity = quantities.get(name)
    lower, upper = measure.lower, measure.upper
    adds = unit.endswith("/h")
    if quantity is not None:
        low, high = quantity.bounds
        lower = low if lower is None and low is not None and isfinite(low) else lower
        upper = high if upper is None and high is not None and isfinite(high) else upper
        adds = all(quantity.aggregated(dim) == "sum" for dim in quantity.dim_names)
    return CubeQuantity(
        name,
        unit,
        column=(measure.column or name) if settings.long is not None else None,
        across=measure.across or ("sum" if adds else "mean"),
        lower=lower,
        upper=upper,
        dtype="int64" if quantity is not None and quantity.dtype == "int64" else "float64",
    )
