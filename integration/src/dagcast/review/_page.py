"""A page as one HTML file without any reference to the network."""

import base64
import html
import json
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from dagcast.review._content import (
    Array,
    Bar,
    Block,
    Card,
    Chart,
    Forest,
    Heatmap,
    Interval,
    Page,
    Section,
    Table,
    Text,
)


def render(page: Page) -> str:
    """Render a page.

    Args:
        page: what to show.

    Returns:
        HTML that holds its style, its script, plotly and the data.
    """
    # plotly takes a tenth of a second to import, which only a page needs.
    from plotly.offline import get_plotlyjs

    parts = files("dagcast.review")
    body = "".join(_section(section) for section in page.sections)
    links = "".join(
        f'<a href="#{html.escape(section.key)}">{html.escape(section.short or section.title)}</a>'
        for section in page.sections
    )
    fill = {
        "TITLE": html.escape(page.title),
        "STYLE": parts.joinpath("page.css").read_text(encoding="utf-8"),
        "LINKS": links,
        "HEADER": _header(page),
        "BODY": body,
        "CHOICE": _choice(page),
        "DATA": _script_safe(json.dumps(_payload(page), separators=(",", ":"))),
        "PLOTLY": get_plotlyjs(),
        "SCRIPT": parts.joinpath("page.js").read_text(encoding="utf-8"),
    }
    template = parts.joinpath("page.html").read_text(encoding="utf-8")
    pieces = template.split("%%")
    return "".join(
        piece if position % 2 == 0 else fill[piece] for position, piece in enumerate(pieces)
    )


def _choice(page: Page) -> str:
    """The controls of every chart: which row, and by whose clock."""
    return _rows(page) + _clock(page)


def _clock(page: Page) -> str:
    """Local time or UTC; none where both are the same."""
    if page.zone == "UTC" and not page.zones:
        return ""
    return (
        '<label class="row">Clock <select id="clock"><option value="local">local</option>'
        '<option value="utc">UTC</option></select></label>'
    )


def _rows(page: Page) -> str:
    if not page.rows:
        return ""
    dim = page.dim.replace("_", " ")
    options = "".join(
        f'<option value="{number}">{html.escape(name)}</option>'
        for number, name in enumerate((f"All {dim}s", *page.rows))
    )
    label = html.escape(dim.capitalize())
    return f'<label class="row">{label} <select id="row">{options}</select></label>'


def _script_safe(text: str) -> str:
    # "</script>" inside a label would end the data.
    return text.replace("<", "\\u003c")


def _payload(page: Page) -> dict[str, Any]:
    zone, clocks = ZoneInfo(page.zone), list(dict.fromkeys(page.zones))
    charts: dict[str, Any] = {}
    for section in page.sections:
        for block in section.blocks:
            for item in block if isinstance(block, tuple) else (block,):
                if isinstance(item, Chart):
                    charts[item.key] = _chart(item)
                elif isinstance(item, Heatmap):
                    charts[item.key] = _heatmap(item)
    return {
        "rows": list(page.rows) or ["all"],
        # Wall-clock time, because people plan in it; a repeated hour in autumn shows twice.
        "hours": _wall(page.hours, zone),
        "utc": _wall(page.hours, ZoneInfo("UTC")),
        # Which clock each row has: most rows share one.
        "clocks": [_wall(page.hours, ZoneInfo(name)) for name in clocks],
        "clock": [clocks.index(name) for name in page.zones],
        "charts": charts,
    }


def _wall(hours: Sequence[datetime], zone: ZoneInfo) -> list[str]:
    return [hour.astimezone(zone).strftime("%Y-%m-%dT%H:%M") for hour in hours]


def _encoded(values: Array) -> dict[str, Any]:
    # float32 halves the page; nobody reads more than seven digits off a chart.
    narrow = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": list(narrow.shape), "f4": base64.b64encode(narrow.tobytes()).decode()}


def _own_rows(values: Array) -> Array:
    """All rows together alone where no row has a value: they are then shown for each of them."""
    return values[:1] if len(values) > 1 and np.isnan(values[1:]).all() else values


