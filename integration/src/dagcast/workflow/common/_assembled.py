"""The installed packages joined under the settings of a project."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from dagcast._held import held
from dagcast.config import Config
from dagcast.errors import UsageError
from dagcast.project import Project
from dagcast.workflow.common._sources import with_sources

if TYPE_CHECKING:
    from dagcast.exported import Exported
    from dagcast.plugins import Plugins
    from dagcast.standing import Aside
    from dagcast_core.contract import Assembly, Experiment, ExperimentSet


EXPERIMENTS = "experiments.json"


@final
@dataclass(frozen=True)
class Assembled:
    """What fits together of what is installed.

    Attributes:
        assembly: of the models that take part.
        plugins: the installed packages, and the project's own tables.
        aside: models that lack something in the store.
    """

    assembly: "Assembly"
    plugins: "Plugins"
    aside: "tuple[Aside, ...]"


def assembled(
    config: Config | None,
    measured: "Iterable[Experiment]",
    *,
    disable: tuple[str, ...] = (),
    serving: Mapping[str, str] | None = None,
    plugins: "Plugins | None" = None,
    exported: "Exported | None" = None,
    project: Project | None = None,
) -> "Assembled":
    """The assembly that a project's settings ask for, with the plugins it came from.

    Without settings those of a new project ask, as far as the packages agree on them.

    Args:
        config: settings of the project, if there is one.
        measured: experiments of its events.
        disable: entry points to leave out besides those of the settings.
        serving: choices that win over the settings.
        plugins: the installed packages, where they are loaded already.
        exported: contracts of packages that are not installed here, and what is asked of them.
        project: whose store says which models have what they need; without one, or before anything
            was ingested, all take part.

    Raises:
        ConfigError: a source is declared wrongly.
    """
    from dagcast.assembly import check_assembly
    from dagcast.plugins import load_plugins
    from dagcast.units import unit_problems
    from dagcast.vocabulary import first_config, first_setting_problems, impossible_settings

    if plugins is None:
        plugins = load_plugins(disable=left_out(config, disable))
    if config is None:
        config = Config() if first_setting_problems(plugins) else first_config(plugins)
    plugins = with_sources(config, plugins, None if project is None else project.folder)
    aside, plugins = ((), plugins) if project is None else _standing(project, plugins)
    asked = demands(config)
    if exported is not None:
        asked = {
            # Where the settings ask for the same, theirs is the unit.
            "required": {**exported.required, **asked["required"]},
            "weights": tuple(dict.fromkeys((*exported.weights, *asked["weights"]))),
            "levers": tuple(dict.fromkeys((*exported.levers, *asked["levers"]))),
            "others": exported.not_installed(),
            "ahead": exported.known_ahead,
        }
    assembly = check_assembly(
        plugins,
        experiments=measured,
        serving={**config.serving, **(serving or {})},
        aside=aside,
        **asked,
    )
    miscounted = unit_problems(config, assembly.registrations)
    impossible = impossible_settings(plugins)
    assembly = replace(assembly, problems=(*assembly.problems, *impossible, *miscounted))
    return Assembled(assembly, plugins, aside)


def left_out(config: Config | None, disable: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Entry points and distributions that are not loaded: those of the settings, and others."""
    return (*(config.disable if config else ()), *disable)


def _standing(project: Project, plugins: "Plugins") -> "tuple[tuple[Aside, ...], Plugins]":
    """Who stands aside, and the packages with what is usual in their place."""
    if not any(project.store.glob("[!.]*")):
        # Nothing was ingested, and pandas and the store need not be loaded to say so.
        return (), plugins
    from dagcast.standing import standing_aside
    from dagcast.usual import with_usual
    from dagcast.workflow.common._horizon import held_by
    from dagcast_core.data import MetricStore, StoreError

    store = MetricStore(project.store)
    try:
        if not store.metrics():
            return (), plugins
    except StoreError:
        # That the store is damaged is said by whoever reads it.
        return (), plugins
    held, levers = held_by(project, plugins, store), project.config.levers
    aside = standing_aside(plugins, held, levers)
    return aside, with_usual(plugins, held, aside, levers)


def demands(config: Config) -> dict[str, Any]:
    """What a project decides and asks of its models, as ``check_assembly`` takes it."""
    # One quantity alone counts as it is, in the objective's unit; beside others a weight of 1 may
    # say what it is worth.
    names = tuple(config.objective.weights)
    alone = len(names) == 1 and config.objective.weights[names[0]] == 1
    counted = dict.fromkeys(names, config.objective.unit if alone else "")
    rails = {rail.quantity: "" for rail in config.guardrails}
    weights = dict.fromkeys(rail.weight for rail in config.guardrails if rail.weight)
    return {
        "required": {**rails, **counted},
        "weights": tuple(weights),
        "levers": tuple(config.levers),
    }


def experiments(project: Project) -> "ExperimentSet":
    """Experiments that came with the events, read from every ``experiments.json``.

    An experiment that a later file names again replaces the earlier one.

    Raises:
        UsageError: a file is not a list or a set of experiments.
    """
    from dagcast_core.contract import ContractError, Experiment, ExperimentSet, parsed_json

    found: dict[str, Experiment] = {}
    covariances: dict[str, Any] = {}
    for path in sorted(project.events.glob(f"**/{EXPERIMENTS}")):
        try:
            content = parsed_json(held(path))
            if isinstance(content, list):
                members = tuple(Experiment.from_json(item) for item in content)
            else:
                read = ExperimentSet.from_json(content)
                members = tuple(read)
                covariances.update(read.covariances)
        except (
            OSError,
            ValueError,
            RecursionError,
            TypeError,
            KeyError,
            AttributeError,
            ContractError,
        ) as error:
            raise UsageError(
                f"a list of experiments in {path}", f"{error}", "Correct the file."
            ) from error
        found.update({experiment.name: experiment for experiment in members})
    return ExperimentSet(tuple(found.values()), covariances)
