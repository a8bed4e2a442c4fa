"""Loading what installed packages register, without letting one broken package hide the others.

Every entry point of the group ``dagcast.models`` is imported, its hooks are checked against the
specifications in ``dagcast_core.hooks`` in a manager of its own, and only what passed is
registered with the manager that is returned. Nothing here imports torch or pandas.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING

import pluggy

import dagcast_core.hooks as hooks
from dagcast.plugins._api import other_api
from dagcast.plugins._broken import bad_signature, failed_import
from dagcast.plugins._claims import Claim, claims_in, unknown_disabled, without_clashes
from dagcast.plugins._hooks import incomplete, results, settings, undecorated, unknown_hooks
from dagcast.plugins._installed import Plugin, Plugins
from dagcast_core.contract import Calendar, Contract, Experiment, Problem

if TYPE_CHECKING:
    from pluggy import HookimplOpts


def load_plugins(
    disable: Iterable[str] = (),
    *,
    path: Sequence[str] | None = None,
    around: Callable[[Claim], AbstractContextManager[object]] = nullcontext,
) -> Plugins:
    """Import and check every installed plugin.

    Args:
        disable: names of entry points or distributions to leave out, before anything of them is
            imported.
        path: folders to look for distributions in; default ``sys.path``.
        around: is entered with each entry point while it is loaded.

    Returns:
        The plugins that passed and the problems of those that did not. Call
        ``check_assembly`` on it for what is wrong between them.
    """
    claims = claims_in(path)
    problems = []
    disabled = tuple(dict.fromkeys(disable))
    for name in disabled:
        if not any(claim.matches(name) for claim in claims):
            problems.append(unknown_disabled(name, claims))
    claims = [c for c in claims if not any(c.matches(name) for name in disabled)]
    sole, clashes = without_clashes(claims)
    problems += clashes
    manager, trial = _manager(), _manager()
    plugins = []
    for claim in sole:
        plugin: Plugin | None = None
        found: list[Problem] = []
        with around(claim), _uncollected():
            plugin, found = _loaded(claim, trial)
        problems += found
        if plugin is not None and manager.is_registered(plugin.module):
            problems.append(_registered_twice(plugin, manager))
        elif plugin is not None:
            manager.register(plugin.module, name=plugin.name)
            plugins.append(plugin)
    return Plugins(manager, tuple(plugins), tuple(problems), disabled)


@contextmanager
def _uncollected() -> Iterator[None]:
    """What packages declare stays; going through it for garbage takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _loaded(claim: Claim, trial: pluggy.PluginManager) -> tuple[Plugin | None, list[Problem]]:
    try:
        return _load(claim, trial)
    # What a hook returned may fail in any way where it is looked at.
    except Exception as error:
        return None, [failed_import(claim, error)]
    finally:
        # One manager tries all, one after another: reading the specifications takes longer.
        if trial.has_plugin(claim.name):
            trial.unregister(name=claim.name)


def _load(claim: Claim, trial: pluggy.PluginManager) -> tuple[Plugin | None, list[Problem]]:
    try:
        with hooks.nothing_heavy():
            module = claim.entry_point.load()
    # A package can fail in any way while it is imported, and the others are still to be checked.
    except (Exception, SystemExit) as error:
        return None, [failed_import(claim, error)]
    problems = []
    try:
        trial.register(module, name=claim.name)
    except pluggy.PluginValidationError as error:
        return None, [bad_signature(claim, error)]
    except (ValueError, TypeError, AttributeError) as error:
        return None, [failed_import(claim, error)]
    problems += unknown_hooks(claim, trial)
    problems += undecorated(claim, module, trial)
    contracts, found = results(claim, trial, "dagcast_contracts", Contract)
    stale = other_api(claim, contracts)
    if stale:
        # Hooks of another API are bound to look unknown: that is not a second problem.
        return None, [stale]
    problems += found
    experiments, found = results(claim, trial, "dagcast_experiments", Experiment)
    problems += found
    # Neither of them imports pandas.
    from dagcast_core.data import EventTable, LinearMetric

    declared, found = results(claim, trial, "dagcast_tables", EventTable, LinearMetric)
    problems += found
    calendars, found = results(claim, trial, "dagcast_calendars", Calendar)
    problems += found
    project, found = settings(claim, trial)
    problems += found
    if not problems:
        problems += incomplete(claim, trial, contracts)
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


class _Manager(pluggy.PluginManager):
    """Looks for hooks only among what may be one: a module holds much else, which costs time."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> "HookimplOpts | None":
        if isinstance(plugin, ModuleType):
            found = vars(plugin).get(name)
            if not isinstance(found, FunctionType | MethodType | staticmethod | classmethod):
                return None
            if isinstance(found, FunctionType) and not hasattr(found, f"{hooks.PROJECT}_impl"):
                return None
        return super().parse_hookimpl_opts(plugin, name)


def _manager() -> pluggy.PluginManager:
    manager = _Manager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager
