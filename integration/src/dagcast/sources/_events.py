"""Tables of a project's own events: what is counted, added up and averaged of them."""

from collections.abc import Iterable, Mapping

from dagcast.sources._places import Finding
from dagcast.sources._quantities import ordered_dims, unit_of
from dagcast.sources._settings import Kind, Measure, SourceSettings
from dagcast_core.contract import Quantity
from dagcast_core.data import Check, Column, EventTable, MetricSpec, Sum, expression_columns


def events_table(
    name: str,
    settings: SourceSettings,
    quantities: Mapping[str, Quantity],
    findings: list[Finding],
) -> EventTable:
    """The table of a source of events; its columns are those of the source that are named.

    Raises:
        DeclarationError: an expression does not parse, or the table contradicts itself.
    """
    assert settings.time is not None
    assert settings.absent is not None
    sums: list[Sum] = []
    metrics: list[MetricSpec] = []
    order = ordered_dims(settings, quantities)
    for item, measure in settings.quantities.items():
        unit = unit_of(item, measure, settings, quantities, findings)
        spec = _measured(item, measure, unit, sums, findings)
        metrics.append(spec)
    if settings.time.column is None:
        findings.append(Finding(("time",), "a column of the events", "an expression"))
    if settings.until is not None and settings.until.column is None:
        findings.append(Finding(("until",), "a column of the events", "an expression"))
    if any(measure.hours for measure in settings.quantities.values()) and settings.until is None:
        expected = "the column in which an interval ends, since hours are asked for"
        findings.append(Finding(("until",), expected, "none", 'Add until = "...".'))
    columns = _columns(settings, sums, findings)
    dims = {}
    for dim in order:
        fill = settings.dims[dim]
        plain = fill.column if fill.lookup is None else None
        dims[dim] = plain or (dim if dim not in columns else f"{dim}_label")
        columns[dims[dim]] = Column(dims[dim], "text")
    known = settings.known
    if known.files is not None:
        columns["known_at"] = Column("known_at", "instant")
    usual = 24.0 if known.files is None else 24.0 * 366 * 100
    return EventTable(
        name=name,
        columns=tuple(columns.values()),
        time=settings.time.column or "",
        until=None if settings.until is None else settings.until.column,
        dims=dims,
        sums=tuple(sums),
        metrics=tuple(metrics),
        known_at="known_at" if known.files is not None else known.column,
        known_lag_hours=known.lag_hours or 0.0,
        key=settings.key,
        empty=settings.absent,
        foreseeable=settings.foreseeable,
        decided=settings.decided,
        checks=tuple(Check(why, fails) for why, fails in settings.set_aside.items()),
        remarks=tuple(Check(why, fails) for why, fails in settings.remark.items()),
        labels=settings.labels,
        late_after_hours=settings.late_after_hours or usual,
    )


def _measured(
    name: str, measure: Measure, unit: str, sums: list[Sum], findings: list[Finding]
) -> MetricSpec:
    ways = [w for w in ("count", "sum", "mean", "hours") if getattr(measure, w) is not None]
    if len(ways) != 1 or measure.column is not None or measure.sql is not None:
        expected = "one of { count = true }, { sum = ... }, { mean = ... } and { hours = true }"
        findings.append(Finding(("quantities", name), expected, ", ".join(ways) or "none"))
        return MetricSpec(name, "n", unit)
    (way,) = ways
    if way == "count":
        if measure.where is None:
            return MetricSpec(name, "n", unit)
        sums.append(Sum(f"{name}_sum", f"CASE WHEN {measure.where} THEN 1 ELSE 0 END"))
        return MetricSpec(name, f"{name}_sum", unit)
    of = "microseconds" if way == "hours" else (measure.sum or measure.mean or "")
    if measure.weight is not None and way != "mean":
        expected = "beside mean alone"
        findings.append(Finding(("quantities", name, "weight"), expected, way, "Remove it."))
    value = of if measure.where is None else f"CASE WHEN {measure.where} THEN {of} END"
    if way == "mean" and measure.weight is not None:
        sums.append(Sum(f"{name}_sum", f"({value}) * ({measure.weight})"))
        weight = f"CASE WHEN ({value}) IS NOT NULL THEN {measure.weight} END"
        sums.append(Sum(f"{name}_count", weight))
        return MetricSpec(name, f"{name}_sum", unit, per=f"{name}_count")
    sums.append(Sum(f"{name}_sum", value))
    if way == "hours":
        return MetricSpec(name, f"{name}_sum", unit, divisor=3.6e9)
    if way == "sum":
        return MetricSpec(name, f"{name}_sum", unit)
    sums.append(Sum(f"{name}_count", f"CASE WHEN ({value}) IS NOT NULL THEN 1 END"))
    return MetricSpec(name, f"{name}_sum", unit, per=f"{name}_count")


def _columns(
    settings: SourceSettings, sums: Iterable[Sum], findings: list[Finding]
) -> dict[str, Column]:
    """The columns that anything names, and what they hold."""
    kinds: dict[str, Kind] = {}
    for said in (settings.time, settings.until, settings.known):
        if said is not None and said.column is not None:
            kinds[said.column] = "instant"
    expressions = [entry.of for entry in sums]
    expressions += [*settings.set_aside.values(), *settings.remark.values()]
    for sql in expressions:
        for column, beside_text in expression_columns(sql).items():
            if column != "microseconds":
                kinds.setdefault(column, "text" if beside_text else "number")
    for column in settings.key:
        kinds.setdefault(column, "text")
    unused = [name for name in (*settings.kinds, *settings.optional) if name not in kinds]
    for name in dict.fromkeys(unused):
        key = "kinds" if name in settings.kinds else "optional"
        expected = f"about columns that something reads ({', '.join(kinds)})"
        findings.append(Finding((key,), expected, repr(name), "Remove it."))
    kinds |= {name: kind for name, kind in settings.kinds.items() if name in kinds}
    return {
        name: Column(name, kind, nullable=name in settings.optional) for name, kind in kinds.items()
    }
