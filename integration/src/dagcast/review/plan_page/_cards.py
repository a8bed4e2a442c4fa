"""The figures that stand in front of a plan's page."""

from dagcast.plans import Estimate, Outlook, PlanSummary, Reading
from dagcast.review._content import Card, Tone

# Figures that stand in front; everything else that is forecast has its chart further down.
_MOST_CARDS = 4


def lever_cards(summary: PlanSummary) -> tuple[Card, ...]:
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


def cards(outlook: Outlook) -> tuple[Card, ...]:
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
