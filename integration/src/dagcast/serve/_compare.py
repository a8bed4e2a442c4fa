"""Any two plans side by side: what they spend, bring and break, and where they differ most."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from dagcast import workflow
from dagcast.journal import PlanRecord
from dagcast.project import Project
from dagcast.serve._html import Html, joined, tag
from dagcast.serve._identity import Person
from dagcast.serve._layout import page, section, table

if TYPE_CHECKING:
    from dagcast.workflow import PlanPair


def answer(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    """The choice of two plans, and the comparison where both are named."""
    plans = list(project.journal.plans().values())[::-1]
    asked = [request.query_params.get(name, "") for name in ("one", "other")]
    found = joined()
    if all(asked):
        found = _compared(workflow.compare_plans(project, *asked))
    defaults = [plan.plan for plan in plans[:2]][::-1]
    chosen = [name or default for name, default in zip(asked, [*defaults, "", ""], strict=False)]
    fields = (
        tag("label", tag("span", words), _choice(name, plans, now))
        for name, words, now in zip(("one", "other"), ("Plan", "with"), chosen, strict=True)
    )
    form = tag("form", *fields, tag("button", "Compare", type="submit"), action="/compare",
               class_="stack")  # fmt: skip
    body = page("Compare", form, found, person=person, project=project)
    return Response(body, media_type="text/html")


def _choice(name: str, plans: Sequence[PlanRecord], now: str) -> Html:
    options = (
        tag("option", f"{record.plan}, {record.horizon_start[:10]}, {record.state}",
            value=record.plan, selected=record.plan == now)
        for record in plans
    )  # fmt: skip
    return tag("select", *options, name=name)


def _compared(pair: "PlanPair") -> Html:
    heads = ("", pair.one, pair.other, "Difference")
    parts = [table(heads, found.rows, found.title) for found in pair.tables()]
    notes = [tag("p", text, class_="note") for text in pair.notes]
    return section(f"{pair.one} and {pair.other}", *notes, *parts)
