"""The parts of a page as HTML; everything that comes from a project is escaped."""

import html

from dagcast.review._content import (
    Bar,
    Block,
    Chart,
    Forest,
    Heatmap,
    Interval,
    Map,
    RowTable,
    Table,
    Text,
    Waterfall,
)


def block_html(block: Block) -> str:
    """One block of a section."""
    match block:
        case Text():
            return f"<p>{html.escape(block.text)}</p>"
        case Chart():
            return _figure(block)
        case Heatmap() | Map() | Waterfall():
            return _figure(block)
        case Table():
            return _table(block)
        case RowTable():
            return f'<div id="{html.escape(block.key)}-table" class="by-row"></div>'
        case Forest():
            return _forest(block)
        case tuple():
            if block and isinstance(block[0], Bar):
                return f'<ul class="bars">{"".join(_bar(bar) for bar in block)}</ul>'
            return f'<div class="grid">{"".join(_figure(chart) for chart in block)}</div>'  # type: ignore[arg-type]


# The figures of a chart, which its script fills in when they are asked for.
_FIGURES = (
    '<div class="tools"><details class="figures"><summary>Figures</summary><div></div></details>'
    '<button type="button" class="csv">CSV</button></div>'
)


def _figure(figure: Chart | Heatmap | Map | Waterfall) -> str:
    wide = "" if isinstance(figure, Chart) else " wide"
    unit = "" if isinstance(figure, Map) else figure.unit
    note = f'<p class="note">{html.escape(figure.note)}</p>' if figure.note else ""
    main = " data-main" if isinstance(figure, Map) else ""
    panel = '<div id="panel"></div>' if isinstance(figure, Map) else ""
    title = html.escape(figure.title)
    return (
        f'<figure class="chart{wide}" data-key="{html.escape(figure.key)}"{main}>'
        f'<figcaption><h3>{title}</h3><span class="unit">{html.escape(unit)}</span>'
        f"{_controls(figure)}</figcaption>{_plot(figure)}"
        f"<output></output>{note}{_FIGURES}{panel}</figure>"
    )


def _plot(figure: Chart | Heatmap | Map | Waterfall) -> str:
    """What a chart is drawn into: reached by the tab key, and moved through by the arrow keys."""
    title = html.escape(figure.title)
    if isinstance(figure, Chart):
        legend = "".join(
            f'<li class="{html.escape(line.role)}">{html.escape(line.name)}</li>'
            for line in figure.lines
        )
        return (
            f'<div class="plot" tabindex="0" role="application" aria-label="{title}, '
            f"{html.escape(figure.unit)}, by hour: left and right arrows read the hours, Enter "
            f'chooses one"></div><ul class="legend" aria-hidden="true">{legend}</ul>'
        )
    if isinstance(figure, Waterfall):
        return (
            f'<div class="plot parts" tabindex="0" role="application" aria-label="{title}: up and '
            'down arrows read the parts"></div>'
        )
    return (
        f'<div class="plot map" tabindex="0" role="application" aria-label="{title}, by hour: '
        "arrows choose a cell, Shift extends, Enter takes the row, Space the hour, "
        'Escape everything"><canvas></canvas><div class="marks" aria-hidden="true"></div>'
        '<div class="cross" aria-hidden="true" hidden></div></div>'
        '<p class="scale" aria-hidden="true"><b></b><i></i><em></em></p>'
    )


def _controls(figure: Chart | Heatmap | Map | Waterfall) -> str:
    """Which layer a map shows, and of which of its parts; search and rank where rows are many."""
    if isinstance(figure, Chart | Waterfall):
        return ""
    if isinstance(figure, Heatmap):
        return _chosen("part", "Part", list(figure.layers)) if len(figure.layers) > 1 else ""
    names = list(dict.fromkeys(layer.name for layer in figure.layers))
    rank = "".join(
        f'<option value="{value}">{said}</option>'
        for value, said in (
            ("listed", "as listed"),
            *((("change", "largest change first"),) if figure.change is not None else ()),
            ("shown", "largest of what is shown first"),
        )
    )
    return (
        f"{_chosen('layer', 'Show', names)}"
        f"{_chosen('part', 'of', list(figure.parts)) if len(figure.parts) > 1 else ''}"
        f'<label>Order <select class="rank">{rank}</select></label>'
        '<label>Find <input class="search" type="search" size="9" autocomplete="off"></label>'
    )


def _chosen(kind: str, label: str, names: list[str]) -> str:
    options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
    return f'<label>{label} <select class="{kind}">{options}</select></label>'


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
