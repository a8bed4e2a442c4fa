"""Where experiments that compare labels side by side see more than a plan for all of them gets."""

from __future__ import annotations

from collections.abc import Iterator

from dagcast_core.model._collection import as_collection
from dagcast_core.model._model import Model
from dagcast_core.model._parameter import LabelledParameter

__all__ = ["interference"]

# Relative; less is not worth a sentence.
_NOTABLE = 0.15


def interference(model: Model) -> tuple[str, ...]:
    """Say which effects are held to be smaller for all labels than a side-by-side trial shows.

    Args:
        model: fitted, a model or a collection.

    Returns:
        A sentence per parameter that differs by a seventh or so from its value side by side; see
        ``Model.parameter``.
    """
    return tuple(
        f"{name} holds {parameter.label!r} to be {value:.2f}, and {alone:g} where trials compare "
        "labels side by side: these count as made what treated labels take from others, so a "
        f"plan for all is promised {value / alone:.0%} of what they show"
        for name, parameter, value, alone in _apart(model)
    )


def _apart(model: Model) -> Iterator[tuple[str, LabelledParameter, float, float]]:
    for name, leaf in as_collection(model).leaves.items():
        for module in leaf.modules():
            if not isinstance(module, LabelledParameter) or module.side_by_side is None:
                continue
            value = float(module.value().tensor.detach().mean())
            if abs(value / module.side_by_side - 1.0) >= _NOTABLE:
                yield name, module, value, module.side_by_side
