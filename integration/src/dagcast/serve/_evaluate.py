"""Edits at the map: tried exactly on this side, and proposed as a plan of their own.

The data and the fit are read once and kept until the project moves on; one edit is evaluated at a
time, as each takes all of a core.
"""

import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dagcast import workflow
from dagcast.errors import UsageError
from dagcast.figures import amount
from dagcast.journal import Seen
from dagcast.plans import Outlook, PlanSummary, Reading, changes_of
from dagcast.project import Project
from dagcast.serve._html import Html, tag
from dagcast.serve._identity import Person
from dagcast.serve._layout import form_of, hidden, section, text_area

if TYPE_CHECKING:
    from dagcast.workflow import Decidable, PlanResult, Ready


@final
class Evaluator:
    """Evaluates edits of plans of one project."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Any, Ready] | None = None
        self._local: tuple[Any, dict[str, Any]] | None = None

    def warm(self, project: Project) -> None:
        """Read what edits need.

        Raises:
            ProjectError: nothing was ingested or fitted yet.
        """
        with self._lock:
            self._ready(project)

    def form(self, project: Project, found: "Decidable", person: Person) -> Html | None:
        """The form for edits; None for whoever may not edit, and for plans that are decided."""
        if found.record.state != "proposed" or not project.rules.may(person.who, "edit"):
            return None
        options = (
            ("scale", "Multiply by"),
            ("set", "Set every cell to"),
            ("most", "At most, in each cell"),
            ("total", "At most, all cells together"),
        )
        how = tag("select", *(tag("option", words, value=key) for key, words in options), id="how")
        value = tag("input", id="value", type="number", min="0", step="any", value="1")
        address = f"/plans/{found.record.plan}"
        return section(
            "Edit",
            tag("p", "Choose cells on the map, say what becomes of them, and add the change. What "
                "the browser says at once is approximate; the exact forecast follows.",
                class_="lead"),
            tag("p", "", id="edit-chosen"),
            tag("div",
                tag("label", tag("span", "Lever"), tag("select", id="lever")),
                tag("label", tag("span", "Change"), how),
                tag("label", tag("span", "Value"), value),
                tag("button", "Add the change", type="button", id="add"),
                class_="fields"),
            tag("ul", id="changes"),
            tag("output", id="approximate", aria_live="polite"),
            tag("output", id="exact", aria_live="polite"),
            tag("form",
                form_of(person), hidden("seen", str(found.seen)), hidden("changes", "[]"),
                text_area("why", "Reason, for the log", required=True, rows=1),
                tag("button", "Propose the edited plan", type="submit", class_="main"),
                method="post", action=f"{address}/edit", class_="stack", id="edit-form"),
            key="edit",
        )  # fmt: skip

    def tried(
        self, project: Project, person: Person, request: Request, given: Mapping[str, str]
    ) -> Response:
        """What an edit leads to, exactly; or, without one, the local model of the plan."""
        name = request.path_params["plan"]
        if given.get("changes", "") == "":
            return JSONResponse(self._model(project, name))
        with self._lock:
            result = workflow.edit(
                project,
                name,
                changes=_changes(given),
                who=person.who,
                why="tried",
                ready=self._ready(project),
                record=False,
            )
        before = Outlook.load(project.plans / name).differences.get("current", {})
        change = result.objective["current"][0] - before["objective"].mid
        return JSONResponse({**figures(result), "change": change})

    def kept(
        self, project: Project, person: Person, request: Request, given: Mapping[str, str]
    ) -> Response:
        """Propose an edit as a plan of its own."""
        name, why = request.path_params["plan"], given.get("why", "").strip()
        if not why:
            raise UsageError("a reason, for the log", "none", "Give one in words.")
        try:
            opened = Seen.read(given.get("seen", ""))
        except ValueError as error:
            raise UsageError("an edit of what was seen", "none", "Open the plan again.") from error
        with self._lock:
            result = workflow.edit(
                project,
                name,
                changes=_changes(given),
                who=person.who,
                why=why[:4000],
                ready=self._ready(project),
                opened=opened,
            )
        address = f"/plans/{result.summary.plan}"
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"plan": result.summary.plan, **figures(result)}, 201)
        return RedirectResponse(address, 303)

    def _ready(self, project: Project) -> "Ready":
        """What editing needs, read again only where the project moved on."""
        fits = list(project.journal.fits())
        key = (project.logged_store(), fits[-1:], project.config.model_dump_json())
        if self._held is None or self._held[0] != key:
            self._held = (key, workflow.ready_to_edit(project))
        return self._held[1]

    def _model(self, project: Project, name: str) -> dict[str, Any]:
        """Gradients and curvatures by lever, for the browser to answer at once."""
        with self._lock:
            ready = self._ready(project)
            key = (name, self._held and self._held[0])
            if self._local is None or self._local[0] != key:
                gradients, curvatures = workflow.local_model(project, name, ready)
                decided = workflow.decided_by(project, name)
                self._local = (key, _plain(project, name, gradients, curvatures, decided, ready))
            return self._local[1]


def figures(result: "PlanResult") -> dict[str, Any]:
    """What people read of an evaluated plan, as texts."""
    summary = result.summary
    objective = result.objective.get("current") or result.objective["plan"]
    rows = [
        [reading.title, reading.figure(result.totals[name]["plan"][0]), *(
            [reading.figure(result.differences[name]["current"][0], signed=True)]
            if "current" in result.differences.get(name, {}) else [""])]
        for name, reading in result.readings.items()
    ]  # fmt: skip
    return {
        "spends": [amount(planned, code) for code, (planned, _) in summary.spent.items()],
        "objective": f"{summary.objective}: "
        f"{amount(objective[0], summary.objective_unit, signed=True)} over going on as before",
        "gain": objective[0],
        "broken": list(summary.broken),
        "rows": rows,
        "seconds": round(summary.seconds, 3),
    }


def _changes(given: Mapping[str, str]) -> Any:
    try:
        return changes_of(json.loads(given.get("changes", "")))
    except (ValueError, RecursionError) as error:
        raise UsageError("changes as JSON", f"{error}"[:200], "Open the plan again.") from error


def _plain(
    project: Project,
    plan: str,
    gradients: Mapping[str, Any],
    curvatures: Mapping[str, Any],
    decided: Mapping[str, Any],
    ready: "Ready",
) -> dict[str, Any]:
    found = {}
    for name, gradient in gradients.items():
        shape = ready.shapes[name]
        dims = [dim for dim in gradient.dims if dim != shape.time]
        order = (*dims, shape.time)
        reading = Reading.of(ready.setting.quantities[name])
        layout = {dim: gradient.index(dim) for dim in gradient.dims}
        found[name] = {
            "title": reading.title,
            "adds": reading.summed,
            "dims": dims,
            "labels": [[str(label) for label in gradient.index(dim)] for dim in dims],
            "hours": [hour.isoformat() for hour in gradient.index(shape.time)],
            "gradient": _rounded(gradient.values(*order)),
            "curvature": _rounded(curvatures[name].values(*order)),
            "plan": _rounded(decided[name].reindex(layout).values(*order)),
        }
    objective = project.config.objective
    units = [Reading.of(ready.setting.quantities[name]).total_unit for name in gradients]
    return {
        "levers": found,
        "objective": objective.unit,
        "maximises": PlanSummary.load(project.plans / plan).objective,
        "spend": units[0],
    }


def _rounded(values: Any) -> list[float]:
    flat = np.asarray(values.detach().double().numpy()).reshape(-1)
    return [float(f"{value:.4g}") for value in flat]
