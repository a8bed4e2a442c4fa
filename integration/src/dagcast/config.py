"""Settings of a project, as ``dagcast.toml`` declares them.

A limit is either an amount (``limit``) or a multiple of what happened in recent weeks
(``of_recent``), so that a new project has sensible limits before anybody typed one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dagcast import _config_file
from dagcast._deciding import Approval, Roles, Serve, Webhook, Week, roles_as_before
from dagcast._settings import no_flag
from dagcast.errors import ConfigError
from dagcast.sources._settings import LabelSettings, SourceSettings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number, 0 or above."""
Count = Annotated[int, Field(ge=1)]
"""A whole number, 1 or above."""
Labels = tuple[str, ...]
"""Labels of a dim, or names of dims, in an order that matters."""

ENVIRONMENT_PREFIX = "DAGCAST_"
"""What a variable begins with that sets a setting, as ``DAGCAST_BACKTEST__ORIGINS`` does."""


# Variables that set no setting: where the project is, who works on it, what is checked, and what
# the suites of this repository are told.
_NO_SETTINGS = frozenset({"PROJECT", "USER", "CONFORMANCE", "REAL_DATA"})
_OF_TESTS = "TEST_"


def is_setting(variable: str) -> bool:
    """Whether an environment variable is read as a setting, rightly spelt or not."""
    rest = variable.removeprefix(ENVIRONMENT_PREFIX)
    own = rest in _NO_SETTINGS or rest.startswith(_OF_TESTS)
    return variable.startswith(ENVIRONMENT_PREFIX) and bool(rest) and not own


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    _no_flag = field_validator("*", mode="before")(no_flag)