def _chart(chart: Chart) -> dict[str, Any]:
    lines = []
    for line in chart.lines:
        entry: dict[str, Any] = {
            "name": line.name,
            "role": line.role,
            "values": _encoded(_own_rows(line.values)),
        }
        if line.low is not None and line.high is not None:
            entry |= {
                name: _encoded(_own_rows(end))
                for name, end in (("low", line.low), ("high", line.high))
            }
        lines.append(entry)
    return {"kind": "lines", "unit": chart.unit, "digits": chart.digits, "lines": lines}


def _heatmap(heatmap: Heatmap) -> dict[str, Any]:
    layers = [{"name": name, "values": _encoded(values)} for name, values in heatmap.layers.items()]
    return {
        "kind": "heatmap",
        "unit": heatmap.unit,
        "digits": heatmap.digits,
        "layers": layers,
        "rows": list(heatmap.rows),
    }


def _header(page: Page) -> str:
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in page.facts
    )
    return (
        f'<p class="kicker">{html.escape(page.kicker)}</p>'
        f"<h1>{html.escape(page.headline)}</h1>"
        f'<p class="status {page.tone}"><span class="dot" aria-hidden="true"></span>'
        f"{html.escape(page.status)}</p>"
        f'<dl class="facts">{facts}</dl>'
        f'<div class="cards">{"".join(_card(card) for card in page.cards)}</div>'
    )


def _card(card: Card) -> str:
    rows = "".join(_comparison(*row) for row in card.comparisons)
    interval = f'<p class="interval">{html.escape(card.interval)}</p>' if card.interval else ""
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f'<article class="card"><h2>{html.escape(card.label)}</h2>'
        f'<p class="figure">{html.escape(card.value)}</p>{interval}{table}</article>'
    )


def _comparison(name: str, value: str, tone: str) -> str:
    first, _, second = value.partition("\n")
    below = f'<tr class="below"><td colspan="2">{html.escape(second)}</td></tr>' if second else ""
    return (
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f'<td class="{tone}">{html.escape(first)}</td></tr>{below}'
    )


def _section(section: Section) -> str:
    blocks = "".join(_block(block) for block in section.blocks)
    lead = f'<p class="lead">{html.escape(section.lead)}</p>' if section.lead else ""
    return (
        f'<section id="{html.escape(section.key)}" aria-labelledby="h-{html.escape(section.key)}">'
        f'<h2 id="h-{html.escape(section.key)}">{html.escape(section.title)}</h2>'
        f"{lead}{blocks}</section>"
    )


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{html.escape(block.text)}</p>"
        case Chart():
            return _figure(block)
        case Heatmap():
            return _figure(block)
        case Table():
            return _table(block)
        case Forest():
            return _forest(block)
        case tuple():
            if block and isinstance(block[0], Bar):
                return f'<ul class="bars">{"".join(_bar(bar) for bar in block)}</ul>'
            return f'<div class="grid">{"".join(_figure(chart) for chart in block)}</div>'  # type: ignore[arg-type]


def _figure(figure: Chart | Heatmap) -> str:
    wide = " wide" if isinstance(figure, Heatmap) else ""
    choose = ""
    if isinstance(figure, Heatmap) and len(figure.layers) > 1:
        options = "".join(
            f'<button type="button" data-layer="{number}" aria-pressed="{str(not number).lower()}">'
            f"{html.escape(name)}</button>"
            for number, name in enumerate(figure.layers)
        )
        choose = f'<div class="layers" role="group" aria-label="Layer">{options}</div>'
    note = f'<p class="note">{html.escape(figure.note)}</p>' if figure.note else ""
    return (
        f'<figure class="chart{wide}" data-key="{html.escape(figure.key)}">'
        f"<figcaption><h3>{html.escape(figure.title)}</h3>"
        f'<span class="unit">{html.escape(figure.unit)}</span>{choose}</figcaption>'
        f'<div class="plot" role="img" aria-label="{html.escape(figure.title)}, '
        f'{html.escape(figure.unit)}, by hour"></div>{note}</figure>'
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{"" if column.numeric else " class=text"}>{html.escape(column.name)}</th>'
        for column in table.columns
    )
    rows = [_row(table, number) for number in range(len(table.rows))]
    caption = f"<caption>{html.escape(table.caption)}</caption>" if table.caption else ""
    shown = (
        f'<div class="scroll"><table class="data">{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows[: table.visible])}</tbody></table></div>"
    )
    rest = rows[table.visible :]
    if not rest:
        return shown
    return (
        f"{shown}<details><summary>{len(rest)} more row{'s' if len(rest) > 1 else ''}</summary>"
        f'<div class="scroll"><table class="data"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rest)}</tbody></table></div></details>"
    )


