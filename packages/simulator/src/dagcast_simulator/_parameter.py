"""One parameter of a scenario: its default with unit, meaning, source and range, and its check."""

import dataclasses
from typing import Any

ASSUMED = "assumed"


class ScenarioError(ValueError):
    """A scenario names an unknown parameter or gives a value out of range."""


def parameter(
    default: Any,
    unit: str,
    meaning: str,
    source: str = ASSUMED,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a scenario.

    Args:
        default: also says the type.
        unit: "" for none, "1" for a pure number.
        meaning: one sentence.
        source: where form or magnitude come from.
        low: smallest value allowed.
        high: largest value allowed.
        choices: the only values allowed, where they are words.
    """
    metadata = {
        "unit": unit,
        "meaning": meaning,
        "source": source,
        "low": low,
        "high": high,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_value(field: "dataclasses.Field[Any]", value: Any) -> None:
    """Refuse a value of the wrong type or out of range.

    Raises:
        ScenarioError: says what is allowed.
    """
    # The defaults carry the types: bool before int, because True is an int in Python.
    kind = type(field.default)
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ScenarioError(
            f"scenario parameter {field.name!r} takes {kind.__name__}; "
            f"got {value!r} ({type(value).__name__})."
        )
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ScenarioError(
            f"scenario parameter {field.name!r} must be one of {', '.join(choices)}; got {value!r}."
        )
    low, high = field.metadata["low"], field.metadata["high"]
    outside = (low is not None and not value >= low) or (high is not None and not value <= high)
    if outside:
        raise ScenarioError(
            f"scenario parameter {field.name!r} must lie in [{low}, {high}] "
            f"{field.metadata['unit']}; got {value!r}."
        )
