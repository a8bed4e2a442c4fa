"""The desk as an application: who asks, for what, and what they are answered."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias, final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dagcast import workflow
from dagcast.errors import GateError, PlanStateError, UsageError, answers_input
from dagcast.journal import ConflictError, Seen, told
from dagcast.project import Project, open_project
from dagcast.serve import _compare, _try
from dagcast.serve._desk import around
from dagcast.serve._evaluate import Evaluator
from dagcast.serve._guard import Guard
from dagcast.serve._html import Html, tag
from dagcast.serve._identity import COOKIE, Identities, Person
from dagcast.serve._inbox import inbox_page
from dagcast.serve._layout import page, said, table
from dagcast.workflow import Result

Answer: TypeAlias = Callable[[Project, Person, Request, Mapping[str, str]], Response]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_ASSETS = {
    "theme.js": "text/javascript",
    "edit.js": "text/javascript",
    "serve.css": "text/css",
}
# Of the review page's own, which pages of the desk look like.
_SHARED = ("page", "first", "narrow")
_LOG = logging.getLogger(__name__)
_FIELDS = 40
_PART = 256 * 1024
_PAGES = 8


@final
class Desk:
    """A project behind an application.

    Args:
        folder: of the project.
        flags: settings that win over its file.
        owner: who started it.
    """

    def __init__(self, folder: Path, flags: Mapping[str, str], owner: str) -> None:
        self._folder, self._flags = folder, dict(flags)
        self.identities = Identities(owner)
        self.evaluator = Evaluator()
        self._pages: OrderedDict[tuple[Any, ...], tuple[str, str]] = OrderedDict()
        self._composing = threading.Lock()

    def project(self) -> Project:
        """The project as it is now: settings and log are read with each request."""
        return open_project(self._folder, flags=self._flags)

    def warm(self) -> None:
        """Load what the first page and the first edit need; what cannot be is said when asked."""
        import contextlib

        with contextlib.suppress(Exception):
            self.evaluator.warm(self.project())

    def app(self) -> Starlette:
        """The application."""
        project = self.project()
        megabytes = project.config.serve.upload_megabytes
        decide = {
            "approve": _approve,
            "reject": _reject,
            "send-back": _send_back,
            "comment": _comment,
        }
        routes = [
            Route("/", self._page(_inbox)),
            Route("/sign-in", self._sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route("/log", self._page(_log)),
            Route("/compare", self._page(_compare.answer)),
            Route("/what-if", self._page(_try.answer)),
            Route("/what-if", self._act(_try.tried, "edit"), methods=["POST"]),
            Route("/plans/{plan}", self._page(self._plan)),
            *(
                Route(f"/plans/{{plan}}/{name}", self._act(act), methods=["POST"])
                for name, act in decide.items()
            ),
            Route("/plans/{plan}/try", self._act(self.evaluator.tried, "edit"), methods=["POST"]),
            Route("/plans/{plan}/edit", self._act(self.evaluator.kept, "edit"), methods=["POST"]),
            Route("/plans/{plan}/released/{file}", self._page(_released)),
            Route("/halt", self._act(_halt), methods=["POST"]),
            Route("/resume", self._act(_resume), methods=["POST"]),
            Route("/assets/{name}", _asset),
            Route("/favicon.ico", _icon),
        ]
        handlers: dict[Any, Any] = {HTTPException: self._no_such, Exception: _defect}
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, hosts=project.config.serve.hosts)],
            exception_handlers=handlers,
            max_body_size=int(megabytes * 1_000_000),
        )

    def _page(self, answer: Answer) -> Endpoint:
        """What is read: whoever is signed in and has a role may."""

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(self._answered, answer, request, None, "read")

        return endpoint

    def _act(self, answer: Answer, act: Any = "read") -> Endpoint:
        """What is done: by a form that the desk made for the one who sends it."""

        async def endpoint(request: Request) -> Response:
            async with request.form(max_files=1, max_fields=_FIELDS, max_part_size=_PART) as form:
                request.state.file = await _try.read_file(form)
                return await run_in_threadpool(self._answered, answer, request, form, act)

        return endpoint

    def _answered(
        self, answer: Answer, request: Request, form: FormData | None, act: Any
    ) -> Response:
        person = None
        try:
            project = self.project()
            person = self.identities.person(project, request)
            if person is None:
                return _unknown(request)
            project.rules.require(person.who, act)
            given = {} if form is None else _texts(form)
            if form is not None and not self.identities.is_form_of(person, given.get("form", "")):
                return _told(request, 403, "This form is not yours, or is from before you signed "
                             "in. Open the page again.", person)  # fmt: skip
            done = answer(project, person, request, given)
            if form is not None:
                # Nobody waits for the receiver.
                threading.Thread(target=workflow.notify, args=(project,), daemon=True).start()
            return done
        except Exception as error:
            if not answers_input(error):
                raise
            if person is None:
                # What is wrong with the settings or the log is for those who may read them.
                _LOG.error("%s", error)
                return _told(request, 503, "This project cannot be read just now.", None)
            return _refusal(request, error, person)

    def _plan(
        self, project: Project, person: Person, request: Request, given: Mapping[str, str]
    ) -> Response:
        """The very page of a plan, with the desk around it."""
        from dagcast.review import rendered

        name = request.path_params["plan"]
        if name not in project.journal.plans():
            return _told(request, 404, f"No plan is called {name!r}.", person)
        with self._composing:
            found = workflow.decidable(project, name, person.who)
            # What the page says follows from the log and the settings; the desk from who reads it.
            said_ = (found.forbidden, found.findings)
            key = (name, found.seen, said_, project.config.model_dump_json(), person)
            if key not in self._pages:
                extra = self.evaluator.form(project, found, person)
                made = workflow.page_of(project, found.record)
                self._pages[key] = rendered(made, around(project, found, person, extra))
                while len(self._pages) > _PAGES:
                    self._pages.popitem(last=False)
            text, policy = self._pages[key]
        return _html(text, headers={
            "content-security-policy": f"{policy}; frame-ancestors 'none'"
        })  # fmt: skip

    async def _sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return _html(_sign_in_page())
        async with request.form(max_files=0, max_fields=4, max_part_size=4096) as form:
            given = _texts(form).get("token", "").strip()
        project = await run_in_threadpool(self.project)
        cookie = await run_in_threadpool(self.identities.sign_in, project, given)
        if cookie is None:
            return _html(_sign_in_page("No such token, or it has ended."), 403)
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure)
        return response

    async def _sign_out(self, request: Request) -> Response:
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def _no_such(self, request: Request, error: HTTPException) -> Response:
        words = {404: "There is no such page.", 413: "That is more than this desk takes."}
        return _told(request, error.status_code, words.get(error.status_code, error.detail), None)


def _approve(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    found = workflow.approve(
        project,
        request.path_params["plan"],
        who=person.who,
        why=_short(given, "why"),
        despite=_short(given, "despite") or None,
        opened=_seen(given),
    )
    return _done(request, found, f"/plans/{found.plan}#decide")


def _reject(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    name, why = request.path_params["plan"], _reason(given)
    found = workflow.reject(project, name, who=person.who, why=why, opened=_seen(given))
    return _done(request, found, f"/plans/{found.plan}#decide")


def _send_back(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    name, why = request.path_params["plan"], _reason(given)
    found = workflow.send_back(project, name, who=person.who, why=why, opened=_seen(given))
    return _done(request, found, f"/plans/{found.plan}#decide")


def _comment(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    name = request.path_params["plan"]
    found = workflow.comment(project, name, who=person.who, why=given.get("why", ""))
    return _done(request, found, f"/plans/{name}#story")


def _halt(project: Project, person: Person, request: Request, given: Mapping[str, str]) -> Response:
    return _done(request, workflow.halt(project, who=person.who, why=given.get("why", "")), "/")


def _resume(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    return _done(request, workflow.resume(project, who=person.who, why=given.get("why", "")), "/")


def _inbox(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    # A project without any plan has an inbox as well.
    return _html(inbox_page(project, project.journal.examine(), person))


def _log(project: Project, person: Person, request: Request, given: Mapping[str, str]) -> Response:
    found = workflow.log(project.folder)
    rows = [(str(k), said(e.at), told(e)) for k, e in enumerate(found.entries, start=1)][::-1]
    words = f"{len(rows):,} lines, verified; digest {found.digest}"
    if found.damage:
        words = found.damage
    body = table(("Line", "At", "Who did what"), rows[:1000], "The log, newest first", kind="log")
    return _html(page("Log", tag("p", words, class_="lead"), body, person=person, project=project))


def _released(
    project: Project, person: Person, request: Request, given: Mapping[str, str]
) -> Response:
    from starlette.responses import FileResponse

    name, file = request.path_params["plan"], request.path_params["file"]
    path = workflow.released_file(project, name, file)
    return FileResponse(path, filename=path.name)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    headers = {"cache-control": "max-age=600"}
    if name == "page.css":
        desk = files("dagcast.review").joinpath("desk")
        parts = (desk.joinpath(f"{one}.css").read_text(encoding="utf-8") for one in _SHARED)
        return Response("\n".join(parts), media_type="text/css", headers=headers)
    if name not in _ASSETS:
        raise HTTPException(404)
    text = files("dagcast.serve").joinpath("assets").joinpath(name).read_text(encoding="utf-8")
    return Response(text, media_type=_ASSETS[name], headers=headers)


async def _icon(request: Request) -> Response:
    # Browsers ask for one on their own, and would note that it is missing.
    return Response(status_code=204)


def _texts(form: FormData) -> dict[str, str]:
    """The fields of a form; a file's content is read by whoever wants it."""
    return {key: value for key, value in form.items() if not isinstance(value, UploadFile)}


