"""Loading what installed packages register, without letting one broken package hide the others.

Every entry point of the group ``dagcast.models`` is imported, its hooks are checked against the
specifications in ``dagcast_core.hooks`` in a manager of its own, and only what passed is
registered with the manager that is returned. Nothing here imports torch or pandas.
"""

import importlib.metadata
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

# Not `from dagcast_core import hooks`: that looks through the layers first, and torch with them.
import dagcast_core.hooks as hooks
from dagcast_core.contract import (
    Calendar,
    Contract,
    Experiment,
    LabelSet,
    Problem,
    Registration,
    nearest,
)

if TYPE_CHECKING:
    from dagcast_core.data import EventTable, LinearMetric


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of one installed distribution.

    Attributes:
        name: of the entry point.
        distribution: that declares it.
        version: of the distribution.
        module: what was registered.
        package: import name of the package that it lies in.
        contracts: what ``dagcast_contracts`` returned.
        experiments: what ``dagcast_experiments`` returned.
        tables: event tables that ``dagcast_tables`` returned,
        metrics: and the weighted sums of metrics among them.
        calendars: what ``dagcast_calendars`` returned.
        project: first settings, as ``dagcast_project`` returned them.
    """

    name: str
    distribution: str
    version: str
    module: Any
    contracts: tuple[Contract, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    package: str = ""
    tables: "tuple[EventTable, ...]" = ()
    metrics: "tuple[LinearMetric, ...]" = ()
    calendars: tuple[Calendar, ...] = ()
    project: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Plugins:
    """What is installed, and what is wrong with it.

    Attributes:
        manager: pluggy manager holding the plugins that passed.
        plugins: those that passed, by distribution and name.
        problems: of those that did not, one per root cause.
        disabled: entry points left out on request.
        declared: tables that the project itself declares; they win over the packages'.
    """

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]
    problems: tuple[Problem, ...]
    disabled: tuple[str, ...] = ()
    declared: "tuple[EventTable, ...]" = ()

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Every contract with its origin."""
        return tuple(
            Registration(contract, plugin.distribution, plugin.version, plugin.name)
            for plugin in self.plugins
            for contract in plugin.contracts
        )

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """Every measured effect that packages bring along."""
        return tuple(item for plugin in self.plugins for item in plugin.experiments)

    @property
    def tables(self) -> "tuple[EventTable, ...]":
        """Every table that the project and packages declare; of two of one name, the first."""
        found: dict[str, EventTable] = {table.name: table for table in self.declared}
        for plugin in self.plugins:
            for table in plugin.tables:
                found.setdefault(table.name, table)
        return tuple(found.values())

    @property
    def metrics(self) -> "tuple[LinearMetric, ...]":
        """Every weighted sum of metrics that packages declare; of two of one name, the first."""
        found: dict[str, LinearMetric] = {}
        for plugin in self.plugins:
            for metric in plugin.metrics:
                found.setdefault(metric.name, metric)
        return tuple(found.values())

    @property
    def calendars(self) -> tuple[Calendar, ...]:
        """Every quantity that follows from a label's clock; of two of one name, the first."""
        found: dict[str, Calendar] = {}
        for plugin in self.plugins:
            for calendar in plugin.calendars:
                found.setdefault(calendar.quantity, calendar)
        return tuple(found.values())

    def labels(self, events: Path) -> dict[str, LabelSet]:
        """What the packages read of labels in a folder of event files, by dim.

        Raises:
            DataError: a file beside the events is wrong, or two packages speak of one dim.
        """
        found: dict[str, LabelSet] = {}
        for sets in self.manager.hook.dagcast_labels(events=events):
            for item in sets:
                if found.setdefault(item.dim, item) != item:
                    from dagcast_core.data import DataError

                    raise DataError(
                        f"cannot read the labels of {item.dim!r} in {events}: expected one "
                        f"package that speaks of them; found two that differ. Disable one."
                    )
        return found

    def of(self, distribution: str) -> tuple[Plugin, ...]:
        """Return the plugins of one distribution."""
        wanted = _normalised(distribution)
        return tuple(p for p in self.plugins if _normalised(p.distribution) == wanted)


