"""What-if: somebody's own proposal, uploaded or pasted, judged as plans are; nothing is kept."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dagcast import workflow
from dagcast.errors import UsageError
from dagcast.project import Project
from dagcast.serve._html import Html, joined, tag
from dagcast.serve._identity import Person
from dagcast.serve._layout import form_of, page, section, table

# Parquet begins and ends so.
_PARQUET = b"PAR1"


def answer(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    """The form."""
    return _shown(project, person, joined())


def tried(project: Project, person: Person, request: Request, given: Mapping[str, str]) -> Response:
    """Forecast a proposal."""
    content = _content(request, given)
    suffix = ".parquet" if content[:4] == _PARQUET else ".csv"
    with tempfile.TemporaryDirectory(prefix="dagcast-") as folder:
        path = Path(folder) / f"proposal{suffix}"
        path.write_bytes(content)
        try:
            result = workflow.what_if(project, path)
        except UsageError as error:
            # The file that it lies in here is nobody's business.
            words = (text.replace(str(path), "the proposal") for text in error.args)
            raise UsageError(*words) from error
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(result.to_json())
    parts = [table(found.columns, found.rows, found.title) for found in result.tables()]
    broken = [tag("li", text) for text in result.summary.broken]
    against = tag("div", tag("h3", "Limits that it breaks"), tag("ul", *broken), class_="against")
    return _shown(project, person, section("What it leads to", against if broken else None, *parts))


def _content(request: Request, given: Mapping[str, str]) -> bytes:
    """What was uploaded, or what was pasted."""
    uploaded = request.state.file if hasattr(request.state, "file") else b""
    content: bytes = uploaded or given.get("pasted", "").strip().encode()
    if not content:
        raise UsageError("a file or pasted rows", "neither", "Choose a file or paste CSV.")
    return content


def _shown(project: Project, person: Person, found: Html) -> Response:
    form = tag(
        "form",
        form_of(person),
        tag("label", tag("span", "CSV or Parquet: labels, hour with zone, value"),
            tag("input", type="file", name="file", accept=".csv,.parquet")),
        tag("label", tag("span", "or paste CSV"), tag("textarea", "", name="pasted", rows="6")),
        tag("button", "Forecast it", type="submit", class_="main"),
        method="post", action="/what-if", enctype="multipart/form-data", class_="stack",
    )  # fmt: skip
    lead = tag("p", "Nothing is kept. Cells that are left out get nothing, or keep their price.",
               class_="lead")  # fmt: skip
    body = page("What if", lead, form, found, person=person, project=project)
    return Response(body, media_type="text/html")


async def read_file(form: Mapping[str, object]) -> bytes:
    """What was uploaded with a form; its size is bounded by whoever read it."""
    file = form.get("file")
    return await file.read() if isinstance(file, UploadFile) else b""