def _seen(given: Mapping[str, str]) -> Seen:
    """What a decision was made on; one without it was made on nothing."""
    try:
        return Seen.read(given.get("seen", ""))
    except ValueError as error:
        raise UsageError(
            "a decision that says which plan and which log it was made on",
            "none",
            "Decide on the page of the plan.",
        ) from error


def _short(given: Mapping[str, str], name: str) -> str:
    text = given.get(name, "").strip()
    if len(text) > 4000:
        raise UsageError(f"a {name} of up to 4,000 characters", f"{len(text):,}", "Shorten it.")
    return text


def _reason(given: Mapping[str, str]) -> str:
    if not (why := _short(given, "why")):
        raise UsageError("a reason, for the log", "none", "Give one in words.")
    return why


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, status, headers=headers, media_type="text/html")


def _done(request: Request, result: Result, address: str) -> Response:
    if _wants_json(request):
        return JSONResponse(result.to_json())
    return RedirectResponse(address, 303)


def _unknown(request: Request) -> Response:
    if _wants_json(request) or request.method != "GET":
        return _told(request, 401, "Sign in first.", None)
    return RedirectResponse("/sign-in", 303)


def _refusal(request: Request, error: Exception, person: Person | None) -> Response:
    status = 409 if isinstance(error, PlanStateError) else 400
    if isinstance(error, GateError):
        status = 403
    since = [told(entry) for entry in error.since] if isinstance(error, ConflictError) else []
    return _told(request, status, str(error), person, since=since)


