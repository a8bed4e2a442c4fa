"""The installed packages as one causal DAG: checked without torch, then built with it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagcast.plugins import Plugin, Plugins
from dagcast_core.contract import (
    Aggregation,
    Assembly,
    AssemblyError,
    Contract,
    Experiment,
    Problem,
    Quantity,
    assemble,
)
from dagcast_core.dims import HOUR, INCENTIVE, REGION

if TYPE_CHECKING:
    from dagcast_core.model import Model, ModelCollection

_SUM: dict[str, Aggregation] = {"region": "sum", "hour": "sum"}

# What the world and the operator provide; everything else has to come from a package. Observed
# outcomes are not among them, though the store holds them: the future's are to be forecast.
MARKETPLACE_EXTERNALS: tuple[Quantity, ...] = (
    Quantity(
        "hour_of_week",
        dims=(REGION, HOUR),
        unit="1",
        dtype="int64",
        bounds=(0, 167),
        description="local hour of the week, Monday 00:00 is 0",
    ),
    Quantity(
        "holiday",
        dims=(REGION, HOUR),
        unit="1",
        bounds=(0, 1),
        description="1 on a public holiday of the region",
    ),
    Quantity(
        "local_event",
        dims=(REGION, HOUR),
        unit="10000 people",
        bounds=(0, None),
        description="expected attendance of local events near this hour",
    ),
    Quantity("temperature", dims=(REGION, HOUR), unit="degC", description="air temperature"),
    Quantity(
        "precipitation",
        dims=(REGION, HOUR),
        unit="mm/h",
        bounds=(0, None),
        description="rain or melted snow",
    ),
    Quantity(
        "incentive_spend",
        dims=(INCENTIVE, REGION, HOUR),
        unit="USD/h",
        aggregation={"incentive": "sum", **_SUM},
        bounds=(0, None),
        description="driver bonuses paid for the hour, by type",
    ),
    Quantity(
        "coupon_spend",
        dims=(REGION, HOUR),
        unit="USD/h",
        aggregation=_SUM,
        bounds=(0, None),
        description="rider coupons redeemable in the hour",
    ),
    Quantity(
        "base_fare",
        dims=(REGION, HOUR),
        unit="USD/ride",
        bounds=(0, None),
        description="mean fare of a ride before prime time",
    ),
)
MARKETPLACE_LEVERS = ("incentive_spend",)
MARKETPLACE_REQUIRED = ("profit", "rides", "eta", "prime_time")


def check_assembly(
    plugins: Plugins,
    *,
    externals: Iterable[Quantity | str] | None = MARKETPLACE_EXTERNALS,
    required: Iterable[str] = MARKETPLACE_REQUIRED,
    levers: Iterable[str] = MARKETPLACE_LEVERS,
    serving: Mapping[str, str] | None = None,
    experiments: Iterable[Experiment] = (),
) -> Assembly:
    """Join all installed contracts and report everything that is wrong, without torch.

    Args:
        plugins: from ``load_plugins``.
        externals: exogenous quantities and levers that the project provides.
        required: quantities that it asks for: objective and guardrails.
        levers: quantities that it decides.
        serving: which distribution or model serves a quantity, where several could.
        experiments: the project's own, beside those of the packages.

    Returns:
        The assembly. Its problems begin with those of the plugins; a quantity that is missing
        because a plugin failed is no second problem.
    """
    assembly = assemble(
        plugins.registrations,
        externals=externals,
        required=required,
        levers=levers,
        serving=serving,
        experiments=(*plugins.experiments, *experiments),
    )
    broken = [p for p in plugins.problems if p.code != "DC207"]
    # Any of these may only mean that the failed package is not there.
    consequences = {"DC102", "DC114", "DC115", "DC117", "DC118"} if broken else set()
    # A lever that lost its effect has lost the paths of its experiments too.
    lost = {p.name for p in assembly.problems if p.code == "DC118"}
    rest = [
        p
        for p in assembly.problems
        if p.code not in consequences and not (p.code == "DC115" and p.name in lost)
    ]
    return Assembly(
        registrations=assembly.registrations,
        inactive=assembly.inactive,
        edges=assembly.edges,
        externals=assembly.externals,
        problems=(*plugins.problems, *rest),
    )


def build_models(
    plugins: Plugins, assembly: Assembly, labels: Mapping[str, Sequence[Any]]
) -> "list[Model]":
    """Build the models that take part in ``assembly``, in its order.

    Args:
        plugins: that the assembly was made from.
        assembly: without problems.
        labels: by dim, e.g. ``{"region": (...), "incentive": (...)}``.

    Raises:
        AssemblyError: the assembly has problems, a package cannot build its models, or a model
            does not carry the contract that its package declared.
    """
    assembly.raise_problems()
    frozen = {dim: tuple(values) for dim, values in labels.items()}
    active = set(assembly.order)
    taking_part = {item.entry_point for item in assembly.registrations}
    built: list[Model] = []
    problems: list[Problem] = []
    for plugin in plugins.plugins:
        if plugin.name not in taking_part:
            continue
        models = _built(plugins, plugin, frozen)
        problems += _differences(str(plugin), plugin.contracts, models)
        built += [part for model in models for part in _active_parts(model, active)]
    if problems:
        raise AssemblyError(problems, len(assembly.registrations))
    places = {name: place for place, name in enumerate(assembly.order)}
    return sorted(built, key=lambda model: min(places[name] for name in _leaves(model)))


def _built(plugins: Plugins, plugin: Plugin, labels: Mapping[str, Sequence[Any]]) -> "list[Model]":
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
    name: str = "marketplace",
    **project: Any,
) -> "ModelCollection":
    """Check the installed packages and build their models as one collection.

    Args:
        plugins: from ``load_plugins``.
        labels: labels to make parameters for, by dim.
        serving: which distribution or model serves a quantity, where several could.
        name: of the collection.
        **project: further arguments of ``check_assembly``.

    Raises:
        AssemblyError: the packages do not fit; carries every problem.
    """
    assembly = check_assembly(plugins, serving=serving, **project)
    models = build_models(plugins, assembly, labels)
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
