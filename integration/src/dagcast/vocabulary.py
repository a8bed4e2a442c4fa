"""What the installed packages declare together: tables, quantities known ahead, first settings.

Each package speaks for itself, and integration knows no quantity of its own. Where two of them
contradict each other, both are named.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dagcast.plugins import Plugin, Plugins
from dagcast_core.contract import AssemblyError, Problem

if TYPE_CHECKING:
    from dagcast.config import Config
    from dagcast_core.data import LinearMetric, MetricSpec


def claims(plugins: Plugins) -> tuple[Problem, ...]:
    """Report what two packages claim, and metrics that are no measurement of a model's quantity."""
    return (*_claimed_twice(plugins), *_mismatched(plugins))


def known_ahead(plugins: Plugins) -> frozenset[str]:
    """Names of what can be known of hours to come: metrics of foreseeable tables, and calendars.

    Everything else that is observed has no future, however long it is in the store.
    """
    # Of two tables of one name both count: that they clash is one problem, and not also that one's
    # metrics are missing.
    tables = [table for plugin in plugins.plugins for table in plugin.tables]
    tables += plugins.declared
    names = {metric.name for table in tables if table.foreseeable for metric in table.metrics}
    derived = {metric.name for metric in plugins.metrics if set(metric.terms) <= names}
    return frozenset(names | derived | {calendar.quantity for calendar in plugins.calendars})


def decided(plugins: Plugins) -> frozenset[str]:
    """Names of the metrics that are decisions somebody took."""
    return frozenset(
        metric.name for table in plugins.tables if table.decided for metric in table.metrics
    )


def observed_in(plugins: Plugins, metric: str) -> str | None:
    """The event table that ``metric`` is read from, if a package declares one."""
    for table in plugins.tables:
        if any(item.name == metric for item in table.metrics):
            return table.name
    return None


def first_config(plugins: Plugins, **project: Any) -> "Config":
    """The settings of a new project: those that packages bring, and those of its own.

    Args:
        plugins: from ``load_plugins``.
        **project: tables that win over those of the packages, such as ``name``.

    Raises:
        AssemblyError: two packages contradict each other, or one brings settings that are none.
    """
    from dagcast.config import Config

    problems = first_setting_problems(plugins)
    if problems:
        raise AssemblyError(problems, len(plugins.plugins))
    merged, _ = _merged(plugins)
    return Config.model_validate({**merged, **project})


def first_setting_problems(plugins: Plugins) -> tuple[Problem, ...]:
    """Report first settings that contradict each other or that no project could have."""
    return contradicting_settings(plugins) or impossible_settings(plugins)


def contradicting_settings(plugins: Plugins) -> tuple[Problem, ...]:
    """Report first settings of two packages that contradict each other."""
    _, problems = _merged(plugins)
    return tuple(problems)


def impossible_settings(plugins: Plugins) -> tuple[Problem, ...]:
    """Report first settings that no project could have, where none contradicts another.

    Apart from the contradictions, because it loads pydantic, which contracts alone do not need.
    """
    merged, problems = _merged(plugins)
    if problems or not merged:
        return ()
    from pydantic import ValidationError

    from dagcast.config import Config

    try:
        Config.model_validate(merged)
    except ValidationError as error:
        return tuple(_refused(plugins, item) for item in error.errors())
    return ()


def _refused(plugins: Plugins, item: Mapping[str, Any]) -> Problem:
    key = tuple(part for part in item["loc"] if isinstance(part, str))
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    brought = [p for p in plugins.plugins if not key or key[0] in p.project]
    return Problem.of(
        "DC212",
        ".".join(key) or "all",
        consumer="project",
        producer=_labels(brought),
        expected="a setting that dagcast.toml may have"
        if item["type"] == "extra_forbidden"
        else message,
        found="an unknown key" if item["type"] == "extra_forbidden" else repr(item["input"]),
        fix="correct what dagcast_project returns, or disable the package",
    )


def _merged(plugins: Plugins) -> tuple[dict[str, Any], list[Problem]]:
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], Plugin] = {}
    problems: list[Problem] = []
    for plugin in plugins.plugins:
        _unite(merged, plugin.project, (), plugin, origin, problems)
    return merged, problems


