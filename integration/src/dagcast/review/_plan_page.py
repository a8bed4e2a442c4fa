"""The page on which a plan is approved or rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

import numpy as np

from dagcast.figures import amount, counted, listed, number, words
from dagcast.plans import Estimate, LimitRow, Outlook, PlanSummary, Reading
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

_ROLES: tuple[Role, ...] = ("1", "2", "3", "4", "5")
_ARM_ROLES: dict[str, Role] = {"none": "none", "current": "current"}
# What people decided is called by what they did.
_BY_PEOPLE = {"edited": "edit", "proposal": "proposal"}
# Figures that stand in front; everything else that is forecast has its chart further down.
_MOST_CARDS = 4
# Lever -> layer -> (rows, hour).
Layers = Mapping[str, Mapping[str, Array]]
Rows = tuple[tuple[str, ...], ...]


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
    decisions: Layers,
    marginals: Mapping[str, Layers],
    lever_rows: Rows,
    evidence: PlanEvidence,
    project: str,
    state: str,
    author: str = "",
    parent: str | None = None,
    zone: str = "UTC",
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
        zone: zone in which hours are shown.
    """
    hours = tuple(datetime.fromisoformat(hour) for hour in outlook.hours)
    sections = [
        _heed(summary, outlook),
        _spend(summary, outlook, decisions, lever_rows),
        _forecast(summary, outlook),
        _marginal(summary, outlook, marginals),
        _limits(summary),
        _evidence(summary, evidence),
        _provenance(summary),
    ]
    return Page(
        title=f"{summary.plan}: {project}",
        kicker=(
            f"{project} · {summary.plan} · {hours[0]:%a %-d %b %Y} to {hours[-1]:%a %-d %b %Y} · "
            f"{_size(outlook)}{len(hours)} hours"
        ),
        headline=_headline(summary, outlook, author, parent),
        status=_status(summary),
        tone=_tone(summary, outlook),
        facts=(
            ("State", state),
            ("Maximises", summary.objective),
            ("Data known by", _moment(summary.provenance.get("data_moment", ""))),
            ("Hours shown in", zone),
            *((("Draws", summary.risk),) if summary.risk else ()),
        ),
        cards=(*_lever_cards(summary), *_cards(outlook)),
        sections=tuple(section for section in sections if section is not None),
        rows=outlook.rows,
        dim=outlook.dim,
        hours=hours,
        zone=zone,
    )


def _size(outlook: Outlook) -> str:
    return f"{len(outlook.rows)} {plural(outlook.dim)}, " if outlook.dim else ""


def plural(dim: str) -> str:
    """Labels of a dim in words: ``region`` becomes ``regions``."""
    return f"{dim.replace('_', ' ')}s"


def _headline(summary: PlanSummary, outlook: Outlook, author: str, parent: str | None) -> str:
    decided = listed(
        f"{words(summary.readings[name].title)} of {_lever_figure(summary, name)}"
        for name in summary.readings
    )
    by_people = summary.kind in _BY_PEOPLE
    if by_people:
        whose = f"{author or 'Somebody'}'s {_BY_PEOPLE[summary.kind]}"
        decided = f"{whose}{f' of {parent}' if parent else ''} has {decided}{_broken(summary)}"
    elif summary.status == "infeasible":
        return f"No plan keeps all limits. The closest one has {decided}."
    first = next((name for name in outlook.readings if name in outlook.totals["plan"]), None)
    parts = []
    for arm, said in outlook.arms.items():
        found = outlook.differences.get(arm, {}).get(first or "")
        if found is not None and first is not None:
            reading = outlook.readings[first]
            more = "more" if found.mid >= 0 else "less"
            parts.append(f"{_whole(reading, abs(found.mid))} {more} than {said}")
    begun = decided[:1].upper() + decided[1:]
    if not parts or first is None:
        return f"{begun}."
    outcome = words(outlook.readings[first].title)
    return f"{begun}: {outcome} {' and '.join(parts)}."


