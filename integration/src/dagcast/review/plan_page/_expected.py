"""What is expected under a plan, and what one more unit of a lever does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dagcast.plans import Outlook, PlanSummary
from dagcast.review._content import Array, Chart, Line, Role, Section
from dagcast.review._packing import digits_of
from dagcast.review.plan_page._charts import outcome_chart, weight_of
from dagcast.review.plan_page._words import Layers, bands, choose, plural

_ROLES: tuple[Role, ...] = ("1", "2", "3", "4", "5")
_ARM_ROLES: dict[str, Role] = {"none": "none", "current": "current"}


def outcome_charts(outlook: Outlook, by_row: Collection[str]) -> dict[str, Chart]:
    """The chart of every outcome, by its name; of those not in ``by_row`` all rows together."""
    charts = {}
    for name in outlook.readings:
        plan = outlook.paths["plan"][name]
        weight = weight_of(name, "plan", outlook)
        lines = [Line("this plan", "plan", plan.mid, plan.low, plan.high, weight)]
        for arm, said in outlook.arms.items():
            mid = outlook.paths[arm][name].mid
            lines.append(Line(said, _ARM_ROLES[arm], mid, weight=weight_of(name, arm, outlook)))
        charts[name] = outcome_chart(f"f-{name}", name, outlook, lines)
        if name not in by_row:
            charts[name] = together(charts[name], outlook)
    return charts


def together(chart: Chart, outlook: Outlook) -> Chart:
    """A chart of all rows together alone, which says so."""
    if not outlook.rows or chart.note:
        return chart
    lines = tuple(
        replace(
            line,
            values=line.values[:1],
            low=None if line.low is None else line.low[:1],
            high=None if line.high is None else line.high[:1],
            weight=None,
        )
        for line in chart.lines
    )
    many = f"{len(outlook.rows)} {plural(outlook.dim)}"
    note = f"All {plural(outlook.dim)} together: by hour, {many} of it are too many for a page."
    return replace(chart, lines=lines, note=note)


def expected(summary: PlanSummary, outlook: Outlook, charts: Sequence[Chart]) -> Section | None:
    """Forecasts of the outcomes that stand nowhere else on the page."""
    if not charts:
        return None
    note = ""
    if summary.repeated:
        names = ", ".join(summary.repeated)
        note = f" Nothing was known yet of {names}: the usual hour of day stands in."
    return Section(
        "forecast",
        "What we expect",
        f"{choose(outlook)}{bands(outlook)} Lines are means.{note}",
        (tuple(charts),),
        short="Forecast",
    )


def marginal_charts(
    summary: PlanSummary, outlook: Outlook, marginals: Mapping[str, Layers]
) -> dict[str, Chart]:
    """Effects of one more unit, by the key of the chart."""
    charts = {}
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
            key = f"m-{outcome}-{lever}"
            charts[key] = Chart(
                key,
                f"d {reading.title} / d {own.title}",
                f"{shown} per {own.unit}",
                tuple(lines),
                digits=digits_of(np.vstack([line.values for line in lines])),
            )
    return charts


def marginal(outlook: Outlook, charts: Sequence[Chart]) -> Section | None:
    """Effects of one more unit that stand nowhere else on the page."""
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
