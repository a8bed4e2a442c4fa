"""The page on which a plan is approved or rejected."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dagcast.figures import amount
from dagcast.plans import Outlook, PlanSummary
from dagcast.review._content import Page
from dagcast.review.plan_page._answers import answers
from dagcast.review.plan_page._believed import PlanEvidence, believed, provenance
from dagcast.review.plan_page._cards import cards, lever_cards
from dagcast.review.plan_page._decided import decided_section
from dagcast.review.plan_page._desk import desk_of, desk_section, detail, main_map
from dagcast.review.plan_page._expected import (
    expected,
    marginal,
    marginal_charts,
    outcome_charts,
)
from dagcast.review.plan_page._first import first_looks
from dagcast.review.plan_page._headline import headline, status, tone
from dagcast.review.plan_page._heed import heed
from dagcast.review.plan_page._limits import limits
from dagcast.review.plan_page._standing import standing
from dagcast.review.plan_page._teams import TeamPanel, teams
from dagcast.review.plan_page._words import (
    Layers,
    Rows,
    bands,
    chosen,
    clock_words,
    plural,
    shown_zones,
)


def plan_page(
    summary: PlanSummary,
    outlook: Outlook,
    *,
    decisions: Layers,
    marginals: Mapping[str, Layers],
    lever_rows: Rows,
    evidence: PlanEvidence,
    project: str,
    state: str,
    author: str = "",
    parent: str | None = None,
    before: Outlook | None = None,
    kept: str = "",
    zone: str = "UTC",
    zones: Mapping[str, str] | None = None,
    current: Layers | None = None,
    digest: str = "",
    against: tuple[str, ...] = (),
    panels: tuple[TeamPanel, ...] = (),
) -> Page:
    """Compose the page.

    Args:
        summary: figures of the plan.
        outlook: forecasts under the plan, under doing nothing and under the current plan.
        decisions: lever -> layer -> values by row and hour, unit of the lever.
        marginals: outcome -> lever -> layer -> d outcome / d lever by row and hour.
        lever_rows: title, this plan, current plan and change of every lever, as text.
        evidence: validity and accuracy of the models.
        project: name of the project.
        state: of the plan, such as ``proposed by ana``.
        author: who proposed it.
        parent: the plan that it was edited from, if it was.
        before: forecasts under the parent, to say what an edit changes.
        kept: how past promises came out, in words; empty where there are none.
        zone: zone in which hours of all rows together are shown.
        zones: zone of single rows, by label.
        current: as ``decisions``, of the operator's current plan; None where nobody kept it.
        digest: sha256 of the plan, as the log has it.
        against: what stands against approving it now, such as newer data.
        panels: charts of packages.
    """
    hours = tuple(datetime.fromisoformat(hour) for hour in outlook.hours)
    first, last = (hour.astimezone(ZoneInfo(zone)) for hour in (hours[0], hours[-1]))
    shown = detail(summary, outlook, marginals)
    outcomes = outcome_charts(outlook, shown.by_row)
    edges = marginal_charts(summary, outlook, marginals)
    charts = {**edges, **{chart.key: chart for chart in outcomes.values()}}
    found = main_map(summary, outlook, decisions, current, marginals, shown, outcomes)
    beside = tuple(charts[key] for key in shown.panels if key in charts) if found else ()
    rest = [chart for chart in charts.values() if chart not in beside]
    lead = f"{chosen(outlook)}{bands(outlook)}"
    sections = [
        standing(summary),
        heed(summary),
        *(desk_section(outlook, found, beside, lead) if found else ()),
        decided_section(summary, outlook, decisions, lever_rows),
        expected(summary, outlook, [chart for chart in rest if chart.key not in edges]),
        marginal(outlook, [chart for chart in rest if chart.key in edges]),
        teams(panels, outlook),
        limits(summary),
        believed(summary, evidence),
        provenance(summary),
    ]
    when = f"{first:%a %-d %b %Y} to {last:%a %-d %b %Y}"
    clock = clock_words(outlook.rows, zone, zones, outlook.dim)
    looks = first_looks(summary, outlook, decisions, evidence.effects)
    return Page(
        title=f"{summary.plan}: {project}",
        kicker=f"{project} · {summary.plan} · {when} · {_size(outlook)}{len(hours)} hours",
        headline=headline(summary, outlook, author, parent, before),
        status=status(summary),
        tone=tone(summary, outlook, against),
        against=against,
        facts=(
            *((("Past promises", kept),) if kept else ()),
            ("State", state),
            ("Maximises", _worth(summary, outlook)),
            ("Data known by", _moment(summary.provenance.get("data_moment", ""), zone)),
            ("Hours shown by", clock),
            *((("Draws", summary.risk),) if summary.risk else ()),
        ),
        cards=(*lever_cards(summary), *cards(outlook)),
        sections=tuple(section for section in sections if section is not None),
        rows=outlook.rows,
        dim=outlook.dim,
        hours=hours,
        zone=zone,
        zones=shown_zones(outlook.rows, zone, zones),
        answers=answers(summary, outlook, when=f"{when}, by {clock}", kept=kept, first=looks),
        desk=desk_of(summary, outlook, outcomes, shown) if found else None,
        mark=" · ".join(
            filter(None, (summary.plan, state.split(": ")[0], f"sha256 {digest}" if digest else ""))
        ),
    )


def _size(outlook: Outlook) -> str:
    return f"{len(outlook.rows)} {plural(outlook.dim)}, " if outlook.dim else ""


def _worth(summary: PlanSummary, outlook: Outlook) -> str:
    """What is maximised, apart from the money that is in it."""
    found = outlook.totals["plan"].get("objective")
    if found is None or not summary.mixed:
        return summary.objective
    gains = [
        f"{amount(items['objective'].mid, summary.objective_unit, signed=True)} vs "
        f"{outlook.arms[arm]}"
        for arm, items in outlook.differences.items()
        if "objective" in items
    ]
    said = f"{summary.objective}, worth {amount(found.mid, summary.objective_unit)}"
    return f"{said} ({', '.join(gains)})" if gains else said


def _moment(text: str, zone: str) -> str:
    if not text:
        return "unknown"
    return f"{datetime.fromisoformat(text).astimezone(ZoneInfo(zone)):%-d %b %Y %H:%M %Z}"
