"""What every request passes and every answer carries, whatever it is about."""

from typing import final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Pages of the desk hold no script and no style of their own; a plan's page brings its own policy.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@final
class Guard:
    """Refuses hosts and origins that are not this desk's, and sends the headers of every page.

    A name of somebody else's that leads to this address, or a form on another site, ends here.

    Args:
        app: that is guarded.
        hosts: names by which browsers reach it, besides those of loopback.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = (*LOOPBACK, *hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*_HEADERS.items(), ("content-security-policy", POLICY)):
                    if name not in headers:
                        headers[name] = value
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await PlainTextResponse(*refused)(scope, receive, sent)
            return
        await self._app(scope, receive, sent)

    def _refused(self, scope: Scope) -> tuple[str, int] | None:
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        host = given[0] if len(given) == 1 else ""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name not in self._hosts:
            return f"This desk does not answer as {host!r}: hosts of [serve] names it.\n", 421
        if scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "A form on another site was sent here; nothing was done.\n", 403
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "A form on another site was sent here; nothing was done.\n", 403
        return None
