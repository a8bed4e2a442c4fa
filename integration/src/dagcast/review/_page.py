"""A page as one HTML file without any reference to the network."""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import final

from dagcast.review._blocks import block_html
from dagcast.review._content import Answer, Card, Page, Section
from dagcast.review._payload import all_rows, payload

# One script in this order: plain files without a build step, joined as they are.
_SCRIPTS = (
    "data",
    "draw",
    "choice",
    "lines",
    "map",
    "touch",
    "panel",
    "curve",
    "parts",
    "hindsight",
    "rows",
    "figures",
    "start",
)
_ALONE = "Everything on this page is in this file; it loads nothing from the network."
_STYLES = ("page", "first", "charts", "desk", "narrow", "paper")


@final
@dataclass(frozen=True)
class Around:
    """What a server puts around a page that is else a file of its own.

    Attributes:
        brand: markup at the left of the bar: the way home, and who is signed in.
        links: markup of further links in the navigation.
        desk: markup between the first screen and the sections.
        foot: markup of the last line.
        styles: addresses of further style sheets.
        scripts: addresses of further scripts.
    """

    brand: str
    links: str = ""
    desk: str = ""
    foot: str = ""
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


def render(page: Page, around: Around | None = None) -> str:
    """Render a page.

    Args:
        page: what to show.
        around: what a server puts around it.

    Returns:
        HTML that holds its style, its script and the data.
    """
    return rendered(page, around)[0]


def rendered(page: Page, around: Around | None = None) -> tuple[str, str]:
    """A page, and the policy under which browsers show it."""
    desk = files("dagcast.review").joinpath("desk")

    def joined(names: tuple[str, ...], kind: str) -> str:
        parts = (desk.joinpath(f"{name}.{kind}").read_text(encoding="utf-8") for name in names)
        return "\n".join(parts)

    script = joined(_SCRIPTS, "js")
    style = joined(_STYLES, "css").replace("%%MARK%%", _css_string(page.mark))
    # No other script runs, whatever a label holds.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; "
        "img-src data: blob:"
    )
    if around is not None:
        # Bars are as long as their style says, which is a figure; no other style is taken.
        policy = (
            f"default-src 'none'; style-src 'self' '{_hash(f'{chr(10)}{style}{chr(10)}')}'; "
            "style-src-attr 'unsafe-inline'; "
            f"script-src 'self' '{_hash(script)}'; img-src data: blob:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'"
        )
    data, packed = payload(page)
    fill = {
        "TITLE": html.escape(page.title),
        "STYLE": style,
        "POLICY": policy,
        "HEAD": "".join(
            f'<link rel="stylesheet" href="{html.escape(one)}">\n'
            for one in (around.styles if around else ())
        ),
        "BRAND": around.brand if around else '<span class="brand">dagcast</span>',
        "DESK": around.desk if around else "",
        "FOOT": around.foot if around else _ALONE,
        "SCRIPTS": "".join(
            f'<script src="{html.escape(one)}"></script>\n'
            for one in (around.scripts if around else ())
        ),
        "LINKS": (around.links if around else "")
        + "".join(
            f'<a href="#{html.escape(section.key)}">'
            f"{html.escape(section.short or section.title)}</a>"
            for section in page.sections
        ),
        "HEADER": _header(page),
        "BODY": "".join(_section(section) for section in page.sections),
        "CHOICE": _rows(page) + _clock(page),
        "DATA": _script_safe(json.dumps(data, separators=(",", ":"))),
        "PACKED": packed,
        "SCRIPT": script,
    }
    pieces = desk.joinpath("page.html").read_text(encoding="utf-8").split("%%")
    text = "".join(
        piece if position % 2 == 0 else fill[piece] for position, piece in enumerate(pieces)
    )
    return text, policy


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _clock(page: Page) -> str:
    """Local time or UTC; none where both are the same."""
    if page.zone == "UTC" and not page.zones:
        return ""
    return (
        '<label class="row">Clock <select id="clock"><option value="local">local</option>'
        '<option value="utc">UTC</option></select></label>'
    )


