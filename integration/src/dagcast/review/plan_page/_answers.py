"""The questions that people ask of a plan first, each with its answer."""

from collections.abc import Iterable

from dagcast.figures import amount, counted, currency, figure, listed, number, symbol, words
from dagcast.plans import Estimate, Outlook, PlanSummary, Reading
from dagcast.review._content import Answer, Link, Tone
from dagcast.review.plan_page._words import whole


def answers(
    summary: PlanSummary,
    outlook: Outlook,
    *,
    when: str,
    kept: str,
    first: tuple[Link, ...],
) -> tuple[Answer, ...]:
    """What is planned, what it brings and costs, how sure that is, and what to look at.

    Args:
        summary: of the plan.
        outlook: under it.
        when: the hours it decides about, in words.
        kept: how past promises came out, in words; empty where there are none.
        first: what to look at first.
    """
    found = [_planned(summary, when), _brings(summary, outlook)]
    if (cost := _costs(summary, outlook)) is not None:
        found.append(cost)
    found.append(_sure(summary, outlook, kept))
    if first:
        found.append(Answer("first", "What to look at first", "", links=first))
    return tuple(found)


def _planned(summary: PlanSummary, when: str) -> Answer:
    totals = summary.totals()
    name, (planned, _) = next(iter(totals.items()))
    reading = summary.readings[name]
    lines = [when]
    for lever, (value, current) in totals.items():
        own = summary.readings[lever]
        rows = [row for row in summary.levers if row.lever == lever and row.label]
        if len(rows) > 1:
            shown = sorted(rows, key=lambda row: -abs(row.planned))[:4]
            more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
            lines.append(
                f"{', '.join(f'{row.label} {whole(own, row.planned)}' for row in shown)}{more}"
            )
        change = own.figure(value - current, signed=True)
        said = "" if lever == name else f"{own.title} {whole(own, value)}, "
        lines.append(f"{said}{change} against the current plan's {whole(own, current)}")
    return Answer(
        "planned",
        "What is planned",
        f"{whole(reading, planned)} {words(reading.title)}",
        tuple(lines),
    )


def _brings(summary: PlanSummary, outlook: Outlook) -> Answer:
    """Against going on as before first: that is what people would do without the plan."""
    arms = [arm for arm in ("current", "none") if arm in outlook.arms]
    names = _parts(summary, outlook)
    lines = [
        f"Over {outlook.arms[arm]}: "
        + listed(
            f"{words(outlook.readings[name].title)} {_with_ends(found, outlook.readings[name])}"
            for name in names
            for found in (outlook.differences[arm][name],)
        )
        for arm in arms
    ]
    chance = outlook.chances.get("current", {}).get("objective")
    if chance is not None:
        lines.append(
            f"Better than {outlook.arms['current']} in {chance:.0%} of "
            f"{counted(outlook.draws, 'draw')}; intervals hold {outlook.level:.0%}"
        )
    if not arms or not names:
        return Answer("brings", "What it brings", "", tuple(lines))
    reading, found = outlook.readings[names[0]], outlook.differences[arms[0]][names[0]]
    change = f"{_change(found.mid, reading)} {words(reading.title)}"
    tone = _tone(outlook, reading, found)
    if tone == "good" and (summary.status == "infeasible" or summary.broken):
        # More is no good news where it is had by breaking a limit.
        tone = "neutral"
    return Answer("brings", "What it brings", change, tuple(lines), tone)


def _parts(summary: PlanSummary, outlook: Outlook) -> list[str]:
    """What is maximised, each part by its name; of earlier plans what is shown first."""
    known = [name for name in summary.weights if name in outlook.readings]
    return known or list(outlook.readings)[:2]


def _with_ends(found: Estimate, reading: Reading) -> str:
    return (
        f"{_change(found.mid, reading)} "
        f"({_change(found.low, reading)} to {_change(found.high, reading)})"
    )


def _change(value: float, reading: Reading) -> str:
    """A change in full, as the first sentence says it."""
    if reading.summed and reading.written == "money":
        return amount(value, reading.total_unit, signed=True)
    return reading.figure(value, signed=True)


def _tone(outlook: Outlook, reading: Reading, found: Estimate) -> Tone:
    """Good only where the plan is better for sure, in what it maximises and in what is shown."""
    whole_gain = outlook.differences.get("current", {}).get("objective", found)
    if whole_gain.mid < 0:
        return "bad"
    if whole_gain.low <= 0 or found.low <= 0 <= found.high or not reading.better:
        return "neutral"
    return "good" if (found.mid > 0) == (reading.better == "higher") else "warning"


def _costs(summary: PlanSummary, outlook: Outlook) -> Answer | None:
    """What one more of an outcome costs on average, and what the last unit of money brings."""
    lines = []
    text = ""
    spent = next(iter(summary.spent.items()), None)
    bought = [name for name in _counts(outlook) if outlook.differences.get("none", {}).get(name)]
    if spent and bought and (added := outlook.differences["none"][bought[0]]).mid > 0:
        code, (planned, _) = spent
        one = outlook.readings[bought[0]].unit.removesuffix("/h")
        text = f"{figure(planned / added.mid, f'{code}/{one}')} per added {one}"
        said = f"On average, over {outlook.arms['none']}"
        if added.low > 0:
            ends = (figure(planned / end, f"{code}/{one}") for end in (added.high, added.low))
            said += f"; {' to '.join(ends)}"
        lines.append(said)
    last = next((row for row in summary.budgets if row.binding and not row.label), None)
    if last is not None:
        lines.append(f"At the margin: {last.words}")
    elif summary.budgets:
        lines.append("No budget binds: the last unit brings about what it costs")
    lines += _explained(summary, outlook)
    return Answer("costs", "What it costs", text, tuple(lines)) if text or lines else None


def _counts(outlook: Outlook) -> Iterable[str]:
    """Outcomes that are counted and wanted, such as rides."""
    for name, reading in outlook.readings.items():
        if reading.summed and reading.better == "higher" and currency(reading.unit) is None:
            yield name


def _explained(summary: PlanSummary, outlook: Outlook) -> list[str]:
    """What is maximised, where it is more than one quantity: worth, not money."""
    if not summary.mixed:
        return []
    said = []
    for name, weight in summary.weights.items():
        reading = outlook.readings.get(name)
        if reading is None or weight == 1:
            continue
        one = reading.unit.removesuffix("/h")
        code = currency(summary.objective_unit)
        worth = f"{symbol(code)}{weight:g}" if code else number(weight)
        said.append(f"each {one} counts as {worth}")
    return [f"In {summary.objective}, {listed(said)}: worth, not money"] if said else []


def _sure(summary: PlanSummary, outlook: Outlook, kept: str) -> Answer:
    lines = []
    if outlook.origins:
        lines.append(f"Intervals from {counted(outlook.origins, 'forecast')} of past weeks")
    else:
        lines.append("Never backtested: intervals from the fit's own errors")
    lines += [
        f"{_part(summary, line.lever, line.label)}: {line.standing}"
        + (f" for {line.measured / line.amount:.0%} of it" if line.standing == "measured" else "")
        for line in sorted(summary.evidence.counted(summary.readings), key=lambda i: -i.amount)[:4]
        if line.amount > 0
    ]
    text = kept.split(" (")[0] if kept else "No promise tested yet"
    if kept:
        lines.insert(0, f"Past promises: {kept}")
    return Answer("sure", "How sure that is", text, tuple(lines))


def _part(summary: PlanSummary, lever: str, label: str) -> str:
    reading = summary.readings[lever]
    return label if label else reading.title
