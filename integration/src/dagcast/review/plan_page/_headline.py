"""The first sentence of a plan's page, its status and its colour."""

from collections.abc import Sequence

from dagcast.figures import counted, listed, words
from dagcast.plans import Estimate, Outlook, PlanSummary, Reading
from dagcast.review._content import Tone
from dagcast.review.plan_page._words import BY_PEOPLE, missed, whole

# What the solver says, to people who approve plans.
_STATUSES = {
    "optimal": "optimal under its models",
    "feasible": "keeps all limits; a better plan may be there",
    "stalled": "the optimiser stopped early",
    "interrupted": "the optimiser was interrupted",
    "infeasible": "some limits cannot be kept",
}


def headline(
    summary: PlanSummary,
    outlook: Outlook,
    author: str,
    parent: str | None,
    before: Outlook | None = None,
) -> str:
    """Who decided what, what it breaks, and what it brings.

    Args:
        summary: of the plan.
        outlook: under it.
        author: who proposed it.
        parent: the plan that it was edited from, if it was.
        before: forecasts under the parent.
    """
    decided = listed(
        f"{words(summary.readings[name].title)} of {_lever_figure(summary, name)}"
        for name in summary.readings
    )
    by_people = summary.kind in BY_PEOPLE
    if by_people:
        whose = f"{author or 'Somebody'}'s {BY_PEOPLE[summary.kind]}"
        decided = f"{whose}{f' of {parent}' if parent else ''} has {decided}{_broken(summary)}"
    elif summary.status == "infeasible":
        return f"No plan keeps all limits. The closest one has {decided}."
    first = next((name for name in outlook.readings if name in outlook.totals["plan"]), None)
    parts = []
    if before is not None and parent and first and first in before.totals["plan"]:
        change = outlook.totals["plan"][first].mid - before.totals["plan"][first].mid
        parts.append(_more(outlook.readings[first], change, parent))
    for arm, said in outlook.arms.items():
        found = outlook.differences.get(arm, {}).get(first or "")
        if found is not None and first is not None:
            parts.append(_more(outlook.readings[first], found.mid, said))
    if (lost := worse(outlook)) is not None:
        # What a plan loses comes before what it does.
        text = summary.worse_words((lost.mid, lost.low, lost.high))
        decided = f"{text}. {decided[:1].upper()}{decided[1:]}"
    begun = decided[:1].upper() + decided[1:]
    if not parts or first is None:
        return f"{begun}."
    outcome = words(outlook.readings[first].title)
    return f"{begun}: {outcome} {listed(parts)}."


def _more(reading: Reading, change: float, said: str) -> str:
    more = "more" if change >= 0 else "less"
    return f"{whole(reading, abs(change))} {more} than {said}"


def _broken(summary: PlanSummary) -> str:
    """The limit that a plan by people breaks most, and how many more."""
    rows = [row for row in (*summary.budgets, *summary.guardrails) if missed(row)]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: missed(row) / max(abs(row.limit), 1e-12))
    kind = "budget of" if worst in summary.budgets else "limit on"
    side = "over" if worst.sense == "<=" else "short of"
    named = f"{words(worst.title)} {worst.label}".strip()
    more = f" and {counted(len(rows) - 1, 'more limit')} broken" if len(rows) > 1 else ""
    return f", {worst.figure(missed(worst))} {side} the {kind} {named}{more}"


def worse(outlook: Outlook) -> Estimate | None:
    """What the objective loses against going on as before; None where it loses nothing."""
    found = outlook.differences.get("current", {}).get("objective")
    return found if found is not None and found.mid < 0 else None


def _lever_figure(summary: PlanSummary, name: str) -> str:
    planned, _ = summary.totals()[name]
    return whole(summary.readings[name], planned)


def status(summary: PlanSummary) -> str:
    """On what the plan stands, then whether it is the best; how exactly is said further down."""
    text = _STATUSES.get(summary.status, summary.status)
    if summary.kind in BY_PEOPLE:
        rows = (*summary.budgets, *summary.guardrails)
        broken = sum(1 for row in rows if missed(row))
        text = f"decided by people; {counted(broken, 'limit')} broken"
    text = "; ".join(filter(None, (summary.evidence.words(summary.readings), text)))
    return text[:1].upper() + text[1:]


def tone(summary: PlanSummary, outlook: Outlook, against: Sequence[str] = ()) -> Tone:
    tones: dict[str, Tone] = {"optimal": "good", "infeasible": "bad"}
    found = tones.get(summary.status, "warning")
    # The best plan within the limits may still be worse than going on as before, and the best by
    # models whose effects nobody measured is no good news either.
    doubtful = bool(against) or worse(outlook) is not None
    doubtful = doubtful or summary.evidence.weak(summary.readings)
    return "warning" if doubtful and found == "good" else found
