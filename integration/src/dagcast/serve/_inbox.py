"""The weeks of a project: what waits for a decision, what runs, what was looked back at."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, final

from dagcast.errors import ProjectError
from dagcast.figures import amount
from dagcast.journal import Contents, PlanRecord, amount_of, stopped
from dagcast.project import Project
from dagcast.serve._html import Html, joined, tag
from dagcast.serve._identity import Person
from dagcast.serve._layout import form_of, page, said, section, table, text_area

Place: TypeAlias = Literal["needs you", "proposed", "approved", "running", "looked back", "aside"]
"""Where a plan stands for somebody."""
_TITLES: dict[Place, str] = {
    "needs you": "Needs you",
    "proposed": "Proposed",
    "approved": "Approved",
    "running": "Running",
    "looked back": "Looked back",
    "aside": "Put aside",
}


@final
@dataclass(frozen=True)
class Inbox:
    """Plans by where they stand, the newest hours first.

    Attributes:
        places: plans of each place, and what there is to say of each.
    """

    places: dict[Place, tuple[tuple[PlanRecord, str], ...]]


def inbox(project: Project, contents: Contents, who: str, now: datetime | None = None) -> Inbox:
    """Sort the plans of a project for somebody."""
    now = now or datetime.now(UTC)
    known = _present(project)
    found: dict[Place, list[tuple[PlanRecord, str]]] = {place: [] for place in _TITLES}
    for record in contents.plans.values():
        place, words = _place(project, contents, record, who, now, known)
        found[place].append((record, words))
    return Inbox(
        {
            place: tuple(sorted(items, key=lambda item: item[0].horizon_start, reverse=True))
            for place, items in found.items()
        }
    )


def _place(
    project: Project,
    contents: Contents,
    record: PlanRecord,
    who: str,
    now: datetime,
    known: datetime | None,
) -> tuple[Place, str]:
    start = datetime.fromisoformat(record.horizon_start)
    end = start + timedelta(hours=hours_of(project, record))
    if record.state == "approved":
        if record.carried_out:
            return "looked back", "carried out"
        if known is not None and known >= end:
            return "looked back", "its hours are over; `dagcast retro` looks back"
        if known is not None and known > start:
            return "running", f"until {said(end)}"
        return "approved", f"by {record.entry.who}"
    if record.state != "proposed":
        later = f" by {record.superseded_by}" if record.superseded_by else f" by {record.entry.who}"
        return "aside", f"{record.state}{later}"
    if known is not None and known >= end:
        return "aside", "its hours are over"
    notes = []
    if record.returned is not None:
        notes.append(f"sent back by {record.returned.who}: {record.returned.why}")
    if record.endorsement is not None:
        notes.append(f"approved by {record.endorsement.who} as the first of two")
    verdict = project.rules.against(contents.plans, contents.entries, record, who, now)
    notes.extend(verdict.forbidden)
    mine = project.rules.may(who, "approve") and not verdict.forbidden
    return ("needs you" if mine else "proposed"), "; ".join(notes)


def hours_of(project: Project, record: PlanRecord) -> int:
    """How many hours a plan decides about."""
    details = {} if record.proposal is None else record.proposal.details
    return int(details.get("hours", project.config.horizon.hours))


def _present(project: Project) -> datetime | None:
    """The hour after the last that the store observed; None where there is no store to ask."""
    from dagcast.workflow import present_of

    try:
        known: datetime = present_of(project)
        return known
    except ProjectError:
        return None


def inbox_page(project: Project, contents: Contents, person: Person) -> Html:
    """The page that greets whoever signs in."""
    found = inbox(project, contents, person.who)
    role = project.rules.role_of(person.who)
    parts = [
        tag("p", f"You are {person.who}, {role or 'without a role'}, in {project.config.name}.",
            class_="lead")
    ]  # fmt: skip
    parts.append(_switch(project, contents, person))
    for place, items in found.places.items():
        if not items and place != "needs you":
            continue
        rows = [_row(project, record, words) for record, words in items]
        listed = (
            table(("Plan", "Week", "Spends", "By", ""), rows, label=_TITLES[place], kind="weeks")
            if rows
            else tag("p", "Nothing waits for you.", class_="lead")
        )
        if place == "aside":
            summary = tag("summary", f"{len(rows)} superseded, rejected or over")
            listed = tag("details", summary, listed)
        parts.append(section(_TITLES[place], listed, key=place.replace(" ", "-")))
    return page("Weeks", *parts, person=person, project=project)


def _row(project: Project, record: PlanRecord, words: str) -> tuple[str | Html, ...]:
    start = datetime.fromisoformat(record.horizon_start)
    end = start + timedelta(hours=hours_of(project, record) - 1)
    spent = amount_of(record)
    by = record.proposal.who if record.proposal is not None else ""
    edited = f", edited by {', '.join(record.edited_by)}" if record.edited_by else ""
    return (
        tag("a", record.plan, href=f"/plans/{record.plan}"),
        f"{start:%-d %b} to {end:%-d %b %Y}",
        "" if spent is None else amount(spent, _currency(record)),
        f"{by}{edited}",
        words,
    )


def _currency(record: PlanRecord) -> str:
    spend = {} if record.proposal is None else dict(record.proposal.details.get("spend") or {})
    return max(spend, key=lambda code: spend[code], default="")


def _switch(project: Project, contents: Contents, person: Person) -> Html:
    """The switch that stops approvals, for whoever may use it."""
    halt = stopped(contents.entries)
    may = project.rules.may(person.who, "stop")
    if halt is not None:
        words = f"Approvals are stopped since {said(halt.at)} by {halt.who}: {halt.why}"
        return tag(
            "div",
            tag("h2", words),
            _reason(person, "/resume", "Resume approvals") if may else None,
            class_="against",
        )
    if not may:
        return joined()
    stop = _reason(person, "/halt", "Stop all approvals and releases")
    return tag("details", tag("summary", "Stop approvals"), stop, class_="switch")


def _reason(person: Person, action: str, words: str) -> Html:
    return tag(
        "form",
        form_of(person),
        text_area("why", "Reason, for the log", required=True, rows=1),
        tag("button", words, type="submit"),
        method="post",
        action=action,
        class_="stack",
    )