def _broken(summary: PlanSummary) -> str:
    """The limit that a plan by people breaks most, and how many more."""
    rows = [row for row in (*summary.budgets, *summary.guardrails) if _missed(row)]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: _missed(row) / max(abs(row.limit), 1e-12))
    kind = "budget of" if worst in summary.budgets else "limit on"
    side = "over" if worst.sense == "<=" else "short of"
    named = f"{words(worst.title)} {worst.label}".strip()
    more = f" and {len(rows) - 1} more limits broken" if len(rows) > 1 else ""
    return f", {worst.figure(_missed(worst))} {side} the {kind} {named}{more}"


def _cause(summary: PlanSummary) -> str:
    binding = [row for row in (*summary.budgets, *summary.guardrails) if row.binding]
    if summary.kind in _BY_PEOPLE:
        return "people decided otherwise"
    if not binding:
        return "the current plan breaks a limit that this one keeps, or the models changed"
    named = dict.fromkeys(f"{words(row.title)} {row.label}".strip() for row in binding)
    shown = list(named)[:3]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"the limits on {listed(shown)}{more} leave no better plan"


def _worse(outlook: Outlook) -> Estimate | None:
    """What the objective loses against going on as before; None where it loses nothing."""
    found = outlook.differences.get("current", {}).get("objective")
    return found if found is not None and found.mid < 0 else None


def _lever_figure(summary: PlanSummary, name: str) -> str:
    planned, _ = summary.totals()[name]
    return _whole(summary.readings[name], planned)


def _whole(reading: Reading, value: float) -> str:
    """A total in full, as people check it against a budget."""
    if reading.summed and reading.written == "money":
        return amount(value, reading.total_unit)
    return reading.figure(value)


def _status(summary: PlanSummary) -> str:
    if summary.kind in _BY_PEOPLE:
        rows = (*summary.budgets, *summary.guardrails)
        broken = sum(1 for row in rows if _missed(row))
        return f"Decided by people; {counted(broken, 'limit')} broken"
    return summary.certificate[:1].upper() + summary.certificate[1:]


def _tone(summary: PlanSummary, outlook: Outlook) -> Tone:
    tones: dict[str, Tone] = {"optimal": "good", "infeasible": "bad"}
    # The best plan within the limits may still be worse than going on as before.
    return "warning" if _worse(outlook) else tones.get(summary.status, "warning")


def _lever_cards(summary: PlanSummary) -> tuple[Card, ...]:
    cards = []
    for name, (planned, current) in summary.totals().items():
        reading = summary.readings[name]
        budget = next((row for row in summary.budgets if row.name == name and not row.label), None)
        change = reading.figure(planned - current, signed=True)
        cards.append(
            Card(
                reading.title if reading.summed else f"{reading.title}, mean",
                reading.figure(planned),
                f"of {budget.figure(budget.limit)} allowed" if budget else "",
                (("vs the current plan", change, "neutral"),),
            )
        )
    return tuple(cards)


def _cards(outlook: Outlook) -> tuple[Card, ...]:
    cards = []
    for name, reading in list(outlook.readings.items())[:_MOST_CARDS]:
        found = outlook.totals["plan"][name]
        rows = tuple(
            (f"vs {said}", _difference(difference, reading), _better(reading, difference))
            for arm, said in outlook.arms.items()
            for difference in (outlook.differences[arm][name],)
        )
        cards.append(
            Card(
                reading.title,
                reading.figure(found.mid),
                f"{reading.interval(found.low, found.high)}, {outlook.level:.0%}",
                rows,
            )
        )
    return tuple(cards)


def _difference(found: Estimate, reading: Reading) -> str:
    middle = reading.figure(found.mid, signed=True)
    return f"{middle}\n{reading.interval(found.low, found.high, signed=True)}"


def _better(reading: Reading, found: Estimate) -> Tone:
    # An interval across 0 is neither better nor worse; nor is what nobody said is good.
    if found.low <= 0 <= found.high or not reading.better:
        return "neutral"
    return "good" if (found.mid > 0) == (reading.better == "higher") else "warning"


