"""The installed packages as one causal DAG: checked without torch, then built with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagcast.hyperparameters import Chosen, tuned
from dagcast.plugins import Plugin, Plugins
from dagcast.vocabulary import claims, contradicting_settings, known_ahead, observed_in
from dagcast_core.contract import (
    Assembly,
    AssemblyError,
    Contract,
    Experiment,
    Problem,
    Quantity,
    Registration,
    assemble,
)

if TYPE_CHECKING:
    from dagcast.standing import Aside
    from dagcast_core.model import Model, ModelCollection


def check_assembly(
    plugins: Plugins,
    *,
    externals: Iterable[Quantity | str] | None = (),
    required: Iterable[str] | Mapping[str, str] = (),
    weights: Iterable[str] = (),
    levers: Iterable[str] = (),
    serving: Mapping[str, str] | None = None,
    experiments: Iterable[Experiment] = (),
    aside: "Iterable[Aside]" = (),
    others: Iterable[Registration] = (),
    ahead: Iterable[str] | None = (),
) -> Assembly:
    """Join all installed contracts and report everything that is wrong, without torch.

    Exogenous is what models read, nobody makes, no lever decides, and packages say is known ahead:
    a metric of a foreseeable table, or a calendar. An input that is neither, as an outcome whose
    team is missing, is a problem: what would stand in for it loses its effect in silence.

    Args:
        plugins: from ``load_plugins``.
        externals: quantities that the project provides beside those; ``None`` accepts whatever no
            model makes.
        required: quantities that it asks for: objective and guardrails; as a mapping, with the unit
            in which it counts each.
        weights: quantities that a guardrail's mean is weighted by; no lever need move them.
        levers: quantities that it decides.
        serving: which distribution or model serves a quantity, where several could.
        experiments: the project's own, beside those of the packages.
        aside: models that stand aside; what the project asks of them, and experiments that speak of
            them, stand aside with them.
        others: contracts of packages that are not installed here, joined with those that are.
        ahead: what those say is known ahead; ``None`` where nobody said, which is as much as
            ``externals=None``.

    Returns:
        The assembly. Its problems begin with those of the plugins; a quantity that is missing
        because a plugin failed is no second problem.
    """
    levers = tuple(levers)
    left = tuple(aside)
    out = {item.model for item in left}
    taking_part = [*(item for item in plugins.registrations if item.model not in out), *others]
    if ahead is None:
        externals = None
    elif externals is not None:
        made = {name for item in taking_part for name in item.contract.output_names}
        known = sorted((known_ahead(plugins) | set(ahead)) - made - set(levers))
        externals = (*externals, *levers, *known)
    lost = lost_quantities(plugins, left)
    measured = (*plugins.experiments, *experiments)
    if left:
        read = {entry.quantity.name for item in taking_part for entry in item.contract.inputs}
        levers = tuple(name for name in levers if name in read)
        required = {name: unit for name, unit in _units(required).items() if name not in lost}
        weights = tuple(name for name in weights if name not in lost)
        measured = tuple(item for item in measured if speaks_of(item, taking_part))
    assembly = assemble(
        taking_part,
        externals=externals,
        required=required,
        weights=weights,
        levers=levers,
        serving=serving,
        experiments=measured,
    )
    broken = [p for p in plugins.problems if p.code != "DC207"]
    # Any of these may only mean that the failed package is not there.
    consequences = {"DC102", "DC114", "DC115", "DC117", "DC118"} if broken else set()
    # A lever that lost its effect has lost the paths of its experiments too.
    pathless = {p.name for p in assembly.problems if p.code == "DC118"}
    rest = [
        _without_future(p, plugins)
        for p in assembly.problems
        if p.code not in consequences and not (p.code == "DC115" and p.name in pathless)
    ]
    return Assembly(
        registrations=assembly.registrations,
        inactive=assembly.inactive,
        edges=assembly.edges,
        externals=assembly.externals,
        problems=(*plugins.problems, *claims(plugins), *contradicting_settings(plugins), *rest),
    )


def lost_quantities(plugins: Plugins, aside: "Iterable[Aside]") -> frozenset[str]:
    """Quantities that no model makes any more where some stand aside."""
    out = {item.model for item in aside}
    causeless = {plugin.name for plugin in plugins.plugins if plugin.build is not None}
    made = {
        name
        for item in plugins.registrations
        # What is usual has no cause: nothing that is decided moves it.
        if item.model not in out and item.entry_point not in causeless
        for name in item.contract.output_names
    }
    return frozenset(name for item in aside for name in item.makes if name not in made)


def speaks_of(experiment: Experiment, taking_part: Iterable[Registration]) -> bool:
    """Whether a model that takes part reads an experiment's levers, and one makes its outcome."""
    contracts = [item.contract for item in taking_part]
    read = {entry.quantity.name for contract in contracts for entry in contract.inputs}
    made = {name for contract in contracts for name in contract.output_names}
    return experiment.outcome in made and set(experiment.levers) <= read | made