def _told(
    request: Request, status: int, words: str, person: Person | None, since: list[str] | None = None
) -> Response:
    if _wants_json(request):
        return JSONResponse({"error": words, "since": since or []}, status)
    titles = {401: "Sign in", 403: "Not allowed", 404: "Not found", 409: "Something happened"}
    name = request.path_params.get("plan")
    back = tag("a", f"Open {name} again", href=f"/plans/{name}") if name and status != 404 else None
    body = tag("div", tag("p", words), tag("p", back or tag("a", "To the weeks", href="/")),
               class_="against")  # fmt: skip
    return _html(page(titles.get(status, "Refused"), body, person=person), status)


async def _defect(request: Request, error: Exception) -> Response:
    # What went wrong is for the terminal, which shows it; the browser learns that it did.
    return _told(request, 500, "Something went wrong here; nothing half-done is kept.", None)


def _sign_in_page(words: str = "") -> Html:
    field = tag("input", name="token", type="password", required=True, autocomplete="off")
    form = tag(
        "form",
        tag("p", words, class_="against") if words else None,
        tag("label", tag("span", "Token"), field),
        tag("button", "Sign in", type="submit", class_="main"),
        tag("p", "`dagcast access add NAME` makes one.", class_="note"),
        method="post",
        action="/sign-in",
        class_="stack",
    )
    return page("Sign in", form)