def _heed(summary: PlanSummary, outlook: Outlook) -> Section | None:
    """What people should know first; none where there is nothing."""
    blocks: list[Block] = []
    if (lost := _worse(outlook)) is not None:
        blocks.append(
            Text(
                f"Going on as before is worth {amount(-lost.mid, summary.objective_unit)} more of "
                f"{summary.objective}: {_cause(summary)}."
            )
        )
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
                    Column("Of", numeric=False),
                    Column("This plan"),
                    Column("Least"),
                    Column("Most"),
                ),
                tuple(
                    (
                        f"{summary.titles[row.lever]} {row.label}".strip()
                        if len(summary.readings) > 1
                        else row.label,
                        *(
                            _whole(summary.readings[row.lever], value)
                            for value in (row.planned, row.low, row.high)
                        ),
                    )
                    for row in found.rows
                ),
                caption=f"How far the plan moves: {found.words(summary.titles)}",
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


def lever_map(
    key: str, title: str, reading: Reading, named: Mapping[str, Array], outlook: Outlook
) -> Heatmap:
    """A lever by row and hour, its further labels as layers; as rows where it has none of its own.

    Args:
        key: of the figure.
        title: above it.
        reading: of the lever.
        named: its layers.
        outlook: says which rows the page has.
    """
    layers: dict[str, Array] = dict(named)
    if len(outlook.rows) > 1 and all(len(values) == 1 for values in layers.values()):
        stacked = {"": np.vstack(list(layers.values()))}
        return Heatmap(key, title, reading.unit, stacked, digits=1, rows=tuple(layers))
    if len(layers) > 1 and reading.summed:
        layers = {"All together": np.sum(list(named.values()), axis=0), **layers}
    return Heatmap(key, title, reading.unit, layers, digits=1)


def _spend(summary: PlanSummary, outlook: Outlook, decisions: Layers, lever_rows: Rows) -> Section:
    maps = [
        lever_map(
            f"d-{lever}", summary.readings[lever].title, summary.readings[lever], named, outlook
        )
        for lever, named in decisions.items()
    ]
    return Section(
        "decisions",
        "What is decided",
        "By hour; the stronger the colour, the more. The current plan repeats what was decided in "
        "the last observed week.",
        (
            *maps,
            Table(
                (
                    Column("Lever", numeric=False),
                    Column("This plan"),
                    Column("Current plan"),
                    Column("Change"),
                ),
                lever_rows,
            ),
        ),
        short="Decisions",
    )


def _forecast(summary: PlanSummary, outlook: Outlook) -> Section:
    charts = []
    for name, reading in outlook.readings.items():
        plan = outlook.paths["plan"][name]
        lines = [Line("this plan", "plan", plan.mid, plan.low, plan.high)]
        for arm, said in outlook.arms.items():
            lines.append(Line(said, _ARM_ROLES[arm], outlook.paths[arm][name].mid))
        charts.append(
            Chart(
                f"f-{name}",
                reading.title,
                reading.cell_unit,
                tuple(lines),
                whole_note(plan.mid, outlook),
                digits=reading.digits,
            )
        )
    note = ""
    if summary.repeated:
        names = ", ".join(summary.repeated)
        note = f" Nothing was known yet of {names}: the usual hour of day stands in."
    return Section(
        "forecast",
        "What we expect",
        f"{_choose(outlook)}{bands(outlook)} Lines are means.{note}",
        (tuple(charts),),
        short="Forecast",
    )


def whole_note(values: Array, outlook: Outlook) -> str:
    """What is said below a chart that shows the same whatever row is chosen."""
    rows = values[1:]
    return f"Not by {dim_words(outlook)}." if len(rows) and np.isnan(rows).all() else ""


def dim_words(outlook: Outlook) -> str:
    """The dim of the rows in a sentence."""
    return outlook.dim.replace("_", " ")


