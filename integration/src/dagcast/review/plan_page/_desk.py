"""The map of rows by hour, the panels that follow it, and the table of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from dagcast.figures import currency, step_of, symbol, total_unit, words
from dagcast.plans import Gain, LimitRow, Outlook, PlanSummary, Reading
from dagcast.review._content import Array, Block, Chart, Form, Layer, Map, RowTable, Section
from dagcast.review._desk_content import Desk, LimitLine, Total
from dagcast.review._packing import digits_of
from dagcast.review.plan_page._limits import standing_of
from dagcast.review.plan_page._words import Layers, missed, plural

ALL = "All together"
_PANELS = 6
# Values that a page holds by row and hour: about as many bytes, and people wait for them.
_ROOM = 3_100_000
_LINES = 5
# Rows times hours up to which the response to spend is there by row.
_MOST_SCALED = 12_000
# In per cent of a response's middle.
_WIDEST = 300.0


@final
@dataclass(frozen=True)
class Detail:
    """Which outcomes a page shows by row and hour, and which of their charts stand at the map.

    Attributes:
        by_row: outcomes, by name; where rows are many not all fit.
        panels: keys of charts, in order.
    """

    by_row: frozenset[str]
    panels: tuple[str, ...]


def detail(summary: PlanSummary, outlook: Outlook, marginals: Mapping[str, Layers]) -> Detail:
    """Choose what follows the map: effects on what is guarded, and what the levers move.

    Means that have a limit come with their marginal effects; then what is maximised beside money;
    then what there is none of without the levers.
    """
    guarded = {row.name for row in summary.guardrails}
    means = [
        n for n, r in outlook.readings.items() if not r.summed and n in guarded | set(marginals)
    ]
    wanted = [n for n, r in outlook.readings.items() if n in summary.weights and not _money(r)]
    own = [
        name
        for name in outlook.readings
        if "none" in outlook.totals
        and outlook.totals["none"][name].mid == 0
        and outlook.totals["plan"][name].mid != 0
    ]
    edges = [
        f"m-{name}-{lever}" for name in means if name in marginals for lever in marginals[name]
    ][: _PANELS // 3]
    rest = [n for n in outlook.readings if n not in (*means, *own, *wanted)]
    named = list(dict.fromkeys((*means[: _PANELS // 3], *own[:1], *wanted, *means, *rest)))
    panels = (*edges, *(f"f-{name}" for name in named[: _PANELS - len(edges)]))
    cells = max(1, len(outlook.rows) * len(outlook.hours))
    parts = sum(len(found) for found in marginals.get("objective", {}).values())
    arrays = 2 * parts + 2 * len(outlook.effects)
    arrays += sum(len(found) for levers in marginals.values() for found in levers.values())
    fitting = max(_PANELS, (_ROOM // cells - arrays) // _LINES)
    first = list(dict.fromkeys((*summary.weights, *named[:_PANELS], *guarded, *outlook.readings)))
    kept = [name for name in first if name in outlook.readings]
    return Detail(frozenset(kept[:fitting]), panels)


def _money(reading: Reading) -> bool:
    return currency(reading.unit) is not None


def cell_form(unit: str, digits: int) -> Form:
    """How a cell is written: ``$12.3/h``, ``4.62 min``, ``8.1 %``."""
    code = currency(unit)
    if code:
        return Form(symbol(unit), unit.removeprefix(code), digits)
    return Form("", f" {unit}" if unit and unit != "1" else "", digits)


def total_form(reading: Reading) -> tuple[Form, float]:
    """How a figure over all hours is written, and by what it is multiplied for that."""
    unit = reading.total_unit
    if code := currency(unit):
        fine = "/" in unit
        return Form(symbol(unit), unit.removeprefix(code), 2 if fine else 0), 1.0
    if reading.cell_unit == "%":
        return Form("", " %", 1), 100.0
    if reading.written == "minutes":
        return Form("", f" {unit}", 2), 1.0
    return Form("", "", 0 if reading.summed else 3), 1.0


def main_map(
    summary: PlanSummary,
    outlook: Outlook,
    decisions: Layers,
    current: Layers | None,
    marginals: Mapping[str, Layers],
    shown: Detail,
    charts: Mapping[str, Chart],
) -> Map | None:
    """Everything that is known by row and hour; None where no lever differs by row.

    Args:
        summary: of the plan.
        outlook: under it.
        decisions: lever -> layer -> values by row and hour.
        current: the same of the current plan.
        marginals: outcome -> lever -> layer -> effect of one more unit.
        shown: which outcomes there are by row.
        charts: of outcomes, by their names.
    """
    layers: list[Layer] = []
    several = len(decisions) > 1
    change = None
    for lever, parts in decisions.items():
        if not outlook.rows or any(len(v) != len(outlook.rows) for v in parts.values()):
            continue
        reading = summary.readings[lever]
        digits = max(digits_of(np.vstack(list(parts.values()))), 1)
        form = cell_form(reading.unit, digits)
        before = (current or {}).get(lever)
        of = f", {words(reading.title)}" if several else ""
        # Only what adds up in one unit makes a sum that the panel can show.
        counted = lever in _added(summary)
        plan = _decided(layers, f"This plan{of}", parts, reading, form, "plan" if counted else "")
        if before is not None and list(before) == list(parts):
            role = "current" if counted else ""
            now = _decided(layers, f"Current plan{of}", before, reading, form, role)
            for k, (one, other) in enumerate(zip(plan, now, strict=True)):
                values = layers[one].values - layers[other].values
                near = ((one, 1), (other, -1))
                named = layers[one].part
                layers.append(Layer(f"Difference{of}", named, values, reading.unit, form, near))
                change = len(layers) - 1 if change is None and k == len(plan) - 1 else change
        _worth(layers, summary, lever, marginals, of)
        if lever in summary.bounds:
            for one in plan[: len(parts)]:
                room = summary.bounds[lever][1] - layers[one].values
                named, name = layers[one].part, f"Room up to the bound{of}"
                layers.append(Layer(name, named, room, reading.unit, form, ((one, -1),)))
    if not layers:
        return None
    for name in outlook.readings:
        chart = charts[name]
        if name in shown.by_row and len(chart.lines[0].values) == len(outlook.rows) + 1:
            values = chart.lines[0].values
            if np.isfinite(values[1:]).any():
                form = cell_form(chart.unit, chart.digits)
                layers.append(Layer(chart.title, "", values, chart.unit, form, total=True))
    for name, effect in outlook.effects.items():
        if name in shown.by_row and len(effect.mid) == len(outlook.rows) + 1:
            layers.append(_width(name, outlook))
    dims = plural(outlook.dim)
    offered = list(dict.fromkeys(layer.part for layer in layers if layer.part))
    # All of them together are made last and offered first.
    offered.sort(key=lambda part: part != ALL)
    title = f"{dims[:1].upper()}{dims[1:]} by hour"
    return Map("map", title, tuple(layers), tuple(offered), change)


def _added(summary: PlanSummary) -> list[str]:
    """Levers that add up, in the unit of the first of them."""
    names = [name for name, reading in summary.readings.items() if reading.summed]
    return [n for n in names if summary.readings[n].unit == summary.readings[names[0]].unit]


def _decided(
    layers: list[Layer],
    name: str,
    parts: Mapping[str, Array],
    reading: Reading,
    form: Form,
    role: str,
) -> list[int]:
    """Layers of each part of a lever, and of all of them together; their places."""
    places = []
    for part, values in parts.items():
        layers.append(Layer(name, part, values, reading.unit, form, (), role))
        places.append(len(layers) - 1)
    if len(parts) > 1 and reading.summed:
        near = tuple((place, 1) for place in places)
        total = np.sum(list(parts.values()), axis=0)
        layers.append(Layer(name, ALL, total, reading.unit, form, near, role))
        places.append(len(layers) - 1)
    return places


def _worth(
    layers: list[Layer],
    summary: PlanSummary,
    lever: str,
    marginals: Mapping[str, Layers],
    of: str,
) -> None:
    """What one more unit of a lever adds to what is maximised."""
    parts = marginals.get("objective", {}).get(lever, {})
    if not parts:
        return
    unit = f"{summary.objective_unit} per {step_of(summary.readings[lever].total_unit)}"
    digits = max(2, digits_of(np.vstack(list(parts.values()))))
    form = Form(symbol(summary.objective_unit), "", digits)
    if not currency(summary.objective_unit):
        form = Form("", f" {summary.objective_unit}", digits)
    name = f"Worth of one more {step_of(total_unit(summary.readings[lever].unit))}{of}"
    for part, values in parts.items():
        layers.append(Layer(name, part, values, unit, form, (), "worth"))
    if len(parts) > 1:
        best = np.max(np.stack(list(parts.values())), axis=0)
        layers.append(Layer(name, ALL, best, unit, form, (), "worth"))


def _width(name: str, outlook: Outlook) -> Layer:
    """How wide the interval of a response is, relative to its middle, in per cent."""
    effect = outlook.effects[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 100.0 * (effect.high - effect.low)[1:] / np.abs(effect.mid[1:])
    # Where next to nothing is brought, any width is wide.
    share = np.minimum(np.where(np.isfinite(share), share, _WIDEST), _WIDEST)
    title = f"Response width: {words(outlook.readings[name].title)}"
    unit = f"% of what is brought, {_WIDEST:.0f} or more at most"
    return Layer(title, "", share, unit, Form("", " %", 0))


def desk_of(
    summary: PlanSummary, outlook: Outlook, charts: Mapping[str, Chart], shown: Detail
) -> Desk:
    """What the panel beside the map and the table of rows show."""
    totals = []
    if (gains := _gains("objective", outlook)) is not None:
        form = cell_form(summary.objective_unit, 0)
        # Worth, and nothing to be read off any chart of its own.
        totals.append(Total(summary.objective, form, "higher", "", None, gains))
    for name, reading in outlook.readings.items():
        form, factor = total_form(reading)
        found = [outlook.totals["plan"][name], *outlook.weeks.get(name, ())]
        values = np.array([[item.mid, item.low, item.high] for item in found])
        effect = outlook.effects.get(name) if name in shown.by_row else None
        totals.append(
            Total(
                reading.title,
                form,
                reading.better,
                f"f-{name}",
                factor * values,
                _gains(name, outlook, factor),
                None if effect is None else (factor * effect.low, factor * effect.high),
                () if effect is None else _scaled(name, outlook, factor),
            )
        )
    levers = _added(summary)
    first = summary.readings[levers[0]] if levers else None
    unit = first.total_unit if first else ""
    ends = summary.bounds.get(levers[0]) if levers else None
    cell = cell_form(first.unit, 0) if first else Form()
    worth = cell_form(summary.objective_unit, 2)
    rows = [(row, True) for row in summary.budgets] + [(row, False) for row in summary.guardrails]
    return Desk(
        tuple(totals),
        tuple(
            LimitLine(
                row.title,
                row.label,
                row.figure(row.used),
                f"{'≤' if row.sense == '<=' else '≥'} {row.figure(row.limit)}",
                _used(row) if lever else standing_of(row),
                row.price if row.binding else 0.0,
                lever,
            )
            for row, lever in rows
        ),
        " and ".join(summary.readings[name].title for name in levers),
        cell_form(unit, 0),
        ALL,
        outlook.arms.get("none", ""),
        step_of(unit),
        worth,
        summary.objective,
        ""
        if ends is None
        else f"{cell.prefix}{ends[0]:,.0f} to {cell.prefix}{ends[1]:,.0f}{cell.suffix}",
        None if ends is None else float(ends[1]),
    )


def _scaled(name: str, outlook: Outlook, factor: float) -> tuple[tuple[float, Array], ...]:
    """What multiples of the plan bring; by row where that is not too much for a page."""
    values = outlook.scaled.get(name)
    if values is None:
        return ()
    # What is brought needs fewer digits than what it is brought to.
    brought = factor * (values - outlook.paths["none"][name].mid)
    cells = max(1, len(outlook.rows)) * len(outlook.hours)
    shown = brought if cells <= _MOST_SCALED else brought[:, :1]
    return tuple(zip(outlook.scales, shown, strict=True))


def _used(row: LimitRow) -> str:
    """How a plan stands to a budget: its price, by how much it is missed, or what it uses of it."""
    if row.binding or missed(row) or not row.limit:
        return standing_of(row)
    return f"{row.used / row.limit:.0%} used"


def _gains(name: str, outlook: Outlook, factor: float = 1.0) -> Array | None:
    """Changes against the current plan, all rows first; None where nobody kept them by row."""
    found = outlook.differences.get("current", {}).get(name)
    chance = outlook.chances.get("current", {}).get(name)
    if found is None or chance is None:
        return None
    whole = Gain(found.mid, found.low, found.high, chance)
    rows = [whole, *outlook.row_gains.get(name, ())]
    return np.array(
        [[*(factor * end for end in (r.mid, r.low, r.high)), 100.0 * r.chance] for r in rows]
    )


def desk_section(
    outlook: Outlook, found: Map, panels: tuple[Chart, ...], lead: str
) -> tuple[Section, Section]:
    """The map with its panels, and the table of rows."""
    blocks: list[Block] = [found]
    if panels:
        blocks.append(panels)
    dim = outlook.dim.replace("_", " ")
    return (
        Section("desk", "Where and when", lead, tuple(blocks), short="Map"),
        Section(
            "rows",
            f"By {dim}",
            "Against the current plan, over all hours. Those that lose are marked; a head sorts.",
            (RowTable(),),
            short=f"By {dim}",
        ),
    )
