"""What pages of the desk have in common: the bar, the way home, tables, forms, moments."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dagcast.project import Project
from dagcast.serve._html import Child, Html, joined, tag
from dagcast.serve._identity import Person

STYLES = ("/assets/page.css", "/assets/serve.css")
_LONGEST = 4000


def page(
    title: str, *body: Child, person: Person | None = None, project: Project | None = None
) -> Html:
    """A whole page of the desk."""
    name = project.config.name if project is not None else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title}: {name}" if name else title),
        *(tag("link", rel="stylesheet", href=one) for one in STYLES),
        tag("script", src="/assets/theme.js"),
    )
    bar = tag(
        "header",
        tag(
            "div",
            brand(),
            tag("nav", *links(), aria_label="Desk") if person is not None else None,
            who_is_here(person) if person is not None else None,
            class_="bar",
        ),
        class_="top",
    )
    main = tag("main", tag("div", tag("h1", title), class_="hero"), *body, id="main")
    skip = tag("a", "Skip to content", class_="skip", href="#main")
    return joined(
        Html("<!doctype html>"), tag("html", head, tag("body", skip, bar, main), lang="en")
    )


def brand() -> Html:
    """The way to the inbox."""
    return tag("a", "dagcast", class_="brand home", href="/")


def links() -> tuple[Html, ...]:
    """Pages that are not about one plan."""
    return (
        tag("a", "Weeks", href="/"),
        tag("a", "Compare", href="/compare"),
        tag("a", "What if", href="/what-if"),
        tag("a", "Log", href="/log"),
    )


def who_is_here(person: Person) -> Html:
    """Who is signed in, and the way out."""
    if person.form is None:
        return tag("span", person.who, class_="row who")
    return tag(
        "form",
        tag("span", person.who, class_="row who"),
        form_of(person),
        tag("button", "Sign out", type="submit"),
        method="post",
        action="/sign-out",
        class_="out",
    )


def form_of(person: Person) -> Html:
    """What tells somebody's own form from one that another site made."""
    return hidden("form", person.form or "")


def hidden(name: str, value: str) -> Html:
    """A value that a form carries along."""
    return tag("input", type="hidden", name=name, value=value)


def text_area(name: str, label: str, *, required: bool = False, rows: int = 2) -> Html:
    """A text of several lines, with its label."""
    box = tag("textarea", "", name=name, rows=str(rows), maxlength=str(_LONGEST), required=required)
    return tag("label", tag("span", label), box)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Child]],
    caption: str = "",
    *,
    label: str = "",
    kind: str = "",
) -> Html:
    """A table whose first column is text.

    Args:
        heads: of the columns.
        rows: of cells.
        caption: above it; ``label`` is said in its place where nothing is to be seen.
        label: see there.
        kind: a further class.
    """
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row", class_="text") if k == 0 else tag("td", cell)
                for k, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    top = [
        tag("th", head, scope="col", class_="text" if k == 0 else None)
        for k, head in enumerate(heads)
    ]
    found = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *top)),
        tag("tbody", *body),
        class_=f"data {kind}".strip(),
    )
    named = caption or label
    return tag("div", found, class_="scroll", tabindex="0", role="region", aria_label=named)


def section(title: str, *body: Child, key: str = "") -> Html:
    """A part of a page."""
    return tag("section", tag("h2", title), *body, id=key or None)


def said(moment: datetime) -> str:
    """A moment of the log."""
    return f"{moment:%a %-d %b %Y %H:%M} UTC"