def _units(required: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    return dict(required) if isinstance(required, Mapping) else dict.fromkeys(required, "")


def _without_future(problem: Problem, plugins: Plugins) -> Problem:
    """Say of a missing quantity that is observed why its observations do not help."""
    table = observed_in(plugins, problem.name) if problem.code == "DC102" else None
    if table is None:
        return problem
    return replace(
        problem,
        found=f"observations in table {table!r} alone, which end where the forecast begins",
        fix=f"install or enable a package that forecasts {problem.name!r}; a stand-in would lose "
        "its effect in silence",
    )


def build_models(
    plugins: Plugins,
    assembly: Assembly,
    labels: Mapping[str, Sequence[Any]],
    hyperparameters: Chosen | None = None,
) -> "list[Model]":
    """Build the models that take part in ``assembly``, in its order.

    Args:
        plugins: that the assembly was made from.
        assembly: without problems.
        labels: by dim, e.g. ``{"region": (...), "vehicle": (...)}``.
        hyperparameters: that differ from the packages' own, by model or entry point.

    Raises:
        ConfigError: a hyperparameter is none, or out of its range.
        AssemblyError: the assembly has problems, a package cannot build its models, or a model
            does not carry the contract that its package declared.
    """
    assembly.raise_problems()
    frozen = {dim: tuple(values) for dim, values in labels.items()}
    active = set(assembly.order)
    taking_part = {item.entry_point for item in assembly.registrations}
    found: dict[str, list[Model]] = {}
    problems: list[Problem] = []
    for plugin in plugins.plugins:
        if plugin.name not in taking_part:
            continue
        found[plugin.name] = _built(plugins, plugin, frozen)
        problems += _differences(str(plugin), plugin.contracts, found[plugin.name])
    if problems:
        raise AssemblyError(problems, len(assembly.registrations))
    found = tuned(found, hyperparameters or {})
    built = [
        part
        for models in found.values()
        for model in models
        for part in _active_parts(model, active)
    ]
    places = {name: place for place, name in enumerate(assembly.order)}
    return sorted(built, key=lambda model: min(places[name] for name in _leaves(model)))


def _built(plugins: Plugins, plugin: Plugin, labels: Mapping[str, Sequence[Any]]) -> "list[Model]":
    if plugin.build is not None:
        return plugin.build(labels)
    others = [other.module for other in plugins.plugins if other is not plugin]
    caller = plugins.manager.subset_hook_caller("dagcast_models", others)
    try:
        return [model for result in caller(labels=labels) for model in result]
    except Exception as error:
        problem = Problem.of(
            "DC205",
            "dagcast_models",
            producer=str(plugin),
            expected=f"models for {', '.join(f'{len(v)} {d} labels' for d, v in labels.items())}",
            found=f"{type(error).__name__}: {error}",
            fix=f"correct {plugin.distribution}, or disable {plugin.name!r}",
        )
        raise AssemblyError([problem], len(plugins.plugins)) from error


def _leaves(model: "Model") -> "dict[str, Model]":
    from dagcast_core.model import ModelCollection

    # A package may hand over a collection; what it declared are the contracts of the parts.
    if isinstance(model, ModelCollection):
        return dict(model.leaves)
    return {model.contract.model: model}


def _active_parts(model: "Model", active: set[str]) -> "list[Model]":
    leaves = _leaves(model)
    if all(name in active for name in leaves):
        return [model]
    return [leaf for name, leaf in leaves.items() if name in active]


def build_collection(
    plugins: Plugins,
    labels: Mapping[str, Sequence[Any]],
    serving: Mapping[str, str] | None = None,
    *,
    name: str = "project",
    hyperparameters: Chosen | None = None,
    **project: Any,
) -> "ModelCollection":
    """Check the installed packages and build their models as one collection.

    Args:
        plugins: from ``load_plugins``.
        labels: labels to make parameters for, by dim.
        serving: which distribution or model serves a quantity, where several could.
        name: of the collection.
        hyperparameters: that differ from the packages' own, by model or entry point.
        **project: further arguments of ``check_assembly``.

    Raises:
        AssemblyError: the packages do not fit; carries every problem.
    """
    assembly = check_assembly(plugins, serving=serving, **project)
    models = build_models(plugins, assembly, labels, hyperparameters)
    from dagcast_core.model import ModelCollection

    return ModelCollection(models, name=name)


def _differences(
    origin: str, contracts: Sequence[Contract], models: "Sequence[Model]"
) -> list[Problem]:
    declared = {contract.model: contract for contract in contracts}
    carried = {name: leaf.contract for model in models for name, leaf in _leaves(model).items()}
    problems = []
    for name in dict.fromkeys((*declared, *carried)):
        if declared.get(name) == carried.get(name):
            continue
        if name not in carried:
            found = f"models only for {', '.join(carried) or 'none'}"
        elif name not in declared:
            found = f"contracts only for {', '.join(declared) or 'none'}"
        else:
            found = "a model that carries another contract than the one declared"
        problems.append(
            Problem.of(
                "DC206",
                "dagcast_models",
                producer=origin,
                expected=f"the model {name!r} with the contract of dagcast_contracts",
                found=found,
                fix="build one model per declared contract and give it that same object",
            )
        )
    return problems
