"""What to look at first: where most money stands on least."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final
from urllib.parse import quote

import numpy as np

from dagcast.figures import amount, counted, currency, words
from dagcast.plans import EvidenceLine, Outlook, PlanSummary
from dagcast.review._content import Interval, Link
from dagcast.review.plan_page._words import Layers, plural

# Doubt where the past alone shows an effect, above all doses that trials gave, and elsewhere.
_HISTORY, _BEYOND, _ELSEWHERE = 0.5, 0.4, 0.2
# Doubt in intervals that no backtest gave, of all the money.
_UNTESTED = 0.05
# A measured effect that differs from the model's by more is worth a look.
_FAR = 0.3
# Weeks after which a row counts as known.
_KNOWN = 8
_MOST = 3


@final
@dataclass(frozen=True)
class Doubt:
    """Money at risk and how doubtful it is, between 0 and 1."""

    link: Link
    money: float
    doubt: float

    @property
    def size(self) -> float:
        """By which doubts are ranked."""
        return self.money * self.doubt


def first_looks(
    summary: PlanSummary, outlook: Outlook, decisions: Layers, effects: Sequence[Interval]
) -> tuple[Link, ...]:
    """Three things to look at, ranked by money at risk times doubt; broken limits before all.

    Args:
        summary: of the plan.
        outlook: under it.
        decisions: lever -> layer -> values by row and hour.
        effects: measured and modelled effects of experiments.
    """
    broken = [_broken(text, outlook) for text in summary.broken]
    spent = _by_row(summary, outlook, decisions)
    doubts = [
        *_rows(summary, outlook, spent),
        *_young(summary, outlook, spent),
        *_evidence(summary),
        *_measured(summary, effects),
        *_untested(summary, outlook),
    ]
    ranked = sorted((item for item in doubts if item.size > 0), key=lambda item: -item.size)
    links = [*broken]
    for item in ranked:
        # One link of a kind for a place: the graver reason stands for it.
        if all(item.link.href != link.href for link in links):
            links.append(item.link)
    return tuple(links[:_MOST])


def row_address(label: str) -> str:
    """The address that chooses a row."""
    return f"#rows={quote(label, safe='')}"


def _broken(text: str, outlook: Outlook) -> Link:
    row = next((label for label in outlook.rows if f" {label} is " in text), None)
    return Link("Broken limit", text, row_address(row) if row else "#limits")


def _money(summary: PlanSummary) -> list[str]:
    """Levers that are money, of the currency that most are in."""
    named = [
        name
        for name, reading in summary.readings.items()
        if reading.summed and currency(reading.unit)
    ]
    return [n for n in named if summary.readings[n].unit == summary.readings[named[0]].unit]


def _by_row(summary: PlanSummary, outlook: Outlook, decisions: Layers) -> Mapping[str, float]:
    """What is spent in each row."""
    spent = np.zeros(len(outlook.rows))
    for name in _money(summary):
        for values in decisions.get(name, {}).values():
            if len(values) == len(spent):
                spent += np.nansum(np.abs(values), axis=1)
    return dict(zip(outlook.rows, spent.tolist(), strict=True))


def _unit(summary: PlanSummary) -> str:
    named = _money(summary)
    return summary.readings[named[0]].total_unit if named else summary.objective_unit


def _rows(summary: PlanSummary, outlook: Outlook, spent: Mapping[str, float]) -> list[Doubt]:
    """Rows that may lose against going on as before."""
    gains = outlook.row_gains.get("objective")
    if gains is None:
        return []
    most = max(spent, key=lambda row: spent[row], default="")
    found = []
    for place, (row, gain) in enumerate(zip(outlook.rows, gains, strict=True)):
        said = f"{'most money, ' if row == most else ''}{amount(spent[row], _unit(summary))}; "
        found.append(
            Doubt(
                Link(row, said + _loss(summary, outlook, place), row_address(row)),
                # Where little is spent, what the row itself may lose is at risk.
                max(spent[row], -gain.mid),
                1.0 - gain.chance,
            )
        )
    return found


def _loss(summary: PlanSummary, outlook: Outlook, place: int) -> str:
    """What is likeliest to get worse in a row, and how likely that is."""
    worst, chance = "", -1.0
    for name in summary.weights:
        if name not in outlook.row_gains or name not in outlook.readings:
            continue
        gain = outlook.row_gains[name][place]
        lost = gain.chance if outlook.readings[name].better == "lower" else 1.0 - gain.chance
        if lost > chance:
            worst, chance = words(outlook.readings[name].title), lost
    whole = outlook.row_gains["objective"][place]
    if whole.mid < 0:
        return f"going on as before is worth {amount(-whole.mid, summary.objective_unit)} more"
    if not worst:
        return f"better in {whole.chance:.0%} of draws"
    return f"{worst} may fall, in {chance:.0%} of draws"


def _young(summary: PlanSummary, outlook: Outlook, spent: Mapping[str, float]) -> list[Doubt]:
    tested = "" if outlook.origins else ", never backtested"
    return [
        Doubt(
            Link(row, f"{counted(weeks, 'week')} old{tested}", row_address(row)),
            spent.get(row, 0.0),
            max(0.0, 1.0 - weeks / _KNOWN),
        )
        for row, weeks in summary.young.items()
    ]


def _address(line: EvidenceLine) -> str:
    return f"#part={quote(line.label, safe='')}" if line.label else "#standing"


def _name(summary: PlanSummary, line: EvidenceLine) -> str:
    return line.label or summary.readings[line.lever].title


def _evidence(summary: PlanSummary) -> list[Doubt]:
    """Levers whose money stands on less than a fresh trial."""
    found = []
    for line in summary.evidence.counted(summary.readings):
        if line.amount <= 0:
            continue
        parts = {
            "nobody ever saw such doses": line.prior,
            "known from the past alone": _HISTORY * max(line.history - line.beyond, 0.0),
            "at doses above all that trials gave": _BEYOND * line.beyond,
            "where no trial ran": _ELSEWHERE * line.elsewhere,
        }
        reason = max(parts, key=lambda name: parts[name])
        amounts = (line.prior, line.history - line.beyond, line.beyond, line.elsewhere)
        share = dict(zip(parts, amounts, strict=True))[reason] / line.amount
        said = f"{share:.0%} of {amount(line.amount, _unit(summary))} {reason}"
        if reason == "nobody ever saw such doses":
            said = f"{share:.0%} of {amount(line.amount, _unit(summary))} on a prior: {reason}"
        link = Link(_name(summary, line), said, _address(line))
        found.append(Doubt(link, line.amount, min(1.0, sum(parts.values()) / line.amount)))
    return found


def _measured(summary: PlanSummary, effects: Sequence[Interval]) -> list[Doubt]:
    """Levers whose own trial measured something else than the models assume."""
    found = []
    for effect in effects:
        if not effect.modelled:
            continue
        ratio = effect.measured / effect.modelled
        # The share of the difference that is more than the noise of the two.
        beyond = 1.0 - _noise(effect) / max((effect.measured - effect.modelled) ** 2, 1e-300)
        if abs(1.0 - ratio) < _FAR or beyond <= 0:
            continue
        for line in summary.evidence.counted(summary.readings):
            if effect.label in line.trials:
                said = f"{effect.label} measured {ratio:.2g} times what the models assume"
                link = Link(_name(summary, line), said, _address(line))
                found.append(Doubt(link, line.amount, beyond * min(1.0, abs(1.0 - ratio))))
    return found


def _noise(effect: Interval) -> float:
    """Variance of measured less modelled, from their intervals of 95 %."""
    widths = (
        effect.measured_high - effect.measured_low,
        effect.modelled_high - effect.modelled_low,
    )
    return sum((width / (2 * 1.96)) ** 2 for width in widths)


def _untested(summary: PlanSummary, outlook: Outlook) -> list[Doubt]:
    if outlook.origins or outlook.origins is None:
        return []
    whole = sum(planned for planned, _ in summary.spent.values())
    rows = f" of all {plural(outlook.dim)}" if outlook.dim else ""
    said = f"the models were never backtested: intervals{rows} rest on the fit's own errors"
    return [Doubt(Link("Intervals", said, "#evidence"), whole, _UNTESTED)]
