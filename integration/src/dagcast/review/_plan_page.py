"""The page on which a plan is approved or rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

import numpy as np

from dagcast.figures import (
    LOWER_IS_BETTER,
    figure,
    interval,
    money,
    number,
    signed_money,
    title,
    total_unit,
)
from dagcast.plans import Estimate, LimitRow, Outlook, PlanSummary
from dagcast.review._content import (
    Array,
    Bar,
    Block,
    Card,
    Chart,
    Column,
    Forest,
    Heatmap,
    Interval,
    Line,
    Page,
    Role,
    Section,
    Table,
    Text,
    Tone,
)

ARMS: dict[Role, str] = {"none": "no spend", "current": "current plan"}
_ROLES: tuple[Role, ...] = ("1", "2", "3", "4", "5")
_CHARTS = (
    "sessions",
    "driver_hours",
    "eta",
    "prime_time",
    "rides",
    "incremental_driver_hours",
    "profit",
)
_CARDS = ("profit", "rides", "eta", "prime_time")


@final
@dataclass(frozen=True)
class PlanEvidence:
    """What speaks for the models behind a plan, each part only if its stage was run.

    Attributes:
        effects: measured against modelled effects.
        accuracy: backtest rows: quantity, MASE, seasonal naive, hour-of-week mean, unit.
        notes: of the two.
    """

    effects: tuple[Interval, ...] = ()
    accuracy: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def plan_page(
    summary: PlanSummary,
    outlook: Outlook,
    *,
    decisions: Mapping[str, Array],
    marginals: Mapping[str, Mapping[str, Array]],
    evidence: PlanEvidence,
    project: str,
    state: str,
    zone: str = "UTC",
) -> Page:
    """Compose the page.

    Args:
        summary: figures of the plan.
        outlook: forecasts under the plan, no spend and the operator's current plan.
        decisions: incentive -> spend by region and hour, USD/h.
        marginals: outcome -> incentive -> d outcome / d spend by region and hour.
        evidence: validity and accuracy of the models.
        project: name of the project.
        state: of the plan, such as ``proposed by ana``.
        zone: zone in which hours are shown.
    """
    hours = tuple(datetime.fromisoformat(hour) for hour in outlook.hours)
    sections = [
        _heed(summary),
        _spend(summary, decisions),
        _forecast(summary, outlook),
        _marginal(outlook, marginals),
        _limits(summary),
        _evidence(summary, evidence),
        _provenance(summary),
    ]
    return Page(
        title=f"{summary.plan}: {project}",
        kicker=(
            f"{project} · {summary.plan} · {hours[0]:%a %-d %b %Y} to {hours[-1]:%a %-d %b %Y} · "
            f"{len(outlook.regions)} regions, {len(hours)} hours, {len(decisions)} incentives"
        ),
        headline=_headline(summary, outlook),
        status=_status(summary),
        tone=_tone(summary),
        facts=(
            ("State", state),
            ("Maximises", summary.objective),
            ("Data known by", _moment(summary.provenance.get("data_moment", ""))),
            ("Hours shown in", zone),
            *((("Draws", summary.risk),) if summary.risk else ()),
        ),
        cards=(_spend_card(summary), *_cards(outlook)),
        sections=tuple(section for section in sections if section is not None),
        regions=outlook.regions,
        hours=hours,
        zone=zone,
    )


def _headline(summary: PlanSummary, outlook: Outlook) -> str:
    spend = money(summary.total)
    if summary.status == "infeasible":
        return f"No plan keeps all limits. The closest one spends {spend}."
    parts = []
    for arm, words in (("none", "without incentives"), ("current", "under the current plan")):
        found = outlook.differences.get(arm, {}).get("profit")
        if found is not None:
            more = "more" if found.mid >= 0 else "less"
            parts.append(f"{money(abs(found.mid))} {more} than {words}")
    if not parts:
        return f"Spend {spend} on driver incentives."
    return f"Spend {spend} on driver incentives and earn {' and '.join(parts)}."


def _status(summary: PlanSummary) -> str:
    return summary.certificate[:1].upper() + summary.certificate[1:]


def _tone(summary: PlanSummary) -> Tone:
    tones: dict[str, Tone] = {"optimal": "good", "infeasible": "bad"}
    return tones.get(summary.status, "warning")


def _spend_card(summary: PlanSummary) -> Card:
    budget = next((row for row in summary.budgets if not row.label), None)
    interval_text = f"of {figure(budget.limit, 'USD')} allowed" if budget else ""
    change = summary.total - summary.current_total
    tone: Tone = "neutral"
    return Card(
        "Incentive spend",
        figure(summary.total, "USD"),
        interval_text,
        (("vs current plan", signed_money(change), tone),),
    )


def _cards(outlook: Outlook) -> tuple[Card, ...]:
    cards = []
    for quantity in _CARDS:
        found = outlook.totals["plan"].get(quantity)
        if found is None:
            continue
        unit = total_unit(outlook.units[quantity])
        rows = [
            (f"vs {words}", _difference(outlook.differences[arm][quantity], unit), tone)
            for arm, words in ARMS.items()
            if arm in outlook.differences
            for tone in (_better(quantity, outlook.differences[arm][quantity]),)
        ]
        cards.append(
            Card(
                title(quantity),
                figure(found.mid, unit),
                f"{interval(found.low, found.high, unit)}, {outlook.level:.0%}",
                tuple(rows),
            )
        )
    return tuple(cards)


def _difference(found: Estimate, unit: str) -> str:
    middle = figure(found.mid, unit, signed=True)
    return f"{middle}\n{interval(found.low, found.high, unit, signed=True)}"


def _better(quantity: str, found: Estimate) -> Tone:
    # An interval across 0 is neither better nor worse.
    if found.low <= 0 <= found.high:
        return "neutral"
    improved = found.mid < 0 if quantity in LOWER_IS_BETTER else found.mid > 0
    return "good" if improved else "warning"


def _heed(summary: PlanSummary) -> Section | None:
    """What people should know first; none where there is nothing."""
    blocks: list[Block] = []
    if summary.conflicts:
        blocks.append(
            Table(
                (Column("Limit", numeric=False),),
                tuple((text,) for text in summary.conflicts),
                caption="Limits that cannot all be kept",
            )
        )
    blocks += [Text(f"{text[:1].upper()}{text[1:]}.") for text in summary.warnings]
    if summary.flagged:
        blocks.append(
            Table(
                (Column("Cells", numeric=False), Column("Decided by", numeric=False)),
                summary.flagged,
                caption="Not decided by the optimiser",
                visible=8,
            )
        )
    if summary.stability is not None:
        found = summary.stability
        blocks.append(
            Table(
                (
                    Column("Spend", numeric=False),
                    Column("This plan"),
                    Column("Least"),
                    Column("Most"),
                ),
                tuple(
                    (row.label, money(row.planned), money(row.low), money(row.high))
                    for row in found.rows
                ),
                caption=f"How far the plan moves: {found.words}",
                visible=12,
            )
        )
    if not blocks:
        return None
    return Section(
        "heed",
        "Before you rely on it",
        "What the optimiser was not sure of, or did not decide.",
        tuple(blocks),
        short="Heed",
    )


def _spend(summary: PlanSummary, decisions: Mapping[str, Array]) -> Section:
    layers: dict[str, Array] = dict(decisions)
    if len(layers) > 1:
        layers = {"All types": np.sum(list(decisions.values()), axis=0), **layers}
    rows = [
        (name, money(plan), money(current), signed_money(plan - current))
        for name, (plan, current) in summary.spend.items()
    ]
    total = (
        "all",
        money(summary.total),
        money(summary.current_total),
        signed_money(summary.total - summary.current_total),
    )
    return Section(
        "spend",
        "Where the money goes",
        "Spend by region and hour; the stronger the colour, the more. The current plan repeats "
        "what was spent in the last observed week.",
        (
            Heatmap("spend", "Incentive spend", "USD/h", layers, digits=1),
            Table(
                (
                    Column("Incentive", numeric=False),
                    Column("This plan"),
                    Column("Current plan"),
                    Column("Change"),
                ),
                (*rows, total),
            ),
        ),
        short="Spend",
    )


def _forecast(summary: PlanSummary, outlook: Outlook) -> Section:
    charts = []
    for quantity in _CHARTS:
        if quantity not in outlook.paths["plan"]:
            continue
        plan = outlook.paths["plan"][quantity]
        lines = [Line("this plan", "plan", plan.mid, plan.low, plan.high)]
        for arm, words in ARMS.items():
            if arm in outlook.paths:
                lines.append(Line(words, arm, outlook.paths[arm][quantity].mid))
        unit = outlook.units[quantity]
        digits = 3 if unit == "1" else (2 if unit == "min" else 1)
        shown = "fraction" if unit == "1" else unit
        charts.append(Chart(f"f-{quantity}", title(quantity), shown, tuple(lines), digits=digits))
    note = ""
    if summary.repeated:
        names = ", ".join(summary.repeated)
        note = f" Nothing was known yet of {names}: the usual hour of day stands in."
    return Section(
        "forecast",
        "What we expect",
        f"Choose a region at the top. Bands hold {outlook.level:.0%} of {outlook.draws} draws of "
        f"the models' parameters; chance from hour to hour comes on top. Lines "
        f"are at the fitted parameters, which need not lie in the middle of a band.{note}",
        (tuple(charts),),
        short="Forecast",
    )


def _marginal(outlook: Outlook, marginals: Mapping[str, Mapping[str, Array]]) -> Section | None:
    units = {"eta": "min per USD/h", "prime_time": "percentage points per USD/h"}
    factors = {"prime_time": 100.0}
    charts = []
    for outcome, layers in marginals.items():
        factor = factors.get(outcome, 1.0)
        lines = [
            Line(name, role, factor * np.vstack([values.mean(axis=0), values]))
            for role, (name, values) in zip(_ROLES, layers.items(), strict=False)
        ]
        unit = units.get(outcome, f"{outlook.units.get(outcome, '')} per USD/h")
        charts.append(
            Chart(f"m-{outcome}", f"d {title(outcome)} / d Spend", unit, tuple(lines), digits=5)
        )
    if not charts:
        return None
    return Section(
        "marginal",
        "What one more dollar does",
        "Effect of one more dollar per hour in a cell, at this plan, summed over the hours and "
        "regions it reaches. All regions together show the mean.",
        (tuple(charts),),
        short="One more dollar",
    )


def _missed(row: LimitRow) -> float:
    """By how much a limit is missed, in its unit; 0 where it is kept, give or take rounding."""
    over = row.used - row.limit if row.sense == "<=" else row.limit - row.used
    return over if over > 1e-4 * max(abs(row.limit), 1e-12) else 0.0


def _standing(row: LimitRow) -> str:
    """How a plan stands to a limit: its price, by how much it is missed, or that it is far."""
    if row.binding:
        return row.words
    return f"missed by {_limited(_missed(row), row)}" if _missed(row) else "not binding"


def _limits(summary: PlanSummary) -> Section:
    blocks: list[Block] = []
    ordered = sorted(summary.budgets, key=lambda row: (bool(row.label), not row.binding))
    bars = tuple(
        Bar(
            f"Budget {row.label}" if row.label else "Budget, all together",
            row.used,
            row.limit,
            row.unit,
            row.binding,
            row.words if row.binding else "",
        )
        for row in ordered
    )
    if bars:
        blocks.append(bars)
    rails = sorted(summary.guardrails, key=lambda row: (not _missed(row), not row.binding))
    if rails:
        blocks.append(
            Table(
                (
                    Column("Guardrail", numeric=False),
                    Column("For", numeric=False),
                    Column("Expected"),
                    Column("Limit"),
                    *((Column("Kept in draws"),) if summary.risk else ()),
                    Column("Price of the limit", numeric=False),
                ),
                tuple(
                    (
                        title(row.name),
                        row.label or "all regions",
                        _limited(row.used, row),
                        f"{'≤' if row.sense == '<=' else '≥'} {_limited(row.limit, row)}",
                        *((_kept(row),) if summary.risk else ()),
                        _standing(row),
                    )
                    for row in rails
                ),
                caption="Guardrails",
                marked=frozenset(n for n, row in enumerate(rails) if row.binding or _missed(row)),
            )
        )
    if summary.sensitivities:
        blocks.append(
            Table(
                (
                    Column("If this is 1 % higher", numeric=False),
                    Column("Objective"),
                    Column("In words", numeric=False),
                ),
                tuple(
                    (title(item.name), signed_money(item.effect), item.words)
                    for item in sorted(summary.sensitivities, key=lambda i: -abs(i.effect))
                ),
                caption="Sensitivities",
                visible=8,
            )
        )
    return Section(
        "limits",
        "Limits and their prices",
        "A limit that binds has a price: what one more unit of it would be worth.",
        tuple(blocks) or (Text("This plan has no limits."),),
        short="Limits",
    )


def _kept(row: LimitRow) -> str:
    return "" if row.kept is None else f"{row.kept:.0%}"


def _limited(value: float, row: LimitRow) -> str:
    return figure(value, row.unit)


def _evidence(summary: PlanSummary, evidence: PlanEvidence) -> Section:
    blocks: list[Block] = []
    if evidence.effects:
        blocks.append(
            Forest(
                evidence.effects,
                "Each row has its own scale; the thin line marks no effect. Intervals are 95 %.",
            )
        )
    else:
        blocks.append(Text("Validity against experiments was not computed: run dagcast validate."))
    if evidence.accuracy:
        columns = ("Quantity", "MASE", "Seasonal naive", "Hour-of-week mean")
        blocks.append(
            Table(
                (Column(columns[0], numeric=False), *(Column(name) for name in columns[1:])),
                evidence.accuracy,
                caption="Backtest, one week ahead: below 1 beats repeating last week",
            )
        )
    else:
        blocks.append(Text("The models were not backtested: run dagcast backtest."))
    blocks += [Text(note) for note in evidence.notes]
    return Section(
        "evidence",
        "Why to believe it",
        "Measured effects of experiments beside what the models say, and how the models would have "
        "forecast past weeks.",
        tuple(blocks),
        short="Evidence",
    )


def _provenance(summary: PlanSummary) -> Section:
    rows: list[tuple[str, str]] = []
    for name, value in summary.provenance.items():
        rows.append((name.replace("_", " "), _plain(value)))
    rows.append(("solver time", f"{summary.seconds:.1f} s"))
    if summary.message:
        rows.append(("solver message", summary.message))
    return Section(
        "provenance",
        "Where it comes from",
        "With these, dagcast plan --replay makes the same plan again.",
        (Table((Column("", numeric=False), Column("", numeric=False)), tuple(rows), visible=30),),
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(str(item) for item in value)
    return str(value) if not isinstance(value, float) else number(value)


def _moment(text: str) -> str:
    if not text:
        return "unknown"
    return f"{datetime.fromisoformat(text):%-d %b %Y %H:%M} UTC"
