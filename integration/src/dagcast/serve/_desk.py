"""What the desk puts on the page of a plan: who may decide what, the forms, and its story."""

from dagcast.figures import amount
from dagcast.journal import Entry, PlanRecord, amount_of, told
from dagcast.project import Project
from dagcast.review import Around
from dagcast.serve._html import Html, joined, tag
from dagcast.serve._identity import Person
from dagcast.serve._layout import (
    STYLES,
    brand,
    form_of,
    hidden,
    links,
    said,
    section,
    text_area,
    who_is_here,
)
from dagcast.workflow import Decidable

_STORY = ("reviewed",)


def around(project: Project, found: Decidable, person: Person, extra: Html | None = None) -> Around:
    """The desk around a plan's page."""
    decide = tag("a", "Decide", href="#decide")
    return Around(
        brand(),
        joined(decide, tag("a", "Edit", href="#edit") if extra is not None else None),
        joined(_decide(project, found, person), extra, _story(project, found, person)),
        joined(tag("nav", *links(), aria_label="Desk"), who_is_here(person)),
        STYLES[1:],
        ("/assets/edit.js",) if extra is not None else (),
    )


def _decide(project: Project, found: Decidable, person: Person) -> Html:
    record, rules = found.record, project.rules
    parts = [tag("p", _standing(record), class_="lead")]
    open_ = record.state == "proposed"
    role = rules.role_of(person.who)
    if open_ and found.forbidden:
        items = (tag("li", text) for text in found.forbidden)
        parts.append(
            tag("div", tag("h3", "Why you cannot approve it"), tag("ul", *items), class_="against")
        )
    if open_ and found.findings:
        items = (tag("li", text) for text in found.findings)
        parts.append(
            tag("div", tag("h3", "What stands against it"), tag("ul", *items), class_="against")
        )
    if record.released is not None:
        files = record.released.details["released"]["files"]
        named = [
            tag("li", tag("p", tag("a", name, href=f"/plans/{record.plan}/released/{name}"),
                          f" sha256 {digest}"))
            for name, digest in files.items()
        ]  # fmt: skip
        parts.append(tag("ul", *named, class_="story"))
    forms = []
    if open_ and not found.forbidden and rules.may(person.who, "approve"):
        forms.append(_approval(rules.may(person.who, "overrule"), found, person))
    if rules.may(person.who, "reject") and (
        open_ or (record.state == "approved" and not record.carried_out)
    ):
        words = "Reject" if open_ else "Withdraw the approval"
        forms.append(_form(found, person, "reject", words, ("why", "Reason, for the log")))
    if open_ and rules.may(person.who, "send back"):
        label = "What to change"
        forms.append(_form(found, person, "send-back", "Send back", ("why", label)))
    if forms:
        parts.append(tag("div", *forms, class_="forms"))
    elif open_:
        parts.append(tag("p", f"As {role or 'nobody here'} you read and do not decide."))
    return section("Decide", *parts, key="decide")


def _approval(overrules: bool, found: Decidable, person: Person) -> Html:
    fields = [text_area("why", "Reason, for the log", rows=1)]
    if found.findings:
        if not overrules:
            text = "Only an overruler approves it despite that."
            return tag("div", tag("p", text), class_="stack")
        fields.append(text_area("despite", "Why despite what stands against it", required=True))
    words = "Approve as the first of two" if found.first_of_two else "Approve"
    return _filled(found, person, "approve", words, joined(*fields), main=True)


def _form(found: Decidable, person: Person, act: str, words: str, field: tuple[str, str]) -> Html:
    return _filled(found, person, act, words, text_area(*field, required=True, rows=1))


def _filled(
    found: Decidable, person: Person, act: str, words: str, fields: Html, *, main: bool = False
) -> Html:
    return tag(
        "form",
        form_of(person),
        hidden("seen", str(found.seen)),
        fields,
        tag("button", words, type="submit", class_="main" if main else None),
        method="post",
        action=f"/plans/{found.record.plan}/{act}",
        class_=f"stack {act}",
    )


def _standing(record: PlanRecord) -> str:
    spent = amount_of(record)
    entry = record.proposal or record.entry
    spend = entry.details.get("spend") or {}
    code = max(spend, key=lambda key: spend[key], default="")
    parts = [f"{record.plan}, {entry.event} by {entry.who} on {said(entry.at)}"]
    if spent is not None:
        parts.append(f"spends {amount(spent, code)}")
    if record.state != "proposed":
        parts.append(f"{record.state} by {record.entry.who} on {said(record.entry.at)}")
    if record.endorsement is not None:
        parts.append(f"approved by {record.endorsement.who} as the first of two")
    if record.returned is not None:
        parts.append(f"sent back by {record.returned.who}: {record.returned.why}")
    return "; ".join(parts) + "."


def _story(project: Project, found: Decidable, person: Person) -> Html:
    """Every line of the log about the plan, and a comment of one's own."""
    name = found.record.plan
    lines = [e for e in found.contents.entries if e.plan == name and e.event not in _STORY]
    items = [_line(entry) for entry in lines]
    comment = None
    if project.rules.may(person.who, "comment"):
        comment = tag(
            "form",
            form_of(person),
            text_area("why", "Comment, kept in the log", required=True),
            tag("button", "Comment", type="submit"),
            method="post",
            action=f"/plans/{name}/comment",
            class_="stack",
        )
    return section(
        "What was said and done", tag("ol", *items, class_="story"), comment, key="story"
    )


def _line(entry: Entry) -> Html:
    return tag("li", tag("time", said(entry.at), datetime=entry.at.isoformat()), " ", told(entry))