@dataclass(frozen=True, slots=True)
class _Claim:
    """An entry point before it is imported."""

    name: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"

    def matches(self, name: str) -> bool:
        return name == self.name or _normalised(name) == _normalised(self.distribution)


def load_plugins(disable: Iterable[str] = (), *, path: Sequence[str] | None = None) -> Plugins:
    """Import and check every installed plugin.

    Args:
        disable: names of entry points or distributions to leave out, before anything of them is
            imported.
        path: folders to look for distributions in; default ``sys.path``.

    Returns:
        The plugins that passed and the problems of those that did not. Call
        ``check_assembly`` on it for what is wrong between them.
    """
    claims = _claims(path)
    problems = []
    disabled = tuple(dict.fromkeys(disable))
    for name in disabled:
        if not any(claim.matches(name) for claim in claims):
            problems.append(_unknown_disabled(name, claims))
    claims = [c for c in claims if not any(c.matches(name) for name in disabled)]
    sole, clashes = _sole(claims)
    problems += clashes
    manager = _manager()
    plugins = []
    for claim in sole:
        plugin, found = _load(claim)
        problems += found
        if plugin is not None and manager.is_registered(plugin.module):
            problems.append(_registered_twice(plugin, manager))
        elif plugin is not None:
            manager.register(plugin.module, name=plugin.name)
            plugins.append(plugin)
    return Plugins(manager, tuple(plugins), tuple(problems), disabled)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _claims(path: Sequence[str] | None) -> list[_Claim]:
    found = (
        importlib.metadata.distributions()
        if path is None
        else importlib.metadata.distributions(path=list(path))
    )
    claims = []
    seen: set[str] = set()
    for distribution in found:
        points = distribution.entry_points.select(group=hooks.ENTRY_POINT_GROUP)
        if not points:
            continue
        name = distribution.metadata["Name"]
        # The first on the path shadows the rest, as it does for imports.
        if _normalised(name) in seen:
            continue
        seen.add(_normalised(name))
        claims += [_Claim(p.name, name, distribution.version, p) for p in points]
    return sorted(claims, key=lambda claim: (claim.distribution, claim.name))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _unknown_disabled(name: str, claims: Sequence[_Claim]) -> Problem:
    known = dict.fromkeys([c.name for c in claims] + [c.distribution for c in claims])
    near = nearest(name, known)
    return Problem.of(
        "DC207",
        name,
        consumer="project",
        expected="the name of an installed entry point or distribution",
        found=f"neither; installed are {', '.join(c.name for c in claims) or 'none'}",
        fix=f"write {near!r}" if near else "leave it out of the disabled plugins",
    )


def _sole(claims: Sequence[_Claim]) -> tuple[list[_Claim], list[Problem]]:
    by_name: dict[str, list[_Claim]] = {}
    for claim in claims:
        by_name.setdefault(claim.name, []).append(claim)
    problems = []
    for name, same in by_name.items():
        if len(same) > 1:
            others = ", ".join(dict.fromkeys(claim.distribution for claim in same))
            problems.append(
                Problem.of(
                    "DC204",
                    name,
                    producer=", ".join(f"{c.distribution} {c.version}" for c in same),
                    expected="one entry point of this name",
                    found=f"{len(same)}; pluggy would skip all but the first in silence",
                    fix=f"rename one in its pyproject.toml, or disable one of {others}",
                )
            )
    return [same[0] for same in by_name.values() if len(same) == 1], problems


