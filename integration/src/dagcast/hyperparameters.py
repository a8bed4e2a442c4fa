"""Hyperparameters that a project sets for installed models, as ``[models.NAME]`` has them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagcast.errors import ConfigError
from dagcast_core.contract import nearest

if TYPE_CHECKING:
    from dagcast_core.model import Model

Chosen = Mapping[str, Mapping[str, Any]]
"""Values by hyperparameter, by model or entry point: what ``[models.NAME]`` holds."""


def tuned(built: "Mapping[str, list[Model]]", chosen: Chosen) -> "dict[str, list[Model]]":
    """The models with the hyperparameters that a project sets.

    Args:
        built: by entry point, as packages build them; a package may build a collection.
        chosen: by name of an entry point or of a model; a value under an entry point goes to its
            one model that has a hyperparameter of that name.

    Returns:
        The models by entry point, those that change made again.

    Raises:
        ConfigError: no such model or hyperparameter, or a value is out of its declared range.
    """
    result = {name: list(models) for name, models in built.items()}
    for name, values in chosen.items():
        for key, value in values.items():
            _set(result, name, key, value)
    return result


def _set(models: "dict[str, list[Model]]", name: str, key: str, value: Any) -> None:
    from dagcast_core.model import HyperparameterError, hyperparameters_of, remade

    leaves = {
        leaf: (entry, model)
        for entry, group in models.items()
        for member in group
        for leaf, model in _leaves(member).items()
        if name in (entry, leaf)
    }
    if not leaves:
        known = sorted({*models, *(leaf for group in models.values() for m in group
                                   for leaf in _leaves(m))})  # fmt: skip
        near = nearest(name, known)
        raise ConfigError(
            f"[models.NAME] of dagcast.toml to name a package or a model ({', '.join(known)})",
            repr(name),
            f"Did you mean {near!r}?" if near else "Correct the name.",
        )
    having = [leaf for leaf, (_, model) in leaves.items() if key in hyperparameters_of(model)]
    if len(having) != 1:
        every = {k for _, model in leaves.values() for k in hyperparameters_of(model)}
        near = nearest(key, every)
        fix = f"Did you mean {near!r}?" if near else "Correct the name."
        if having:
            fix = f"Say [models.{having[0]}] or [models.{having[1]}]."
        raise ConfigError(
            f"[models.{name}] to set a hyperparameter of one model ({', '.join(sorted(every))})",
            f"{key!r} of {', '.join(having) or 'none'}",
            fix,
        )
    (leaf,) = having
    entry, model = leaves[leaf]
    try:
        made = remade(model, {key: value})
    except HyperparameterError as error:
        raise ConfigError(
            f"{key} in [models.{name}] of dagcast.toml to be {error.expected}",
            error.found,
            "Correct the value.",
        ) from error
    models[entry] = [_replaced(member, leaf, made) for member in models[entry]]


def _leaves(model: "Model") -> "dict[str, Model]":
    from dagcast_core.model import ModelCollection

    if isinstance(model, ModelCollection):
        return dict(model.leaves)
    return {model.contract.model: model}


def _replaced(member: "Model", leaf: str, made: "Model") -> "Model":
    from dagcast_core.model import ModelCollection

    if isinstance(member, ModelCollection):
        return member.replace(leaf, made) if leaf in member.leaves else member
    return made if member.contract.model == leaf else member