def bands(outlook: Outlook) -> str:
    """What the bands around a forecast hold."""
    draws = f"Bands hold {outlook.level:.0%} of predictive draws: {outlook.draws} of the parameters"
    if outlook.origins is None:
        return f"{draws}, without chance."
    if not outlook.origins:
        return (
            f"{draws}, with chance as the fit's own errors show it. The models were not "
            "backtested: new weeks scatter more."
        )
    past = counted(outlook.origins, "forecast")
    return f"{draws}, with chance as the errors of {past} of past weeks show it."


def _choose(outlook: Outlook) -> str:
    return f"Choose a {dim_words(outlook)} at the top. " if outlook.dim else ""


def _marginal(
    summary: PlanSummary, outlook: Outlook, marginals: Mapping[str, Layers]
) -> Section | None:
    charts = []
    for outcome, by_lever in marginals.items():
        if outcome not in outlook.readings:
            # The objective is no outcome of its own.
            continue
        reading = outlook.readings[outcome]
        share = reading.written == "share"
        shown = "percentage points" if share else reading.unit
        for lever, named in by_lever.items():
            own = summary.readings[lever]
            lines = [
                Line(name, role, (100.0 if share else 1.0) * _with_mean(values, outlook))
                for role, (name, values) in zip(_ROLES, named.items(), strict=False)
            ]
            charts.append(
                Chart(
                    f"m-{outcome}-{lever}",
                    f"d {reading.title} / d {own.title}",
                    f"{shown} per {own.unit}",
                    tuple(lines),
                    digits=5,
                )
            )
    if not charts:
        return None
    return Section(
        "marginal",
        "What one more unit does",
        "Effect of one more unit of a lever in a cell, at this plan, summed over the hours and "
        f"places it reaches. {_all_rows(outlook.dim)} show the mean.",
        (tuple(charts),),
        short="One more unit",
    )


def _with_mean(values: Array, outlook: Outlook) -> Array:
    if len(values) < len(outlook.rows):
        # A lever without the dim of the rows: none of them has a value of its own.
        return np.vstack([values[:1], np.full((len(outlook.rows), values.shape[1]), np.nan)])
    return np.vstack([values.mean(axis=0), values[: len(outlook.rows)]])


def _all_rows(dim: str) -> str:
    return f"All {plural(dim)} together" if dim else "All cells"


def _missed(row: LimitRow) -> float:
    """By how much a limit is missed, in its unit; 0 where it is kept, give or take rounding."""
    over = row.used - row.limit if row.sense == "<=" else row.limit - row.used
    return over if over > 1e-4 * max(abs(row.limit), 1e-12) else 0.0


def _standing(row: LimitRow) -> str:
    """How a plan stands to a limit: its price, by how much it is missed, or that it is far."""
    if row.binding:
        return row.words
    return f"missed by {row.figure(_missed(row))}" if _missed(row) else "not binding"


def _limits(summary: PlanSummary) -> Section:
    blocks: list[Block] = []
    ordered = sorted(summary.budgets, key=lambda row: (bool(row.label), not row.binding))
    bars = tuple(
        Bar(
            _budget_name(row, several=len(summary.readings) > 1),
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
                        row.title,
                        row.label or "all together",
                        row.figure(row.used),
                        f"{'≤' if row.sense == '<=' else '≥'} {row.figure(row.limit)}",
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
                    (
                        item.title,
                        amount(item.effect, summary.objective_unit, signed=True),
                        item.words,
                    )
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


def _budget_name(row: LimitRow, *, several: bool) -> str:
    """``Budget SFO``; with several levers also of what."""
    what = f"Budget of {words(row.title)}" if several else "Budget"
    return f"{what} {row.label}" if row.label else f"{what}, all together"


def _evidence(summary: PlanSummary, evidence: PlanEvidence) -> Section:
    blocks: list[Block] = []
    if evidence.effects:
        blocks.append(
            Forest(
                evidence.effects,
                "What an experiment measured beside what own data and all other experiments "
                "lead to expect; an experiment says little where it could not contradict that. "
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