def _load(claim: _Claim) -> tuple[Plugin | None, list[Problem]]:
    try:
        module = claim.entry_point.load()
    # A package can fail in any way while it is imported, and the others are still to be checked.
    except (Exception, SystemExit) as error:
        return None, [_failed_import(claim, error)]
    trial = _manager()
    problems = []
    try:
        trial.register(module, name=claim.name)
    except pluggy.PluginValidationError as error:
        return None, [_bad_signature(claim, error)]
    except (ValueError, TypeError, AttributeError) as error:
        return None, [_failed_import(claim, error)]
    problems += _unknown_hooks(claim, trial)
    problems += _undecorated(claim, module, trial)
    contracts, found = _results(claim, trial, "dagcast_contracts", Contract)
    stale = _other_api(claim, contracts)
    if stale:
        # Hooks of another API are bound to look unknown: that is not a second problem.
        return None, [stale]
    problems += found
    experiments, found = _results(claim, trial, "dagcast_experiments", Experiment)
    problems += found
    # Neither of them imports pandas.
    from dagcast_core.data import EventTable, LinearMetric

    declared, found = _results(claim, trial, "dagcast_tables", EventTable, LinearMetric)
    problems += found
    calendars, found = _results(claim, trial, "dagcast_calendars", Calendar)
    problems += found
    project, found = _project(claim, trial)
    problems += found
    if not problems:
        problems += _incomplete(claim, trial, contracts)
    if problems:
        return None, problems
    return Plugin(
        claim.name,
        claim.distribution,
        claim.version,
        module,
        tuple(contracts),
        tuple(experiments),
        claim.entry_point.module.partition(".")[0],
        tuple(item for item in declared if isinstance(item, EventTable)),
        tuple(item for item in declared if isinstance(item, LinearMetric)),
        tuple(calendars),
        project,
    ), []


def _registered_twice(plugin: Plugin, manager: pluggy.PluginManager) -> Problem:
    return Problem.of(
        "DC204",
        plugin.name,
        producer=f"{plugin.distribution} {plugin.version}",
        expected="a module of its own",
        found=f"the module that the entry point {manager.get_name(plugin.module)!r} names too",
        fix="remove one of the two from the pyproject.toml",
    )


def _failed_import(claim: _Claim, error: BaseException) -> Problem:
    fix = f"correct {claim.distribution}, install what it imports, or disable {claim.name!r}"
    own = claim.entry_point.module.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == own:
        fix = (
            f"write that module, or correct the entry point {claim.name!r} in the pyproject.toml "
            f"of {claim.distribution} and install it again"
        )
    elif isinstance(error, ModuleNotFoundError) and error.name:
        fix = (
            f"declare and install the distribution that provides {error.name!r}, "
            f"or disable {claim.name!r}"
        )
    return Problem.of(
        "DC201",
        claim.entry_point.value,
        producer=str(claim),
        expected="a module that imports without torch and without errors",
        found=_described(error),
        fix=fix,
    )


