"""The page that looks back: planned, happened, and what would have been best."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dagcast.figures import share, words
from dagcast.plans import Hindsight, Outlook, Reading, RegretShare
from dagcast.review._content import (
    Block,
    Card,
    Chart,
    Column,
    Line,
    Page,
    Section,
    Table,
    Text,
)
from dagcast.review._retro_desk import (
    Reality,
    by_row,
    hindsight_desk,
    hindsight_map,
    hindsight_sections,
)
from dagcast.review._retro_first import promise_book, retro_answers, waterfall
from dagcast.review.plan_page import (
    bands,
    clock_words,
    lever_map,
    outcome_chart,
    shown_zones,
    together,
    weight_of,
)

# Outcomes that stand in front; the others are in the table.
_MOST_CARDS = 2
# Charts that stand at the map.
_PANELS = 6


def retro_page(
    found: Hindsight,
    outlook: Outlook,
    *,
    reality: Reality,
    project: str,
    state: str,
    zone: str = "UTC",
    zones: Mapping[str, str] | None = None,
) -> Page:
    """Compose the page.

    Args:
        found: regret, its attribution, and totals.
        outlook: what was forecast when the plan was made.
        reality: what is known now.
        project: name of the project.
        state: of the plan.
        zone: zone in which hours of all rows together are shown.
        zones: zone of single rows, by label.
    """
    hours = tuple(datetime.fromisoformat(hour) for hour in outlook.hours)
    first, last = (hour.astimezone(ZoneInfo(zone)) for hour in (hours[0], hours[-1]))
    charts = _charts(outlook, reality)
    drawn = hindsight_map(found, outlook, reality, charts)
    panels = tuple(charts.values())[:_PANELS] if drawn else ()
    rest = tuple(chart for chart in charts.values() if chart not in panels)
    book = promise_book(found, reality)
    lead = (
        f"Reality drawn in: what was forecast, what happened, and what would have been best. "
        f"{bands(outlook)}"
    )
    good = found.share <= 0.1 and all(item.held for item in found.promises if not item.row)
    return Page(
        title=f"{found.plan} in hindsight: {project}",
        kicker=(
            f"{project} · {found.plan} in hindsight · {first:%a %-d %b %Y} to {last:%a %-d %b %Y}"
        ),
        headline=(
            f"{_promised(found)}With everything known, {found.worth(found.regret)} more of "
            f"{found.objective} could have been had: {found.share:.0%} of what was attainable."
        ),
        status=_status(found),
        tone="good" if good else "warning",
        facts=(
            ("Plan", state),
            ("Maximised", found.objective),
            ("Hours shown by", clock_words(outlook.rows, zone, zones, outlook.dim)),
        ),
        cards=_cards(found),
        sections=(
            *(hindsight_sections(outlook, drawn, panels, lead) if drawn else ()),
            *_promises(found, outlook.dim),
            _attribution(found),
            *(() if drawn else (_decisions(found, outlook, reality),)),
            *((_outcomes(outlook, rest),) if rest else ()),
            _totals(found),
            *((book,) if book is not None else ()),
        ),
        answers=retro_answers(found, outlook, reality),
        desk=hindsight_desk(found, outlook, reality) if drawn else None,
        rows=outlook.rows,
        dim=outlook.dim,
        hours=hours,
        zone=zone,
        zones=shown_zones(outlook.rows, zone, zones),
        mark=f"{found.plan} in hindsight · {state.split(': ')[0]}",
    )


def _promised(found: Hindsight) -> str:
    """The first sentence: what was promised of the first outcome, and what was got."""
    first = next((item for item in found.promises if not item.row), None)
    if first is None:
        return ""
    mid, ends, value, _ = found.shown(first)
    side = "inside" if first.held else "outside"
    return (
        f"{found.title(first)} was promised at {mid} and came out at {value}, {side} the interval "
        f"of {ends}; {found.kept_words}. "
    )


def _promises(found: Hindsight, dim: str) -> tuple[Section, ...]:
    """What was promised and what was got: outcomes, rows outside their intervals, and gains."""
    whole = [item for item in found.promises if not item.row]
    rows = [item for item in found.promises if item.row]
    if not whole:
        return ()
    missed = [item for item in rows if not item.held]
    row = dim.replace("_", " ")
    shown = (
        Column("Promised"),
        Column("Interval"),
        Column("Happened"),
        Column("Interval held", numeric=False),
    )
    blocks: list[Block] = [
        Table(
            (Column("Outcome", numeric=False), *shown),
            tuple((found.title(item), *found.shown(item)) for item in whole),
            marked=frozenset(n for n, item in enumerate(whole) if not item.held),
        )
    ]
    if rows:
        blocks.append(
            Text(
                f"By {row}, {len(rows) - len(missed)} of {len(rows)} came out inside their "
                "intervals."
            )
        )
    if missed:
        blocks.append(
            Table(
                (Column(row.capitalize(), numeric=False), Column("Outcome", numeric=False), *shown),
                tuple((item.row, found.title(item), *found.shown(item)) for item in missed),
                caption="Outside their intervals",
                visible=8,
            )
        )
    if found.lifts:
        blocks.append(
            Table(
                (
                    Column("Gain of", numeric=False),
                    Column("Over", numeric=False),
                    Column("Promised"),
                    Column("Interval"),
                    Column("Re-estimated"),
                    Column("Interval held", numeric=False),
                ),
                tuple(
                    (found.title(item), found.arms[item.over], *found.shown(item))
                    for item in found.lifts
                ),
                marked=frozenset(n for n, item in enumerate(found.lifts) if not item.held),
                caption="Gains, re-estimated by models that know what they did not foresee",
                visible=12,
            )
        )
    return (
        Section(
            "promises",
            "Promised and got",
            "What people approved, what came of it, and whether it lies in the interval that was "
            "shown.",
            tuple(blocks),
            short="Promises",
        ),
    )


def _status(found: Hindsight) -> str:
    if found.kept == "all kept":
        return "Every guardrail was kept"
    return f"A guardrail was {found.kept}"


def _cards(found: Hindsight) -> tuple[Card, ...]:
    largest = found.shares[0] if found.shares else None
    cards = [
        Card(
            "Regret",
            found.worth(found.regret),
            f"{found.share:.1%} of the attainable {found.worth(found.attainable)}",
        )
    ]
    for lever in found.levers:
        reading = found.readings[lever.lever]
        cards.append(_card(reading, lever.carried_out, lever.planned, lever.ex_post))
    if largest is not None:
        cards.append(
            Card(
                "Costliest model",
                largest.member,
                f"{found.worth(largest.value)} of the regret",
            )
        )
    for item in found.outcomes[:_MOST_CARDS]:
        reading = found.readings[item.quantity]
        cards.append(_card(reading, item.happened, item.planned, item.ex_post))
    return tuple(cards)


def _card(reading: Reading, happened: float, planned: float, ex_post: float) -> Card:
    return Card(
        reading.title,
        reading.figure(happened),
        "",
        (
            ("planned", reading.figure(planned), "neutral"),
            ("best in hindsight", reading.figure(ex_post), "neutral"),
        ),
    )


def _attribution(found: Hindsight) -> Section:
    rows = [
        (
            item.member,
            found.worth(item.value, signed=True),
            share(item.value, found.regret),
            _verdict(item, found),
        )
        for item in found.shares
    ]
    rows.append(
        (
            "carried out otherwise than planned",
            found.worth(found.execution_gap, signed=True),
            share(found.execution_gap, found.regret),
            "",
        )
    )
    if found.caution:
        rows.append(
            (
                "caution: hedging against uncertain parameters",
                found.worth(found.caution, signed=True),
                share(found.caution, found.regret),
                "",
            )
        )
    return Section(
        "regret",
        "Which model made the difference",
        "Shapley values: the average gain from knowing what a model did not foresee, over all "
        f"orders in which models could learn it ({found.solves} plans were solved). They add up to "
        "the regret, and say where better modelling pays.",
        (
            waterfall(found),
            Table(
                (
                    Column("Model", numeric=False),
                    Column("Cost"),
                    Column("Of the regret"),
                    Column("", numeric=False),
                ),
                tuple(rows),
                marked=frozenset({0})
                if found.shares and found.shares[0].value > 0
                else frozenset(),
            ),
        ),
        short="Regret",
    )


def _verdict(item: RegretShare, found: Hindsight) -> str:
    if item.member in found.unobserved:
        return "nobody observes its output: errors of it count with the models behind it"
    return "its errors happened to help" if round(item.value) < 0 else ""


def _decisions(found: Hindsight, outlook: Outlook, reality: Reality) -> Section:
    maps, sentences = [], []
    for lever in found.levers:
        reading = found.readings[lever.lever]
        title = f"Difference in {words(reading.title)}"
        best, done = reality.best[lever.lever], reality.done[lever.lever]
        named = {part: best[part] - done[part] for part in best}
        maps.append(lever_map(f"x-{lever.lever}", title, reading, named, outlook))
        sentences.append(
            f"{reading.title}: {reading.figure(lever.ex_post)} instead of "
            f"{reading.figure(lever.carried_out)} (planned: {reading.figure(lever.planned)})."
        )
    return Section(
        "decisions",
        "What should have been decided",
        f"Best in hindsight less what was carried out. {' '.join(sentences)}",
        tuple(maps),
        short="Decisions",
    )


def _charts(outlook: Outlook, reality: Reality) -> dict[str, Chart]:
    """Every outcome that was observed: forecast, happened, and best in hindsight."""
    charts = {}
    detailed = by_row(outlook, reality)
    for name, reading in outlook.readings.items():
        if name not in reality.happened:
            continue
        plan = outlook.paths["plan"][name]
        weighing = reality.happened.get(reading.weight)
        lines = [
            Line(
                "forecast", "plan", plan.mid, plan.low, plan.high, weight_of(name, "plan", outlook)
            ),
            Line("happened", "actual", reality.happened[name], weight=weighing),
        ]
        if name in reality.ex_post:
            weighing = reality.ex_post.get(reading.weight, weighing)
            lines.append(
                Line("best in hindsight", "expost", reality.ex_post[name], weight=weighing)
            )
        chart = outcome_chart(f"h-{name}", name, outlook, lines)
        charts[name] = chart if name in detailed else together(chart, outlook)
    return charts


def _outcomes(outlook: Outlook, charts: tuple[Chart, ...]) -> Section:
    return Section("outcomes", "What happened", bands(outlook), (charts,), short="Outcomes")


def _totals(found: Hindsight) -> Section:
    rows = tuple(
        (
            found.readings[item.quantity].title,
            *(
                found.readings[item.quantity].figure(value)
                for value in (item.planned, item.happened, item.ex_post)
            ),
        )
        for item in found.outcomes
    )
    return Section(
        "totals",
        "What came of it, in figures",
        "Best in hindsight: forecast of the ex-post plan with everything known that the models did "
        "not foresee.",
        (
            Table(
                (
                    Column("Outcome", numeric=False),
                    Column("Planned"),
                    Column("Happened"),
                    Column("Best in hindsight"),
                ),
                rows,
            ),
        ),
        short="Figures",
    )
