"""What the script of a page reads: rows, clocks, and its charts with their arrays by number."""

from collections.abc import Sequence
from dataclasses import asdict, astuple
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from dagcast.review._content import Array, Chart, Form, Heatmap, Map, Page, Waterfall
from dagcast.review._desk_content import Desk, Total
from dagcast.review._packing import Packing, digits_of


def payload(page: Page) -> tuple[dict[str, Any], str]:
    """The data of a page, and its packed arrays."""
    packing = Packing()
    charts: dict[str, Any] = {}
    for section in page.sections:
        for block in section.blocks:
            for item in block if isinstance(block, tuple) else (block,):
                match item:
                    case Chart():
                        charts[item.key] = _chart(item, packing)
                    case Heatmap():
                        charts[item.key] = _heatmap(item, packing)
                    case Map():
                        charts[item.key] = _map(item, packing)
                    case Waterfall():
                        charts[item.key] = _waterfall(item)
                    case _:
                        pass
    desk = None if page.desk is None else _desk(page.desk, packing)
    zone, clocks = ZoneInfo(page.zone), list(dict.fromkeys(page.zones))
    found = {
        "rows": list(page.rows) or ["all"],
        "dim": page.dim.replace("_", " "),
        "all": all_rows(page),
        # Wall-clock time, because people plan in it; a repeated hour in autumn shows twice.
        "hours": _wall(page.hours, zone),
        "utc": _wall(page.hours, ZoneInfo("UTC")),
        # Which clock each row has: most rows share one.
        "clocks": [_wall(page.hours, ZoneInfo(name)) for name in clocks],
        "clock": [clocks.index(name) for name in page.zones],
        "charts": charts,
        "desk": desk,
        "heads": packing.heads(),
    }
    return found, packing.text()


def all_rows(page: Page) -> str:
    """What all rows together are called."""
    return f"All {page.dim.replace('_', ' ')}s" if page.dim else "All"


def _wall(hours: Sequence[datetime], zone: ZoneInfo) -> list[str]:
    return [hour.astimezone(zone).strftime("%Y-%m-%dT%H:%M") for hour in hours]


def _own_rows(values: Array) -> Array:
    """All rows together alone where no row has a value: they are then shown for each of them."""
    return values[:1] if len(values) > 1 and np.isnan(values[1:]).all() else values


def _chart(chart: Chart, packing: Packing) -> dict[str, Any]:
    lines: list[dict[str, Any]] = []
    near: list[tuple[int, int]] = []
    for line in chart.lines:
        mid = packing.add(_own_rows(line.values), chart.digits, near)
        # What a plan is compared with is close to it, as the ends of a band are to its middle.
        near = near or [(mid, 1)]
        entry: dict[str, Any] = {"name": line.name, "role": line.role, "values": mid}
        if line.low is not None and line.high is not None:
            entry["low"] = packing.add(_own_rows(line.low), chart.digits, [(mid, 1)])
            entry["high"] = packing.add(_own_rows(line.high), chart.digits, [(mid, 1)])
        if line.weight is not None:
            # As exactly as the weight has a chart of its own, which then holds it for both.
            weight = _own_rows(line.weight)
            entry["weight"] = packing.add(weight, digits_of(weight[min(1, len(weight) - 1) :]))
        lines.append(entry)
    return {
        "kind": "lines",
        "title": chart.title,
        "unit": chart.unit,
        "digits": chart.digits,
        "how": chart.how,
        "lines": lines,
    }


def _waterfall(found: Waterfall) -> dict[str, Any]:
    return {
        "kind": "parts",
        "title": found.title,
        "unit": found.unit,
        "form": asdict(found.form),
        "bars": [list(bar) for bar in found.bars],
        "whole": found.whole,
    }


def _heatmap(heatmap: Heatmap, packing: Packing) -> dict[str, Any]:
    form = Form(suffix=f" {heatmap.unit}" if heatmap.unit else "", digits=heatmap.digits)
    return {
        "kind": "map",
        "title": heatmap.title,
        "parts": list(heatmap.layers),
        "rows": list(heatmap.rows),
        "layers": [
            _layer("", name, packing.add(values, heatmap.digits), heatmap.unit, form)
            for name, values in heatmap.layers.items()
        ],
    }


def _map(found: Map, packing: Packing) -> dict[str, Any]:
    numbers: list[int] = []
    for layer in found.layers:
        near = [(numbers[place], sign) for place, sign in layer.near]
        numbers.append(packing.add(layer.values, layer.form.digits, near))
    entry: dict[str, Any] = {
        "kind": "map",
        "title": found.title,
        "parts": list(found.parts),
        "rows": [],
        "layers": [
            {
                **_layer(layer.name, layer.part, number, layer.unit, layer.form),
                "role": layer.role,
                "total": layer.total and len(layer.values) > 1,
            }
            for layer, number in zip(found.layers, numbers, strict=True)
        ],
    }
    if found.change is not None:
        entry["change"] = numbers[found.change]
    return entry


def _layer(name: str, part: str, number: int, unit: str, form: Form) -> dict[str, Any]:
    return {
        "name": name,
        "part": part,
        "values": number,
        "unit": unit,
        **asdict(form),
    }


def _desk(desk: Desk, packing: Packing) -> dict[str, Any]:
    return {
        "outcomes": [_total(item, packing) for item in desk.outcomes],
        "limits": [list(astuple(line)) for line in desk.limits],
        "lever": desk.lever,
        "spend": asdict(desk.spend),
        "all": desk.everything,
        "none": desk.none,
        "step": desk.step,
        "worth": asdict(desk.worth),
        "objective": desk.objective,
        "bounds": desk.bounds,
        "upper": desk.upper,
        "kind": desk.kind,
        "columns": [asdict(column) for column in desk.columns],
        "marked": list(desk.marked),
        "mark": desk.mark,
        "said": desk.said,
    }


def _total(item: Total, packing: Packing) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": item.title,
        "form": asdict(item.form),
        "better": item.better,
        "chart": item.chart,
    }
    digits = item.form.digits
    if item.values is not None:
        found["values"] = packing.add(item.values, digits)
    if item.gains is not None:
        # Small changes have more decimals than what changes.
        found["gains"] = packing.add(item.gains[:, :3], digits)
        found["chance"] = packing.add(item.gains[:, 3:], 0)
    if item.effect is not None:
        low, high = item.effect
        found["effect"] = [packing.add(end, digits_of(high)) for end in (low, high)]
    # Each level is close to the one before it.
    near: list[tuple[int, int]] = []
    found["scaled"] = []
    for scale, values in item.scaled:
        number = packing.add(values, digits_of(values[min(1, len(values) - 1) :]), near)
        found["scaled"].append([scale, number])
        near = [(number, 1)]
    return found