def _described(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    # The line to correct is the package's own: not one of the import machinery or of core, which
    # only says why.
    own = [f for f in frames if not re.match(r"<|.*/(dagcast_core|pluggy|dagcast)/", f.filename)]
    place = f" at {own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {error}{place}"


def _bad_signature(claim: _Claim, error: pluggy.PluginValidationError) -> Problem:
    text = " ".join(str(error).split())
    hook = re.search(r"hook '(\w+)'", text)
    name = hook.group(1) if hook else claim.name
    spec = getattr(hooks, name, None)
    arguments = ""
    if spec is not None:
        arguments = ", ".join(spec.__code__.co_varnames[: spec.__code__.co_argcount])
    return Problem.of(
        "DC202",
        name,
        producer=str(claim),
        expected=f"{name}({arguments})",
        found=text,
        fix="take no arguments but these; leave out those you do not need",
    )


def _unknown_hooks(claim: _Claim, trial: pluggy.PluginManager) -> list[Problem]:
    problems = []
    for caller in trial.get_hookcallers(trial.get_plugin(claim.name)) or ():
        if caller.has_spec() or all(impl.optionalhook for impl in caller.get_hookimpls()):
            continue
        near = nearest(caller.name, _hook_names())
        problems.append(
            Problem.of(
                "DC202",
                caller.name,
                producer=str(claim),
                expected=f"one of {', '.join(_hook_names())}",
                found="a hook of no such name, which would never be called",
                fix=f"rename it to {near!r}" if near else "remove it, or upgrade dagcast-core",
            )
        )
    return problems


def _undecorated(claim: _Claim, module: Any, trial: pluggy.PluginManager) -> list[Problem]:
    registered = {c.name for c in trial.get_hookcallers(trial.get_plugin(claim.name)) or ()}
    forgotten = [n for n in _hook_names() if callable(getattr(module, n, None))]
    return [
        Problem.of(
            "DC202",
            name,
            producer=str(claim),
            expected="the decorator @hookimpl of dagcast_core.hooks",
            found="a function without it, which would never be called",
            fix="decorate it",
        )
        for name in forgotten
        if name not in registered
    ]


def _hook_names() -> tuple[str, ...]:
    return tuple(name for name in vars(hooks) if name.startswith("dagcast_"))


def _called(
    claim: _Claim, trial: pluggy.PluginManager, hook: str, expected: str
) -> tuple[Any, list[Problem]]:
    try:
        returned = getattr(trial.hook, hook)()
    except (Exception, SystemExit) as error:
        return None, [
            Problem.of(
                "DC205",
                hook,
                producer=str(claim),
                expected=expected,
                found=_described(error),
                fix=f"correct {claim.distribution}, or disable {claim.name!r}",
            )
        ]
    # pluggy leaves out None, which is what a forgotten return gives.
    return (returned[0] if returned else None), []


def _results(
    claim: _Claim, trial: pluggy.PluginManager, hook: str, *kinds: type
) -> tuple[list[Any], list[Problem]]:
    if not getattr(trial.hook, hook).get_hookimpls():
        return [], []
    names = " or ".join(kind.__name__ for kind in kinds)
    items, problems = _called(claim, trial, hook, f"a list of {names}")
    if problems:
        return [], problems
    if isinstance(items, (list, tuple)):
        wrong = [item for item in items if not isinstance(item, kinds)]
        if not wrong:
            return list(items), []
        found = f"an item of type {type(wrong[0]).__name__}"
    else:
        found = type(items).__name__
    fix = f"return [{kinds[0].__name__}(...), ...], or [] for none"
    return [], [_wrong_result(claim, hook, f"a list of {names}", found, fix)]


def _project(claim: _Claim, trial: pluggy.PluginManager) -> tuple[Mapping[str, Any], list[Problem]]:
    hook, expected = "dagcast_project", "a mapping of settings"
    if not trial.hook.dagcast_project.get_hookimpls():
        return {}, []
    settings, problems = _called(claim, trial, hook, expected)
    if problems or isinstance(settings, Mapping):
        return settings or {}, problems
    fix = "return the tables of dagcast.toml as a dict, or {} for none"
    return {}, [_wrong_result(claim, hook, expected, type(settings).__name__, fix)]


def _wrong_result(claim: _Claim, hook: str, expected: str, found: str, fix: str) -> Problem:
    return Problem.of("DC206", hook, producer=str(claim), expected=expected, found=found, fix=fix)


def _other_api(claim: _Claim, contracts: Sequence[Contract]) -> Problem | None:
    for contract in contracts:
        if not speaks(contract.plugin_api, hooks.PLUGIN_API):
            newer = _api(contract.plugin_api) > _api(hooks.PLUGIN_API)
            return Problem.of(
                "DC203",
                contract.model,
                producer=str(claim),
                expected=f"plugin API {hooks.PLUGIN_API}",
                found=f"plugin API {contract.plugin_api}",
                fix="upgrade dagcast-core"
                if newer
                else f"upgrade {claim.distribution} to a release for this API",
            )
    return None


def speaks(asked: str, offered: str) -> bool:
    """Tell whether a package written for API ``asked`` runs where ``offered`` is.

    The major numbers must agree; a minor number adds hooks, so an older one is served.

    Args:
        asked: ``MAJOR`` or ``MAJOR.MINOR`` of the package.
        offered: the same of ``dagcast_core.hooks``.
    """
    (major, minor), (ours, most) = _api(asked), _api(offered)
    return major == ours and minor <= most


def _api(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def _incomplete(
    claim: _Claim, trial: pluggy.PluginManager, contracts: Sequence[Contract]
) -> list[Problem]:
    builds = bool(trial.hook.dagcast_models.get_hookimpls())
    declares = bool(trial.hook.dagcast_contracts.get_hookimpls())
    if not any(getattr(trial.hook, name).get_hookimpls() for name in _hook_names()):
        missing, found = "dagcast_contracts", "a module that implements no hook"
    elif builds and not declares:
        missing, found = "dagcast_contracts", "models without contracts, which cannot be checked"
    elif contracts and not builds:
        missing, found = "dagcast_models", "contracts without models, which cannot be kept"
    else:
        return []
    return [
        Problem.of(
            "DC208",
            missing,
            producer=str(claim),
            expected=f"an implementation of {missing}",
            found=found,
            fix=f"add it to {claim.entry_point.value}, decorated with @hookimpl",
        )
    ]