def _row(table: Table, number: int) -> str:
    cells = "".join(
        f"<td{'' if column.numeric else ' class=text'}>{html.escape(value)}</td>"
        for column, value in zip(table.columns, table.rows[number], strict=True)
    )
    return f"<tr{' class=marked' if number in table.marked else ''}>{cells}</tr>"


def _bar(bar: Bar) -> str:
    share = 0.0 if bar.limit == 0 else max(0.0, min(1.0, bar.used / bar.limit))
    percent = f"{share:.0%}" if bar.limit else "no room"
    note = f'<p class="note">{html.escape(bar.note)}</p>' if bar.note else ""
    return (
        f'<li class="{"binding" if bar.binding else "slack"}"><div class="bar-head">'
        f"<span>{html.escape(bar.label)}</span>"
        f"<span>{bar.used:,.0f} of {bar.limit:,.0f} {html.escape(bar.unit)} "
        f"<em>{percent}</em></span></div>"
        f'<div class="track" role="meter" aria-valuemin="0" aria-valuemax="{bar.limit:.0f}" '
        f'aria-valuenow="{bar.used:.0f}" aria-label="{html.escape(bar.label)}">'
        f'<span style="width:{100 * share:.2f}%"></span></div>{note}</li>'
    )


def _forest(forest: Forest) -> str:
    rows = "".join(_interval(row) for row in forest.rows)
    note = f'<p class="note">{html.escape(forest.note)}</p>' if forest.note else ""
    return (
        '<div class="forest"><div class="legend" aria-hidden="true">'
        '<span class="measured">measured</span>'
        '<span class="modelled">expected without it</span></div>'
        f"<ul>{rows}</ul>{note}</div>"
    )


def _interval(row: Interval) -> str:
    ends = (row.measured_low, row.measured_high, row.modelled_low, row.modelled_high, 0.0)
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return 2 + 96 * (value - low) / span

    def mark(kind: str, y: int, start: float, middle: float, end: float) -> str:
        return (
            f'<line class="{kind}" x1="{at(start):.2f}%" x2="{at(end):.2f}%" y1="{y}" y2="{y}"/>'
            f'<circle class="{kind}" cx="{at(middle):.2f}%" cy="{y}" r="4"/>'
        )

    verdict = html.escape(row.verdict)
    kind = verdict.replace(" ", "-")
    return (
        f'<li class="{kind}"><div class="name"><b>{html.escape(row.label)}</b>'
        f"<span>{html.escape(row.note)}</span></div>"
        f'<svg height="34" role="img" aria-label="measured {row.measured:.4g}, '
        f'expected {row.modelled:.4g}: {verdict}">'
        f'<line class="zero" x1="{at(0):.2f}%" x2="{at(0):.2f}%" y1="0" y2="34"/>'
        f"{mark('measured', 11, row.measured_low, row.measured, row.measured_high)}"
        f"{mark('modelled', 23, row.modelled_low, row.modelled, row.modelled_high)}</svg>"
        f'<div class="values"><span class="measured">{row.measured:,.4g}</span>'
        f'<span class="modelled">{row.modelled:,.4g}</span></div>'
        f'<span class="verdict">{verdict}</span></li>'
    )