def _rows(page: Page) -> str:
    if not page.rows:
        return ""
    options = "".join(
        f'<option value="{number}">{html.escape(name)}</option>'
        for number, name in enumerate((all_rows(page), *page.rows), -1)
    )
    # What is shown while several rows are chosen elsewhere.
    options += '<option value="-2" hidden>several</option>'
    label = html.escape(page.dim.replace("_", " ").capitalize())
    return f'<label class="row">{label} <select id="row">{options}</select></label>'


def _css_string(text: str) -> str:
    """A text as a style sheet quotes it, in which nothing ends the quotation or the style."""
    plain = (c if c.isascii() and (c.isalnum() or c in " .,-") else f"\\{ord(c):x} " for c in text)
    return f'"{"".join(plain)}"'


def _script_safe(text: str) -> str:
    # "</script>" inside a label would end the data.
    return text.replace("<", "\\u003c")


def _header(page: Page) -> str:
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in page.facts
    )
    answers = "".join(_answer(answer) for answer in page.answers)
    return (
        f'<p class="kicker">{html.escape(page.kicker)}</p>'
        f"<h1>{html.escape(page.headline)}</h1>"
        f'<p class="status {page.tone}"><span class="dot" aria-hidden="true"></span>'
        f"{html.escape(page.status)}</p>"
        f"{_against(page)}"
        f"{f'<div class=answers>{answers}</div>' if answers else ''}"
        f'<dl class="facts">{facts}</dl>'
        f'<div class="cards">{"".join(_card(card) for card in page.cards)}</div>'
    )


def _against(page: Page) -> str:
    """What stands against approving it, before any figure."""
    if not page.against:
        return ""
    found = "".join(f"<li>{html.escape(text)}</li>" for text in page.against)
    said = "What stood against approving it when this page was written"
    return f'<div class="against"><h2>{said}</h2><ul>{found}</ul></div>'


def _answer(answer: Answer) -> str:
    key = html.escape(answer.key)
    figure = f'<p class="figure {answer.tone}">{html.escape(answer.figure)}</p>'
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in answer.lines)
    links = "".join(
        f'<li><a href="{html.escape(link.href)}"><b>{html.escape(link.name)}</b> '
        f"{html.escape(link.why)}</a></li>"
        for link in answer.links
    )
    return (
        f'<section class="answer {key}" aria-labelledby="a-{key}">'
        f'<h2 id="a-{key}">{html.escape(answer.question)}</h2>{figure if answer.figure else ""}'
        f"{f'<ul>{lines}</ul>' if lines else ''}{f'<ol>{links}</ol>' if links else ''}</section>"
    )


def _card(card: Card) -> str:
    rows = "".join(_comparison(*row) for row in card.comparisons)
    interval = f'<p class="interval">{html.escape(card.interval)}</p>' if card.interval else ""
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f'<article class="card"><h2>{html.escape(card.label)}</h2>'
        f'<p class="figure">{html.escape(card.value)}</p>{interval}{table}</article>'
    )


def _comparison(name: str, value: str, tone: str) -> str:
    first, _, second = value.partition("\n")
    below = f'<tr class="below"><td colspan="2">{html.escape(second)}</td></tr>' if second else ""
    return (
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f'<td class="{tone}">{html.escape(first)}</td></tr>{below}'
    )


def _section(section: Section) -> str:
    blocks = "".join(block_html(block) for block in section.blocks)
    lead = f'<p class="lead">{html.escape(section.lead)}</p>' if section.lead else ""
    return (
        f'<section id="{html.escape(section.key)}" aria-labelledby="h-{html.escape(section.key)}">'
        f'<h2 id="h-{html.escape(section.key)}">{html.escape(section.title)}</h2>'
        f"{lead}{blocks}</section>"
    )
