"""The page that looks back: planned, happened, and what would have been best."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from dagcast.figures import figure, money, share, signed_money, title
from dagcast.plans import Hindsight, Outlook
from dagcast.review._content import (
    Array,
    Card,
    Chart,
    Column,
    Heatmap,
    Line,
    Page,
    Section,
    Table,
)

_CHARTS = ("sessions", "driver_hours", "eta", "prime_time", "rides", "profit")
_SUMMED = frozenset({"sessions", "driver_hours", "rides", "profit"})


def retro_page(
    found: Hindsight,
    outlook: Outlook,
    *,
    happened: Mapping[str, Array],
    ex_post: Mapping[str, Array],
    decision_difference: Mapping[str, Array],
    project: str,
    state: str,
    zone: str = "UTC",
) -> Page:
    """Compose the page.

    Args:
        found: regret, its attribution, and totals.
        outlook: what was forecast when the plan was made.
        happened: outcome -> what was observed, by region and hour.
        ex_post: outcome -> forecast under the ex-post plan, by region and hour.
        decision_difference: incentive -> ex-post less carried-out spend, by region and hour.
        project: name of the project.
        state: of the plan.
        zone: zone in which hours are shown.
    """
    hours = tuple(datetime.fromisoformat(hour) for hour in outlook.hours)
    good = found.share <= 0.1
    return Page(
        title=f"{found.plan} in hindsight: {project}",
        kicker=(
            f"{project} · {found.plan} in hindsight · "
            f"{hours[0]:%a %-d %b %Y} to {hours[-1]:%a %-d %b %Y}"
        ),
        headline=(
            f"With the week known, {money(found.regret)} more could have been had: "
            f"{found.share:.0%} of what was attainable."
        ),
        status=_status(found),
        tone="good" if good else "warning",
        facts=(("Plan", state), ("Maximised", found.objective), ("Hours shown in", zone)),
        cards=_cards(found),
        sections=(
            _attribution(found),
            _decisions(found, decision_difference),
            _outcomes(outlook, happened, ex_post),
            _totals(found),
        ),
        regions=outlook.regions,
        hours=hours,
        zone=zone,
    )


def _status(found: Hindsight) -> str:
    if found.violation <= 1e-6:
        return "Every guardrail was kept"
    return (
        f"A guardrail was missed by up to {found.violation:.1%}, worth {money(found.priced)} at "
        "the ex-post prices"
    )


def _cards(found: Hindsight) -> tuple[Card, ...]:
    largest = found.shares[0] if found.shares else None
    planned, executed, ex_post = found.spent
    cards = [
        Card(
            "Regret",
            money(found.regret),
            f"{found.share:.1%} of the attainable {money(found.attainable)}",
        ),
        Card(
            "Spent",
            money(executed),
            "",
            (
                ("planned", money(planned), "neutral"),
                ("best in hindsight", money(ex_post), "neutral"),
            ),
        ),
    ]
    if largest is not None:
        cards.append(
            Card(
                "Costliest model",
                largest.member,
                f"{money(largest.value)} of the regret",
            )
        )
    for item in found.outcomes:
        if item.quantity in ("profit", "rides"):
            cards.append(
                Card(
                    title(item.quantity),
                    figure(item.happened, item.unit),
                    "",
                    (
                        ("planned", figure(item.planned, item.unit), "neutral"),
                        ("best in hindsight", figure(item.ex_post, item.unit), "neutral"),
                    ),
                )
            )
    return tuple(cards)


def _attribution(found: Hindsight) -> Section:
    rows = [
        (
            item.member,
            signed_money(item.value),
            share(item.value, found.regret),
            _verdict(item.value),
        )
        for item in found.shares
    ]
    rows.append(
        (
            "carried out otherwise than planned",
            signed_money(found.execution_gap),
            share(found.execution_gap, found.regret),
            "",
        )
    )
    if found.caution:
        rows.append(
            (
                "caution: hedging against uncertain parameters",
                signed_money(found.caution),
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


def _verdict(value: float) -> str:
    return "its errors happened to help" if round(value) < 0 else ""


def _decisions(found: Hindsight, difference: Mapping[str, Array]) -> Section:
    layers: dict[str, Array] = dict(difference)
    if len(layers) > 1:
        layers = {"All types": np.sum(list(difference.values()), axis=0), **layers}
    planned, executed, ex_post = found.spent
    return Section(
        "decisions",
        "What should have been decided",
        f"Best in hindsight less what was carried out: {money(ex_post)} instead of "
        f"{money(executed)} in all (planned: {money(planned)}).",
        (Heatmap("difference", "Difference in spend", "USD/h", layers, digits=1),),
        short="Decisions",
    )


def _outcomes(
    outlook: Outlook, happened: Mapping[str, Array], ex_post: Mapping[str, Array]
) -> Section:
    charts = []
    for quantity in _CHARTS:
        if quantity not in happened or quantity not in outlook.paths["plan"]:
            continue
        plan = outlook.paths["plan"][quantity]
        lines = [
            Line("forecast", "plan", plan.mid, plan.low, plan.high),
            Line("happened", "actual", _with_total(quantity, happened)),
        ]
        if quantity in ex_post:
            lines.append(Line("best in hindsight", "expost", _with_total(quantity, ex_post)))
        unit = outlook.units[quantity]
        digits = 3 if unit == "1" else (2 if unit == "min" else 1)
        shown = "fraction" if unit == "1" else unit
        charts.append(Chart(f"h-{quantity}", title(quantity), shown, tuple(lines), digits=digits))
    return Section(
        "outcomes",
        "What happened",
        f"Bands hold {outlook.level:.0%} of the draws of the models' parameters, without the "
        "chance of single hours.",
        (tuple(charts),),
        short="Outcomes",
    )


def _with_total(quantity: str, values: Mapping[str, Array]) -> Array:
    """Put all regions together as row 0: a sum, or a mean weighted by sessions."""
    own = values[quantity]
    if quantity in _SUMMED:
        return np.vstack([np.nansum(own, axis=0), own])
    weights = np.nan_to_num(values.get("sessions", np.ones_like(own))) * np.isfinite(own)
    total = weights.sum(axis=0)
    mean = (np.nan_to_num(own) * weights).sum(axis=0) / np.where(total > 0, total, 1.0)
    return np.vstack([np.where(total > 0, mean, np.nan), own])


def _totals(found: Hindsight) -> Section:
    rows = tuple(
        (
            title(item.quantity),
            figure(item.planned, item.unit),
            figure(item.happened, item.unit),
            figure(item.ex_post, item.unit),
        )
        for item in found.outcomes
    )
    return Section(
        "totals",
        "The week in figures",
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
