"""The map of a plan in hindsight, the panels that follow it, and the table of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from dagcast.figures import step_of, words
from dagcast.plans import Hindsight, Outlook, Promise
from dagcast.review._content import Array, Block, Chart, Form, Layer, Map, RowTable, Section
from dagcast.review._desk_content import Desk, RowColumn, Total
from dagcast.review._packing import digits_of
from dagcast.review.plan_page import ALL, cell_form, plural, total_form

# Lever -> layer -> (rows, hour).
Layers = Mapping[str, Mapping[str, Array]]
_PANELS = 6
# Values that a page holds by row and hour, and those of an outcome's chart and layers.
_ROOM, _LINES = 3_100_000, 7
# Models whose part of the regret is shown by cell; the rest stand together.
_MEMBERS = 6
_REST = "all other models"


@final
@dataclass(frozen=True)
class Reality:
    """What is known now, by row and hour.

    Attributes:
        happened: outcome -> what was observed, (1 + rows, hour).
        ex_post: outcome -> forecast under the ex-post plan, (1 + rows, hour).
        planned: levers as the plan has them.
        done: as they were carried out.
        best: of the ex-post plan.
        regret: by what made it, in the objective's unit, (rows, hour); none in hindsight of earlier
            versions.
        book: promises of all weeks that are over, the oldest first.
    """

    happened: Mapping[str, Array]
    ex_post: Mapping[str, Array]
    planned: Layers
    done: Layers
    best: Layers
    regret: Mapping[str, Array] = field(default_factory=dict)
    book: tuple[Promise, ...] = ()


def by_row(outlook: Outlook, reality: Reality) -> tuple[str, ...]:
    """Outcomes that happened, those first that a page shows by row and hour."""
    names = [name for name in outlook.readings if name in reality.happened]
    cells = max(1, len(outlook.rows) * len(outlook.hours))
    taken = 3 * sum(len(parts) for parts in reality.done.values()) + len(reality.regret)
    return tuple(names[: max(_PANELS, (_ROOM // cells - taken) // _LINES)])


def hindsight_map(
    found: Hindsight, outlook: Outlook, reality: Reality, charts: Mapping[str, Chart]
) -> Map | None:
    """Decisions, outcomes and regret by row and hour; None where no lever differs by row."""
    layers: list[Layer] = []
    rows = len(outlook.rows)
    for lever, done in reality.done.items():
        if not rows or any(len(values) != rows for values in done.values()):
            continue
        reading = found.readings[lever]
        of = f", {words(reading.title)}" if len(reality.done) > 1 else ""
        digits = max(digits_of(np.vstack(list(done.values()))), 1)
        form = cell_form(reading.unit, digits)
        counted = lever in _added(found)
        places: dict[str, dict[str, int]] = {}
        for name, role, parts in (
            ("Carried out", "done", done),
            ("Planned", "plan", reality.planned[lever]),
            ("Best in hindsight", "best", reality.best[lever]),
        ):
            own = {part: np.asarray(values) for part, values in parts.items()}
            near: tuple[tuple[int, int], ...] = ()
            if len(own) > 1 and reading.summed:
                near = tuple((len(layers) + k, 1) for k in range(len(own)))
                own = {**own, ALL: np.sum(list(own.values()), axis=0)}
            places[role] = {part: len(layers) + k for k, part in enumerate(own)}
            layers += [
                Layer(
                    f"{name}{of}",
                    part,
                    values,
                    reading.unit,
                    form,
                    near if part == ALL else (),
                    role if counted else "",
                )
                for part, values in own.items()
            ]
        for name, one, other in (
            ("Best less carried out", "best", "done"),
            ("Carried out less planned", "done", "plan"),
        ):
            for part, place in places[one].items():
                beside = places[other][part]
                values = layers[place].values - layers[beside].values
                pair = ((place, 1), (beside, -1))
                layers.append(Layer(f"{name}{of}", part, values, reading.unit, form, pair))
    if not layers:
        return None
    layers += _regret(found, reality, len(layers))
    for name in by_row(outlook, reality):
        layers += _outcome(charts[name], rows, len(layers))
    offered = list(
        dict.fromkeys(layer.part for layer in layers if layer.part and layer.role != "regret")
    )
    offered.sort(key=lambda part: part != ALL)
    change = next((k for k, item in enumerate(layers) if item.name.startswith("Regret")), None)
    dims = plural(outlook.dim)
    title = f"{dims[:1].upper()}{dims[1:]} by hour, as it came out"
    return Map("map", title, tuple(layers), tuple(offered), change)


def _added(found: Hindsight) -> list[str]:
    """Levers that add up, in the unit of the first of them."""
    names = [item.lever for item in found.levers if found.readings[item.lever].summed]
    return [n for n in names if found.readings[n].unit == found.readings[names[0]].unit]


def _regret(found: Hindsight, reality: Reality, place: int) -> list[Layer]:
    """The regret of each cell by what made it, the largest first, and whole."""
    if not reality.regret:
        return []
    parts = shown_parts(reality.regret)
    total = np.sum(list(reality.regret.values()), axis=0)
    form = cell_form(found.unit, max(2, digits_of(total)))
    layers = [
        Layer(f"Regret by {name}", name, values, found.unit, form, (), "regret")
        for name, values in parts.items()
    ]
    near = tuple((place + k, 1) for k in range(len(layers)))
    return [*layers, Layer("Regret", ALL, total, found.unit, form, near, "regret")]


def shown_parts(regret: Mapping[str, Array]) -> dict[str, Array]:
    """What made the regret, the largest first; small parts together."""
    order = sorted(regret, key=lambda name: -float(np.abs(regret[name]).sum()))
    known = [name for name in order if float(np.abs(regret[name]).sum()) > 0]
    parts = {name: regret[name] for name in known[:_MEMBERS]}
    if rest := known[_MEMBERS:]:
        parts[_REST] = np.sum([regret[name] for name in rest], axis=0)
    return parts


def _outcome(chart: Chart, rows: int, place: int) -> list[Layer]:
    lines = {line.role: line.values for line in chart.lines}
    if not all(len(values) == rows + 1 for values in lines.values()):
        return []
    if not np.isfinite(lines["plan"][1:]).any():
        return []
    form = cell_form(chart.unit, chart.digits)
    happened, promised = lines["actual"], lines["plan"]
    near = ((place, 1), (place + 1, -1))
    return [
        Layer(f"{chart.title}, happened", "", happened, chart.unit, form, total=True),
        Layer(f"{chart.title}, forecast", "", promised, chart.unit, form, total=True),
        Layer(
            f"{chart.title}, happened less forecast",
            "",
            happened - promised,
            chart.unit,
            form,
            near,
            total=True,
        ),
    ]


def hindsight_desk(found: Hindsight, outlook: Outlook, reality: Reality) -> Desk:
    """What the panel beside the map and the table of rows show."""
    totals = []
    promised = {(item.row, item.quantity): item for item in found.promises}
    for name in by_row(outlook, reality):
        reading = outlook.readings[name]
        form, factor = total_form(reading)
        items = [outlook.totals["plan"][name], *outlook.weeks.get(name, ())]
        got = [promised.get((row, name)) for row in ("", *outlook.rows)][: len(items)]
        values = factor * np.array(
            [
                [item.mid, item.low, item.high, np.nan if known is None else known.happened]
                for item, known in zip(items, got, strict=True)
            ]
        )
        totals.append(Total(reading.title, form, reading.better, f"h-{name}", values, None))
    levers = _added(found)
    unit = found.readings[levers[0]].total_unit if levers else ""
    missed = {item.row for item in found.promises if item.row and not item.held}
    marked = tuple(k for k, row in enumerate(outlook.rows) if row in missed)
    rows = [item for item in found.promises if item.row]
    said = ""
    if rows:
        held = sum(item.held for item in rows)
        said = f"{held} of {len(rows)} outcomes by {outlook.dim.replace('_', ' ')} came out inside "
        said += f"their intervals; {len(marked)} of {len(outlook.rows)} have one outside."
    return Desk(
        tuple(totals),
        (),
        " and ".join(found.readings[name].title for name in levers),
        cell_form(unit, 0),
        ALL,
        outlook.arms.get("none", ""),
        step_of(unit) if unit else "",
        cell_form(found.unit, 2),
        found.objective,
        kind="hindsight",
        columns=_columns(found, outlook, reality, levers, unit),
        marked=marked,
        mark="outside",
        said=said,
    )


def _columns(
    found: Hindsight, outlook: Outlook, reality: Reality, levers: Sequence[str], unit: str
) -> tuple[RowColumn, ...]:
    """By row: decided and done, what would have been best, regret, promised and happened."""
    columns = []
    count = len(outlook.rows)

    def spent(layers: Layers) -> Array:
        total = np.zeros(count)
        for lever in levers:
            for values in layers[lever].values():
                if len(values) == count:
                    total += values.sum(axis=1)
        return total

    if levers:
        done = spent(reality.done)
        form = cell_form(unit, 0)
        title = found.readings[levers[0]].title
        columns += [
            RowColumn(f"{title}, carried out", form, tuple(done)),
            RowColumn("less planned", form, tuple(done - spent(reality.planned)), signed=True),
            RowColumn("best less it", form, tuple(spent(reality.best) - done), signed=True),
        ]
    if reality.regret:
        total = np.sum(list(reality.regret.values()), axis=0).sum(axis=1)
        columns.append(RowColumn("Regret", cell_form(found.unit, 0), tuple(total)))
    promised = {(item.row, item.quantity): item for item in found.promises if item.row}
    for name in by_row(outlook, reality):
        form, factor = total_form(outlook.readings[name])
        known = [promised.get((row, name)) for row in outlook.rows]
        if any(item is None for item in known):
            continue
        mids, values = zip(
            *((factor * i.mid, factor * i.happened) for i in known if i is not None), strict=True
        )
        columns.append(RowColumn(f"{outlook.readings[name].title}, promised", form, mids))
        columns.append(RowColumn("happened", form, values))
    return tuple(columns[:12])


def hindsight_sections(
    outlook: Outlook, found: Map, panels: tuple[Chart, ...], lead: str
) -> tuple[Section, Section]:
    """The map with its panels, and the table of rows."""
    blocks: list[Block] = [found, *((panels,) if panels else ())]
    dim = outlook.dim.replace("_", " ")
    return (
        Section("desk", "Where and when", lead, tuple(blocks), short="Map"),
        Section(
            "rows",
            f"By {dim}",
            "Promised and got, decided and done, over all hours. A head sorts.",
            (RowTable(),),
            short=f"By {dim}",
        ),
    )


def objective_form(found: Hindsight, digits: int = 0) -> Form:
    """How amounts of the objective are written."""
    return cell_form(found.unit, digits)
