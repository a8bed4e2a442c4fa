"""What people ask first of a plan in hindsight, and the book of all promises."""

from collections.abc import Mapping
from urllib.parse import quote

import numpy as np

from dagcast.figures import counted, listed, share
from dagcast.plans import Hindsight, Outlook, Promise
from dagcast.review._content import Answer, Column, Link, Section, Table, Tone, Waterfall
from dagcast.review._retro_desk import Reality, objective_form
from dagcast.review.plan_page import row_address

_EXECUTION = "carried out otherwise than planned"
_CAUTION = "caution: hedging against uncertain parameters"
_MOST = 3


def waterfall(found: Hindsight) -> Waterfall:
    """The regret by what made it, the largest first."""
    bars = [(item.member, item.value) for item in found.shares if round(item.value)]
    rest = [item for item in found.shares if not round(item.value)]
    if rest:
        small = sum(item.value for item in rest)
        bars.append((f"{counted(len(rest), 'other model')}", small))
    bars.append((_EXECUTION, found.execution_gap))
    if found.caution:
        bars.append((_CAUTION, found.caution))
    return Waterfall(
        "w-regret",
        "What made the regret",
        found.unit,
        objective_form(found),
        tuple(bars),
        "regret",
        "To the right: knowing it would have paid. To the left: the error happened to help.",
    )


def retro_answers(found: Hindsight, outlook: Outlook, reality: Reality) -> tuple[Answer, ...]:
    """Promised and got, regret, what made it, how it was carried out, and where to look."""
    answers = [_promised(found), _regretted(found), _done(found)]
    if book := _kept(reality.book):
        answers.append(book)
    if links := _looks(found, outlook, reality.regret):
        answers.append(Answer("first", "What to look at first", "", links=links))
    return tuple(answer for answer in answers if answer is not None)


def _promised(found: Hindsight) -> Answer | None:
    whole = [item for item in found.promises if not item.row]
    if not whole:
        return None
    held = sum(item.held for item in whole)
    lines = []
    for item in [*[i for i in whole if not i.held], *[i for i in whole if i.held]][:5]:
        mid, ends, value, said = found.shown(item)
        lines.append(f"{found.title(item)}: promised {mid} ({ends}), got {value}, {said}")
    tone: Tone = "good" if held == len(whole) else "warning"
    text = f"{held} of {len(whole)} inside"
    return Answer("promised", "Promised and got", text, tuple(lines), tone)


def _regretted(found: Hindsight) -> Answer:
    lines = [f"{found.share:.1%} of the attainable {found.worth(found.attainable)}"]
    for item in found.shares[:3]:
        if round(item.value):
            part = share(item.value, found.regret)
            lines.append(f"{item.member}: {found.worth(item.value, signed=True)} ({part})")
    lines.append(f"Guardrails: {found.kept}")
    return Answer("regret", "Regret", found.worth(found.regret), tuple(lines))


def _done(found: Hindsight) -> Answer:
    lines = []
    for lever in found.levers:
        reading = found.readings[lever.lever]
        figures = [reading.figure(v) for v in (lever.carried_out, lever.planned, lever.ex_post)]
        lines.append(
            f"{reading.title}: {figures[0]} carried out, {figures[1]} planned, {figures[2]} best"
        )
    text = f"{found.worth(found.execution_gap, signed=True)} by not keeping to it"
    return Answer("done", "Carried out", text, tuple(lines))


def _kept(book: tuple[Promise, ...]) -> Answer | None:
    outcomes = [item for item in book if not item.over]
    if not outcomes:
        return None
    held, weeks = sum(item.held for item in outcomes), len({item.plan for item in outcomes})
    level = f"{outcomes[0].level:.0%}"
    of = f"{counted(len(outcomes), 'outcome')} of {counted(weeks, 'plan')}"
    lines = [f"{held} of {of} inside, where {level} was promised"]
    whole = [item for item in outcomes if item.quantity == "objective" and not item.row]
    if promised := sum(item.mid for item in whole):
        bias = sum(item.happened for item in whole) / promised - 1.0
        side = "above" if bias > 0 else "below"
        lines.append(f"The objective came out {abs(bias):.0%} {side} its promises")
    return Answer("book", "Promises of all weeks", f"{held / len(outcomes):.0%} kept", tuple(lines))


def _looks(
    found: Hindsight, outlook: Outlook, regret: Mapping[str, np.ndarray]
) -> tuple[Link, ...]:
    """Rows with most regret, each with the model that made most of it."""
    if not regret:
        return ()
    by_row = {name: values.sum(axis=1) for name, values in regret.items()}
    total = np.sum(list(by_row.values()), axis=0)
    links = []
    for place in np.argsort(-total)[:_MOST]:
        if total[place] <= 0:
            break
        name = max(by_row, key=lambda n: by_row[n][place])
        row = outlook.rows[int(place)]
        part = min(1.0, by_row[name][place] / total[place])
        show = quote(f"Regret by {name}", safe="")
        links.append(
            Link(row, f"{found.worth(total[place])} of the regret, {part:.0%} by {name}",
                 f"{row_address(row)}&show={show}")
        )  # fmt: skip
    return tuple(links)


def promise_book(found: Hindsight, reality: Reality) -> Section | None:
    """Every plan whose week is over, the newest first, and outcomes over all weeks."""
    plans: dict[str, list[Promise]] = {}
    for item in reality.book:
        plans.setdefault(item.plan, []).append(item)
    if not plans:
        return None
    rows = []
    for plan, items in reversed(plans.items()):
        outcomes = [item for item in items if not item.over]
        held = sum(item.held for item in outcomes)
        first = next((i for i in outcomes if i.quantity == "objective" and not i.row), None)
        first = first or next((i for i in outcomes if not i.row), None)
        shown = found.shown(first) if first is not None else ("", "", "", "")
        rows.append((plan, items[0].start[:10], f"{held} of {len(outcomes)}", *shown))
    named: dict[str, list[Promise]] = {}
    for item in reality.book:
        if not item.over:
            named.setdefault(found.title(item), []).append(item)
    by_outcome = tuple(
        (title, f"{sum(i.held for i in items)} of {len(items)}",
         f"{sum(i.held for i in items) / len(items):.0%}",
         listed(_outside(items)) if _outside(items) else "none")
        for title, items in named.items()
    )  # fmt: skip
    text = [Column(name, numeric=False) for name in ("Plan", "Hours from")]
    return Section(
        "book",
        "The promise book",
        "All weeks of approved plans that are over: what was promised, and what came of it.",
        (
            Table(
                (*text, Column("Kept"), Column("Promised, of all"), Column("Interval"),
                 Column("Happened"), Column("Interval held", numeric=False)),
                tuple(rows),
                caption="By plan",
            ),
            Table(
                (Column("Outcome", numeric=False), Column("Kept"), Column("Share"),
                 Column("Outside", numeric=False)),
                by_outcome,
                caption="By outcome, of rows and all together",
            ),
        ),
        short="Promise book",
    )  # fmt: skip


def _outside(items: list[Promise]) -> list[str]:
    """Rows that came out outside their intervals; of many, the first and how many more."""
    found = list(dict.fromkeys(item.row or "all together" for item in items if not item.held))
    return found if len(found) <= 6 else [*found[:5], f"{len(found) - 5} more"]