def _utc_hour(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time with a zone, such as 2026-03-02T00:00:00Z")
    moment = moment.astimezone(UTC)
    if moment.minute or moment.second or moment.microsecond:
        raise ValueError("the start of an hour, such as 2026-03-02T00:00:00Z")
    return moment


class Data(_Settings):
    """What the project knows: a moment, and how much history before it.

    ``heartbeat`` is the table whose rows say how far history goes; by default the one with most.
    """

    as_of: datetime | None = None
    history_weeks: Annotated[int, Field(ge=3)] = 16
    heartbeat: str | None = None

    _hour = field_validator("as_of")(_utc_hour)


class Horizon(_Settings):
    """The hours to decide about."""

    start: datetime | None = None
    hours: Annotated[int, Field(ge=1, le=24 * 56)] = 168

    _hour = field_validator("start")(_utc_hour)

    def end(self, start: datetime) -> datetime:
        """First hour after the horizon."""
        return start + timedelta(hours=self.hours)


class Lever(_Settings):
    """Bounds of one cell of a lever, in the lever's unit.

    ``upper_of_recent`` multiplies the largest recent value; ``change`` allows every cell to differ
    by so large a share from the current plan, up and down. ``step`` is what the product can carry
    out: values of a released plan are multiples of it. ``unit``, where it is written, has to be the
    lever's.
    """

    lower: NonNegative = 0.0
    upper: Positive | None = None
    upper_of_recent: Positive | None = None
    change: Annotated[float, Field(gt=0, le=1)] | None = None
    step: Positive | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        given = [name for name in ("upper", "upper_of_recent", "change") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("a table with one of upper, upper_of_recent and change")
        if self.change is not None and self.lower:
            raise ValueError("a table with either lower or change, which bounds both sides")
        if self.upper is not None and self.lower > self.upper:
            raise ValueError(f"a range with lower <= upper, but {self.lower} > {self.upper}")
        return self


class Budget(_Settings):
    """A limit on the sum of a lever over the horizon, for each label of ``by``.

    ``levers`` names several of one unit that share one purse; where none is named, the only lever
    of the project is meant.

    ``groups`` puts labels of a dim in ``by`` together, as {region = {SFO = "bay", OAK = "bay"}};
    labels without a group are then left alone. ``unit``, where it is written, has to be what the
    limit counts: a lever in USD/h is limited in USD.
    """

    lever: str = ""
    levers: Labels = ()
    limit: NonNegative | None = None
    of_recent: Positive | None = None
    by: Labels = ()
    where: dict[str, Labels] = {}
    groups: dict[str, dict[str, str]] = {}
    unit: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _require_one(self, "limit", "of_recent")
        _require_grouped(self.groups, self.by)
        if self.levers and (self.lever or len(self.levers) < 2):
            raise ValueError("a table with either lever or levers, of which there are two or more")
        return self


class Guardrail(_Settings):
    """A limit on an outcome, for each label of ``by``.

    With ``chance`` it has to hold in that share of the parameter draws; ``cautious`` asks that even
    the mean of the other draws keeps it. ``unit``, where it is written, has to be what the limit
    counts: the outcome's own of a mean, and USD of a sum of USD/h.
    """

    quantity: str
    sense: Literal["<=", ">="] = "<="
    limit: float | None = None
    of_recent: Positive | None = None
    by: Labels = ()
    reduce: Literal["mean", "sum"] = "mean"
    weight: str | None = None
    chance: Annotated[float, Field(gt=0, lt=1)] | None = None
    cautious: bool = True
    groups: dict[str, dict[str, str]] = {}
    unit: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _require_one(self, "limit", "of_recent")
        _require_grouped(self.groups, self.by)
        return self


class RampLimit(_Settings):
    """Largest change of a lever from one hour to the one ``step`` hours later.

    Where none is named, the only lever of the project is meant. ``unit``, where it is written, has
    to be the lever's.
    """

    lever: str = ""
    step: Count = 24
    limit: Positive | None = None
    of_upper: Annotated[float, Field(gt=0, le=1)] | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _require_one(self, "limit", "of_upper")
        return self


class Objective(_Settings):
    """What a plan maximises: a weighted sum of quantities over the horizon."""

    weights: dict[str, float] = {}
    unit: str = ""

    @field_validator("weights")
    @classmethod
    def _any_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if weights and not any(weights.values()):
            raise ValueError("at least one quantity with a weight other than 0")
        return weights


class Risk(_Settings):
    """How a plan weighs draws of the parameters: not at all, by mean, tail mean or quantile."""

    measure: Literal["none", "mean", "cvar", "quantile"] = "none"
    tail: Annotated[float, Field(gt=0, le=1)] = 0.1


class Fallback(_Settings):
    """A rule for cells whose response is too uncertain to optimise.

    The response is the change of ``quantity``, of the objective where none is named, per unit of
    lever; cells whose interval over the draws is wider than ``width`` times its middle keep
    ``share`` of the current plan. Where no lever is named, the only one of the project is meant.
    """

    lever: str = ""
    quantity: str = ""
    width: Positive = 2.0
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    share: NonNegative = 1.0


class Evidence(_Settings):
    """How sure effects have to be.

    A trial counts as measured for ``fresh_weeks`` after it ended. With ``max_unmeasured_share`` at
    most that share of a plan's money may go where no fresh trial measured such a dose: cells of
    tested labels then keep to tested doses, and untested labels share the rest.
    """

    fresh_weeks: Positive = 52.0
    max_unmeasured_share: Annotated[float, Field(ge=0, lt=1)] | None = None


class Backtest(_Settings):
    """Rolling origins of the backtest, the last one a horizon before the data moment.

    Without ``quantities`` it judges what is observed among those that are shown first, the
    objective's and the limits'.
    """

    origins: Count = 4
    horizon_hours: Count = 168
    step_hours: Count = 168
    quantities: Labels = ()
    workers: Count = 2


class Uncertainty(_Settings):
    """Draws of the parameters, from which come the intervals."""

    draws: Annotated[int, Field(ge=2)] = 32
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    method: Literal["laplace", "bootstrap"] = "laplace"


class Solver(_Settings):
    """When the solver stops."""

    tolerance: Positive = 1e-5
    seconds: Positive = 60.0


class Display(_Settings):
    """What pages, terminal and retro show first, in order; the rest follows the models.

    ``clock`` is whose hours they show: each label's own, or UTC.
    """

    first: Labels = ()
    clock: Literal["local", "utc"] = "local"


class Seeds(_Settings):
    """Seeds of everything random; the same seeds give the same figures."""

    world: int = 0
    draws: int = 0
    plan: int = 0


class Config(_Settings):
    """All settings of a project; see the classes of its tables."""

    name: str = "project"
    data: Data = Data()
    horizon: Horizon = Horizon()
    disable: Labels = ()
    serving: dict[str, str] = {}
    recent_weeks: Count = 4
    recent_until: datetime | None = None
    levers: dict[str, Lever] = {}
    budgets: tuple[Budget, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    ramps: tuple[RampLimit, ...] = ()
    objective: Objective = Objective()
    risk: Risk = Risk()
    fallbacks: tuple[Fallback, ...] = ()
    evidence: Evidence = Evidence()
    roles: Roles = Roles()
    approval: Approval = Approval()
    week: Week = Week()
    serve: Serve = Serve()
    webhook: Webhook = Webhook()
    backtest: Backtest = Backtest()
    uncertainty: Uncertainty = Uncertainty()
    solver: Solver = Solver()
    display: Display = Display()
    seeds: Seeds = Seeds()
    sources: dict[str, SourceSettings] = {}
    labels: dict[str, LabelSettings] = {}
    models: dict[str, dict[str, bool | int | float | str]] = {}

    _hour = field_validator("recent_until")(_utc_hour)

    @model_validator(mode="before")
    @classmethod
    def _roles_as_before(cls, given: Any) -> Any:
        return roles_as_before(given)

    @model_validator(mode="after")
    def _named_levers(self) -> Self:
        for table in ("budgets", "ramps", "fallbacks"):
            entries = tuple(self._naming(table, entry) for entry in getattr(self, table))
            # A frozen model is complete only once this validator has returned.
            self.__dict__[table] = entries
        return self

    def _naming(self, table: str, entry: Any) -> Any:
        if entry.lever or getattr(entry, "levers", ()):
            return entry
        if len(self.levers) != 1:
            raise ValueError(
                f"a lever in every [[{table}]], out of {', '.join(self.levers) or 'none so far'}"
            )
        return entry.model_copy(update={"lever": next(iter(self.levers))})

    @property
    def weighs_draws(self) -> bool:
        """Whether plans need draws of the parameters."""
        chances = any(rail.chance is not None for rail in self.guardrails)
        return self.risk.measure != "none" or bool(self.fallbacks) or chances


def _require_one(settings: BaseModel, first: str, second: str) -> None:
    if (getattr(settings, first) is None) == (getattr(settings, second) is None):
        raise ValueError(f"a table with either {first} or {second}")


def _require_grouped(groups: Mapping[str, object], by: Labels) -> None:
    for dim in groups:
        if dim not in by:
            raise ValueError(f"groups of a dim in by, such as by = [{dim!r}]")


def load_config(
    path: Path,
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Read ``dagcast.toml`` under the precedence flag, environment, file, default.

    Files ``sources/NAME.toml`` beside it hold what ``[sources.NAME]`` may.

    Args:
        path: the file.
        flags: dotted key to text, as ``--set backtest.origins=8`` gives them.
        environment: variables; ``DAGCAST_BACKTEST__ORIGINS=8`` sets ``backtest.origins``, and
            ``DAGCAST_NAME=north`` the ``name`` at the top. One that sets no setting is refused.

    Raises:
        ConfigError: an unknown key or a bad value; lists every problem with its place.
    """
    tables, text = _config_file.parse(path)
    tables = _with_source_files(path, tables)
    sources: dict[str, str] = {}
    for name, value in sorted((environment or {}).items()):
        if is_setting(name):
            dotted = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            sources[dotted] = f"environment variable {name}"
            tables = _config_file.merge(
                tables, dotted, _config_file.literal(value), sources[dotted]
            )
    for dotted, value in (flags or {}).items():
        sources[dotted] = f"--set {dotted}"
        tables = _config_file.merge(tables, dotted, _config_file.literal(value), sources[dotted])
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        raise _config_file.explain(error, Config, path=path, text=text, sources=sources) from None


def _with_source_files(path: Path, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables, and those of the files beside them, each of which is checked where it stands."""
    declared = tables.get("sources", {})
    if not isinstance(declared, Mapping):
        return dict(tables)
    found = dict(declared)
    for file in sorted((path.parent / "sources").glob("*.toml")):
        content, text = _config_file.parse(file)
        if file.stem in found:
            raise ConfigError(
                f"one declaration of the source {file.stem!r}",
                f"[sources.{file.stem}] in {path.name} and sources/{file.name}",
                "Remove one of them.",
            )
        try:
            SourceSettings.model_validate(content)
        except ValidationError as error:
            raise _config_file.explain(
                error, SourceSettings, path=file, text=text, sources={}
            ) from None
        found[file.stem] = content
    return {**tables, "sources": found} if found else dict(tables)


def config_text(config: Config) -> str:
    """The settings as a ``dagcast.toml`` with comments; reading it back gives ``config``."""
    tables = config.model_dump(exclude_none=True, exclude={"sources", "labels", "models"})
    own = config.model_dump(exclude_defaults=True, include={"sources", "labels", "models"})
    lines = [
        "# Settings of a dagcast project. `dagcast check` reads and verifies them.",
        "# A flag (--set backtest.origins=8) or a variable (DAGCAST_BACKTEST__ORIGINS=8)",
        "# wins over this file.",
        f"name = {_toml(tables['name'])}",
        "# Entry points to leave out.",
        f"disable = {_toml(tables['disable'])}",
        "# What `of_recent` multiplies: the mean of so many weeks before the first plan that was",
        "# carried out, or before `recent_until`: what one plan does moves no limit of the next.",
        f"recent_weeks = {tables['recent_weeks']}",
    ]
    if config.recent_until is not None:
        lines.append(f"recent_until = {_toml(config.recent_until)}")
    for name, comment in _COMMENTS.items():
        lines += ["", f"# {comment}"]
        value = tables[name]
        if not value and name in _EXAMPLES:
            lines += [f"# {line}" for line in _EXAMPLES[name]]
        elif isinstance(value, tuple | list):
            for entry in value:
                lines += [f"[[{name}]]", *_assignments(entry)]
        elif name == "levers":
            for lever, entry in value.items():
                lines += [f"[levers.{lever}]", *_assignments(entry)]
        else:
            lines += [f"[{name}]", *_assignments(value)]
            if name == "objective" and not config.objective.weights:
                lines.append('# weights = { QUANTITY = 1.0 }, which a plan needs, in unit = "..."')
    for kind in ("sources", "labels", "models"):
        for name, entry in own.get(kind, {}).items():
            lines += ["", f"[{kind}.{name}]", *_assignments(entry)]
    return "\n".join(lines) + "\n"


# What stands in a file in place of a table that no package and nobody has filled in yet.
_EXAMPLES = {
    "levers": (
        "None is declared, so nothing can be planned; name a quantity that models read:",
        "[levers.QUANTITY]",
        "upper_of_recent = 2.0",
    ),
    "budgets": ("[[budgets]]", 'lever = "LEVER"', "of_recent = 1.0"),
    "guardrails": ("[[guardrails]]", 'quantity = "QUANTITY"', 'sense = "<="', "of_recent = 1.1"),
}

_COMMENTS = {
    "data": "What is known: rows that arrived by `as_of`; leave it out for everything ingested.",
    "horizon": "The hours to decide about; without `start`, the week after the data.",
    "serving": 'quantity = "distribution": which installed model serves it, if several could.',
    "levers": "Bounds of one cell of a lever, in its unit.",
    "budgets": "Limits on what may be spent over the horizon, for each label of `by`.",
    "guardrails": "Limits on outcomes, for each label of `by`.",
    "ramps": "Largest change of a lever between an hour and the one `step` hours later.",
    "objective": "What a plan maximises: a weighted sum over the horizon.",
    "risk": "How draws of the parameters are weighed: none, mean, cvar (worst `tail`) or quantile.",
    "fallbacks": "Cells with too uncertain a response get a `share` of the current plan.",
    "evidence": "For how many weeks a trial counts; `max_unmeasured_share` of the money at most.",
    "roles": "viewer, analyst, approver and overruler, by name; no approver means everybody.",
    "approval": "One approver up to `alone_up_to`, two above; `up_to` = { NAME = AMOUNT }.",
    "week": "What `dagcast week` takes for stale data, and may approve without a person.",
    "serve": "The desk in the browser: who may sign people in for it.",
    "webhook": "`url` is told of proposals, approvals and releases.",
    "backtest": "Rolling origins; each is fitted only on what was known by then.",
    "uncertainty": "Draws of the parameters, and the level of the intervals.",
    "solver": "When the solver stops.",
    "display": "What pages, terminal and retro show `first`, in order; `clock`: local or utc.",
    "seeds": "The same seeds give the same figures.",
}


def _assignments(table: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in table.items()]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        # A JSON string is a TOML basic string but for DEL, which no name holds.
        import json

        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_toml(str(name))} = {_toml(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
