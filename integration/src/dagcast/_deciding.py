"""Tables of ``dagcast.toml`` that say who decides about plans, how far, and who is told."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dagcast._settings import no_flag

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Names = tuple[str, ...]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    _no_flag = field_validator("*", mode="before")(no_flag)


class Roles(_Settings):
    """Who is what; each role may do what those before it may.

    A ``viewer`` reads, an ``analyst`` comments, asks what-if and proposes edits, an ``approver``
    approves, rejects, sends back and stops, and an ``overruler`` may approve despite what stands
    against a plan, with a reason. Whom no role names may do what an approver may, as long as no
    ``approver`` is named, and nothing where one is; where no overruler is named, every approver may
    overrule. As soon as any role names somebody, nobody approves an edit of their own.
    """

    viewer: Names = ()
    analyst: Names = ()
    approver: Names = ()
    overruler: Names = ()


class Approval(_Settings):
    """How far an approval goes.

    One approver suffices for plans that spend up to ``alone_up_to`` over their horizon, in the
    currency of the levers and in each where they have several; above it two approve, two different
    ones. ``up_to`` names people who may not approve more than an amount at all. A proposal expires
    ``expires_hours`` after it was made.
    """

    alone_up_to: NonNegative | None = None
    up_to: dict[str, NonNegative] = {}
    expires_hours: Positive | None = None


class Week(_Settings):
    """What `dagcast week` takes for granted, and what it may decide without a person.

    Data whose last hour is more than ``max_age_hours`` old are stale, and so is a table that ends
    more than ``max_lag_hours`` before the others. Where more than ``max_set_aside`` of the new
    rows of a table could not be used, nothing is fitted on them.

    With ``approval = "auto"`` a plan that passes the gate of approval is approved without a person,
    as far as no lever's total moves by more than the share ``max_change`` from the current plan,
    every limit on an outcome is kept with a chance of ``least_chance`` at least, it is
    expected to gain at least ``least_gain`` of the objective over going on as before, and at least
    the share ``least_kept`` of past promises was kept. Where one of them does not hold, it waits.
    ``approve = true`` is how earlier versions said ``approval = "auto"``.
    """

    max_age_hours: Positive | None = None
    max_lag_hours: Positive = 48.0
    max_set_aside: Annotated[float, Field(ge=0, le=1)] = 0.2
    approval: Literal["person", "auto"] = "person"
    max_change: NonNegative | None = None
    least_chance: Annotated[float, Field(ge=0, le=1)] | None = None
    least_gain: Annotated[float, Field(allow_inf_nan=False)] | None = None
    least_kept: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and isinstance(given.get("approve"), bool):
            rest = {name: value for name, value in given.items() if name != "approve"}
            return {**rest, "approval": "auto" if given["approve"] else "person"}
        return given

    @model_validator(mode="after")
    def _declared(self) -> Self:
        if self.approve and self.max_change is None:
            raise ValueError("a table with max_change, within which plans are approved alone")
        return self

    @property
    def approve(self) -> bool:
        """Whether plans within the limits are approved without a person."""
        return self.approval == "auto"


class Webhook(_Settings):
    """An address that is told of proposals, approvals and releases.

    It gets JSON by POST, in the order of the log; what it does not take within ``timeout_seconds``
    is sent again with the next message. ``secret_env`` names the variable that holds the key by
    which messages are signed.
    """

    url: str = ""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    secret_env: str = ""

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("an address that begins with https:// or http://")
        return url

    @field_validator("secret_env")
    @classmethod
    def _variable(cls, name: str) -> str:
        if name.startswith("DAGCAST_"):
            raise ValueError(
                "a variable that does not begin with DAGCAST_, as those of settings do"
            )
        return name


class Serve(_Settings):
    """The desk in the browser.

    ``hosts`` are names by which browsers reach it besides those of loopback. Where a proxy signs
    people in, ``proxy_header`` is the header in which it says who somebody is; it counts only in
    requests that come from one of the addresses ``proxies``, all of them on loopback.
    """

    hosts: Names = ()
    proxy_header: str = ""
    proxies: Names = ()
    upload_megabytes: Annotated[float, Field(gt=0, le=200)] = 20.0
    session_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 12.0

    @field_validator("proxies")
    @classmethod
    def _near(cls, proxies: Names) -> Names:
        import ipaddress

        for address in proxies:
            try:
                near = ipaddress.ip_address(address).is_loopback
            except ValueError:
                near = False
            if not near:
                raise ValueError("addresses on loopback, such as 127.0.0.1")
        return proxies

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.proxy_header) != bool(self.proxies):
            raise ValueError("a table with both proxy_header and proxies, or neither")
        return self


def roles_as_before(given: Any) -> Any:
    """Settings with `approvers` and `overrulers` of [approval], as earlier versions had them."""
    if not isinstance(given, Mapping) or not isinstance(given.get("approval"), Mapping):
        return given
    approval, roles = dict(given["approval"]), given.get("roles", {})
    moved = {
        role: approval.pop(before)
        for role, before in (("approver", "approvers"), ("overruler", "overrulers"))
        if before in approval
    }
    if not moved or not isinstance(roles, Mapping):
        return given
    for role in moved:
        if roles.get(role):
            raise ValueError(f"{role}s in [roles] alone, not in [approval] as well")
    return {**given, "approval": approval, "roles": {**roles, **moved}}
