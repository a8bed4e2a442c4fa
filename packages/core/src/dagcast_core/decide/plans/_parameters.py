"""Parameters of a model by the names that people use, and scaled in their own unit."""

from __future__ import annotations

from torch import Tensor

from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.model import LabelledParameter, Model

__all__ = ["plain_name", "scaled_parameter"]


def scaled_parameter(problem: DecisionProblem, key: str, factor: Tensor) -> dict[str, Tensor]:
    """A parameter's values, in its own unit, times a factor; (draws, ...) with draws."""
    own = dict(problem.model.named_parameters())
    raw = own[key].detach()
    if problem.draws is not None:
        count = len(problem.draws)
        raw = problem.draws.states.get(key, raw.expand(count, *raw.shape))
    labelled = _labelled(problem.model, key)
    if labelled is None:
        return {key: raw * factor}
    value = labelled.transform.forward(raw)
    return {key: labelled.transform.inverse(value * factor)}


def _labelled(model: Model, key: str) -> LabelledParameter | None:
    parent = key.rpartition(".")[0]
    found = dict(model.named_modules()).get(parent)
    return found if isinstance(found, LabelledParameter) else None


def plain_name(key: str) -> str:
    """Name of a parameter for people: without the torch module's inner names."""
    parts = [part for part in key.split(".") if part not in ("_members", "raw", "model")]
    return ".".join(parts)
