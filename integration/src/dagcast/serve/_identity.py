"""Who sits in front of the browser: a token's session, a bearer's token, or a proxy's word.

A session is a cookie that this process signed: who, by which token, until when, and a number by
which its forms are told from anybody else's. It ends with the process, with its time, and with its
token. A header of a proxy counts only in requests that come from one of the declared addresses.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import final

from starlette.requests import Request

from dagcast.access import find, tokens
from dagcast.project import Project

COOKIE = "dagcast_session"
_OWN = "own"
_FORM = "form"


@final
@dataclass(frozen=True)
class Person:
    """Somebody who is signed in.

    Attributes:
        who: their name.
        form: what their forms carry; None where requests carry a token of their own, which no other
            site can send along.
    """

    who: str
    form: str | None


@final
class Identities:
    """Signs people in, and knows them again.

    Args:
        owner: who started this process, signed in by the token that it prints.
    """

    def __init__(self, owner: str) -> None:
        self._key = secrets.token_bytes(32)
        self.owner = owner
        self.token = secrets.token_urlsafe(32)

    def sign_in(self, project: Project, given: str, now: datetime | None = None) -> str | None:
        """The cookie of whoever shows a token; None where nobody has it."""
        found = self._holder(project, given)
        if found is None:
            return None
        who, key = found
        until = (now or datetime.now(UTC)).timestamp() + 3600 * project.config.serve.session_hours
        body = f"{key}.{int(until)}.{secrets.token_hex(16)}.{who.encode().hex()}"
        return f"{body}.{self._signed('session', body)}"

    def person(self, project: Project, request: Request) -> Person | None:
        """Whoever sends a request; None where nobody is signed in."""
        if (who := _by_proxy(project, request)) is not None:
            return Person(who, self._signed(_FORM, who))
        given = request.headers.get("authorization", "")
        if given[:7].lower() == "bearer ":
            found = self._holder(project, given[7:].strip())
            return None if found is None else Person(found[0], None)
        return self._by_cookie(project, request.cookies.get(COOKIE, ""))

    def is_form_of(self, person: Person, given: str) -> bool:
        """Whether a form was made for somebody's own session."""
        return person.form is None or hmac.compare_digest(person.form, given)

    def _by_cookie(self, project: Project, cookie: str) -> Person | None:
        body, _, signed = cookie.rpartition(".")
        if not body or not hmac.compare_digest(self._signed("session", body), signed):
            return None
        key, until, nonce, name = body.split(".")
        if datetime.now(UTC).timestamp() >= int(until):
            return None
        who = bytes.fromhex(name).decode()
        if key != _OWN:
            now = datetime.now(UTC)
            if not any(t.key == key and t.who == who and not t.ended(now) for t in tokens(project)):
                return None
        return Person(who, self._signed(_FORM, f"{nonce}.{who}"))

    def _holder(self, project: Project, given: str) -> tuple[str, str] | None:
        if hmac.compare_digest(given.encode(errors="backslashreplace"), self.token.encode()):
            return self.owner, _OWN
        found = find(project, given)
        return None if found is None else (found.who, found.key)

    def _signed(self, use: str, text: str) -> str:
        return hmac.new(self._key, f"{use}:{text}".encode(), hashlib.sha256).hexdigest()


def _by_proxy(project: Project, request: Request) -> str | None:
    """Whom a declared proxy names; what others say in its header is nothing."""
    serve = project.config.serve
    peer = None if request.client is None else request.client.host
    if not serve.proxy_header or peer not in serve.proxies:
        return None
    given = request.headers.getlist(serve.proxy_header)
    # Two of them are a proxy that lets through what a browser sent.
    if len(given) != 1 or not given[0].strip() or not given[0].isprintable():
        return None
    return given[0].strip()[:200]
