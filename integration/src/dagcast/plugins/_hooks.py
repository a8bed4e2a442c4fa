"""Whether a plugin's hooks are those of the specification, and what they return."""

from collections.abc import Mapping, Sequence
from typing import Any

import pluggy

import dagcast_core.hooks as hooks
from dagcast.plugins._broken import described
from dagcast.plugins._claims import Claim
from dagcast_core.contract import Contract, Problem, nearest


def unknown_hooks(claim: Claim, trial: pluggy.PluginManager) -> list[Problem]:
    """Hooks that no specification has, and that nobody would call."""
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


def undecorated(claim: Claim, module: Any, trial: pluggy.PluginManager) -> list[Problem]:
    """Functions with the name of a hook that lack its decorator."""
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


def results(
    claim: Claim, trial: pluggy.PluginManager, hook: str, *kinds: type
) -> tuple[list[Any], list[Problem]]:
    """What a hook returned as a list of ``kinds``, and what is wrong with it."""
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


def settings(claim: Claim, trial: pluggy.PluginManager) -> tuple[Mapping[str, Any], list[Problem]]:
    """First settings of a project, and what is wrong with them."""
    hook, expected = "dagcast_project", "a mapping of settings"
    if not trial.hook.dagcast_project.get_hookimpls():
        return {}, []
    settings, problems = _called(claim, trial, hook, expected)
    if problems or isinstance(settings, Mapping):
        return settings or {}, problems
    fix = "return the tables of dagcast.toml as a dict, or {} for none"
    return {}, [_wrong_result(claim, hook, expected, type(settings).__name__, fix)]


def incomplete(
    claim: Claim, trial: pluggy.PluginManager, contracts: Sequence[Contract]
) -> list[Problem]:
    """Hooks that have to come together and do not."""
    builds = bool(trial.hook.dagcast_models.get_hookimpls())
    declares = bool(trial.hook.dagcast_contracts.get_hookimpls())
    if not any(getattr(trial.hook, name).get_hookimpls() for name in _hook_names()):
        missing, found = "dagcast_contracts", "a module that implements no hook"
    elif builds and not declares:
        missing, found = "dagcast_contracts", "models without contracts, which cannot be checked"
    elif not contracts and _builds_some(trial):
        return [
            Problem.of(
                "DC208",
                "dagcast_contracts",
                producer=str(claim),
                expected="one Contract per model that dagcast_models builds",
                found="an empty list beside a dagcast_models that builds some, so that nothing "
                "of them is checked",
                fix="return their contracts, or let dagcast_models return [] as well",
            )
        ]
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


def _builds_some(trial: pluggy.PluginManager) -> bool:
    """Whether a hook that makes models does more than hand back an empty list.

    Calling it would import torch; what it names is in its code.
    """
    codes = [
        getattr(impl.function, "__code__", None)
        for impl in trial.hook.dagcast_models.get_hookimpls()
    ]
    return any(code is None or bool(code.co_names or code.co_freevars) for code in codes)


def _called(
    claim: Claim, trial: pluggy.PluginManager, hook: str, expected: str
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
                found=described(error),
                fix=f"correct {claim.distribution}, or disable {claim.name!r}",
            )
        ]
    # pluggy leaves out None, which is what a forgotten return gives.
    return (returned[0] if returned else None), []


def _wrong_result(claim: Claim, hook: str, expected: str, found: str, fix: str) -> Problem:
    return Problem.of("DC206", hook, producer=str(claim), expected=expected, found=found, fix=fix)


def _hook_names() -> tuple[str, ...]:
    return tuple(name for name in vars(hooks) if name.startswith("dagcast_"))