def _unite(
    into: dict[str, Any],
    tables: Mapping[str, Any],
    path: tuple[str, ...],
    plugin: Plugin,
    origin: dict[tuple[str, ...], Plugin],
    problems: list[Problem],
) -> None:
    for key, value in tables.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and isinstance(into.get(key, {}), Mapping):
            _unite(into.setdefault(key, {}), value, here, plugin, origin, problems)
        elif key not in into:
            origin[here] = plugin
            into[key] = list(value) if isinstance(value, (list, tuple)) else value
        elif isinstance(value, (list, tuple)) and isinstance(into[key], list):
            into[key] += [item for item in value if item not in into[key]]
        elif into[key] != value:
            first = origin.get(here) or next(
                (owner for place, owner in origin.items() if place[: len(here)] == here), plugin
            )
            problems.append(
                Problem.of(
                    "DC212",
                    ".".join(here),
                    consumer="project",
                    producer=_labels((first, plugin)),
                    expected=f"one value, such as {into[key]!r}",
                    found=f"{value!r} too",
                    fix="let one of the two packages say it, or disable one",
                )
            )


def _claimed_twice(plugins: Plugins) -> list[Problem]:
    kinds = (
        ("table", [(p, table.name) for p in plugins.plugins for table in p.tables]),
        ("metric", [(p, m.name) for p in plugins.plugins for m in _metrics_of(p)]),
        ("calendar", [(p, c.quantity) for p in plugins.plugins for c in p.calendars]),
    )
    # Files and the columns of a store know no case: `Sessions.csv` is read as `sessions`.
    spelt = [name.casefold() for _, name in kinds[0][1]]
    shared = {name for _, name in kinds[0][1] if spelt.count(name.casefold()) > 1}
    # The metrics of a table that two packages claim are claimed twice with it.
    covered = {
        m.name for p in plugins.plugins for t in p.tables if t.name in shared for m in t.metrics
    }
    problems = []
    for kind, pairs in kinds:
        names = [name.casefold() for _, name in pairs]
        for name in dict.fromkeys(names):
            claimed = [given for _, given in pairs if given.casefold() == name]
            if len(claimed) == 1 or (kind == "metric" and covered.issuperset(claimed)):
                continue
            owners = [plugin for plugin, given in pairs if given.casefold() == name]
            problems.append(
                Problem.of(
                    "DC210",
                    f"{kind} {' and '.join(dict.fromkeys(claimed))}",
                    consumer="project",
                    producer=_labels(owners),
                    expected="one",
                    found=f"{names.count(name)}, of which only one could be read",
                    fix="rename one of them, or disable a package",
                )
            )
    return problems


def _metrics_of(plugin: Plugin) -> "list[MetricSpec | LinearMetric]":
    return [*(metric for table in plugin.tables for metric in table.metrics), *plugin.metrics]


def _mismatched(plugins: Plugins) -> list[Problem]:
    quantities: dict[str, list[tuple[str, Any]]] = {}
    for item in plugins.registrations:
        asked = (entry.quantity for entry in item.contract.inputs)
        for quantity in (*item.contract.outputs, *asked):
            quantities.setdefault(quantity.name, []).append((str(item), quantity))
    problems = []
    for plugin in plugins.plugins:
        for metric in _metrics_of(plugin):
            for field, found in (("unit", metric.unit), ("dims", metric.dims)):
                groups: dict[Any, list[str]] = {}
                for model, quantity in quantities.get(metric.name, ()):
                    said = quantity.unit if field == "unit" else quantity.dim_names
                    # A weighted sum without dims takes those of its terms.
                    if found and said != found:
                        groups.setdefault(said, []).append(model)
                problems += [
                    Problem.of(
                        "DC211",
                        metric.name,
                        consumer=", ".join(models),
                        producer=str(plugin),
                        expected=f"the {field} of the model, {_written(said)}",
                        found=_written(found),
                        fix=f"measure it with that {field}, or give the metric another name",
                    )
                    for said, models in groups.items()
                ]
    return problems


def _written(value: Any) -> str:
    return value if isinstance(value, str) else f"[{', '.join(value)}]"


def _labels(items: Iterable[Plugin]) -> str:
    return ", ".join(dict.fromkeys(map(str, items)))
