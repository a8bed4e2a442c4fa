"""A model made again with other hyperparameters."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from dagcast_core.model._errors import ModelError
from dagcast_core.model._model import Model


class HyperparameterError(ModelError):
    """A hyperparameter is none of the model's, of another type, or out of its range.

    Attributes:
        name: of the hyperparameter.
        expected: what it may be.
        found: what it was to be.
    """

    def __init__(self, model: str, name: str, expected: str, found: str) -> None:
        self.name, self.expected, self.found = name, expected, found
        super().__init__(
            f"cannot set {name!r} of {model!r}: expected {expected}; found {found}. Correct it."
        )


def hyperparameters_of(model: Model) -> dict[str, Any]:
    """Hyperparameters of a model by name; none where it has no dataclass of them."""
    chosen: Any = getattr(model, "hyperparameters", None)
    if not dataclasses.is_dataclass(chosen) or isinstance(chosen, type):
        return {}
    return {item.name: getattr(chosen, item.name) for item in dataclasses.fields(chosen)}


def remade(model: Model, values: Mapping[str, Any]) -> Model:
    """Make a model again, unfitted, with some hyperparameters changed.

    Args:
        model: whose class takes an argument ``hyperparameters``; it is left as it is.
        values: by name, each within the range that its field declares.

    Returns:
        A new model with the labels and other arguments that ``model`` was made with.

    Raises:
        HyperparameterError: a value is not one that the model takes.
    """
    name = model.contract.model
    held = hyperparameters_of(model)
    arguments = inspect.signature(type(model).__init__).parameters
    for key, value in values.items():
        if key not in held or "hyperparameters" not in arguments:
            near = get_close_matches(key, held, n=1)
            hint = f", such as {near[0]!r}" if near else ""
            expected = f"one of {', '.join(held) or 'none, since it has no hyperparameters'}{hint}"
            raise HyperparameterError(name, key, expected, repr(key))
        _check(model, key, value)
    chosen: Any = model.hyperparameters
    new = dataclasses.replace(
        chosen, **{key: type(held[key])(value) for key, value in values.items()}
    )
    args, kwargs = model.__dict__["_made_with"]
    bound = inspect.signature(type(model)).bind(*args, **kwargs)
    bound.arguments["hyperparameters"] = new
    return type(model)(*bound.args, **bound.kwargs)


def _check(model: Model, key: str, value: Any) -> None:
    chosen: Any = model.hyperparameters
    field = next(item for item in dataclasses.fields(chosen) if item.name == key)
    default = getattr(chosen, key)
    kind, words = type(default), {float: "a number", int: "a whole number", bool: "true or false"}
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (kind is not bool and isinstance(value, bool)):
        expected = words.get(kind, kind.__name__)
        raise HyperparameterError(model.contract.model, key, expected, repr(value))
    allowed = field.metadata.get("range")
    if allowed is not None and not allowed[0] <= value <= allowed[1]:
        unit = field.metadata.get("unit", "1")
        expected = f"{allowed[0]:g} to {allowed[1]:g}{'' if unit == '1' else f' {unit}'}"
        raise HyperparameterError(model.contract.model, key, expected, f"{value:g}")
