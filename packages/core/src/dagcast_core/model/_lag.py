"""Inputs that are older than the outputs they explain."""

from __future__ import annotations

import torch

from dagcast_core.contract import Contract, Input
from dagcast_core.model._errors import ModelError
from dagcast_core.tensor import IndexTensor


def lagged(given: IndexTensor, item: Input) -> IndexTensor:
    """The values ``item.lag`` steps earlier, under the labels of now.

    The first ``lag`` steps have nothing before them in the panel: they take the input's default
    where it has one, and otherwise hold the earliest value.

    Args:
        given: has the time dim of the quantity.
        item: declares the lag.

    Raises:
        ModelError: the quantity has no time dim.
    """
    axis = _time_axis(given, item)
    if not given.tensor.shape[axis]:
        return given
    first = given.tensor.narrow(axis, 0, 1)
    if item.default is not None:
        first = torch.full_like(first, float(item.default))
    return _behind(given, item.lag, axis, first)


def lagged_after(
    contract: Contract, item: Input, predicted: IndexTensor | None, observed: IndexTensor | None
) -> IndexTensor:
    """A lagged input that depends on the model's own later outputs.

    Args:
        contract: of the model that reads it.
        item: declares the lag.
        predicted: the quantity as the last sweep predicted it; None on the first sweep.
        observed: the quantity in the panel, which gives the values before the first step.

    Raises:
        ModelError: nothing says what the value was before the first step.
    """
    if observed is None and item.default is None:
        raise ModelError(
            f"{contract.model} reads {item.name!r} {item.lag} steps late in a loop, and nothing "
            f"says what it was before the first step. Put {item.name!r} into the panel, or give "
            "the input a default."
        )
    if observed is None:
        default = float(item.default or 0.0)
        if predicted is None:
            return IndexTensor(default, {}, item.name)
        axis = _time_axis(predicted, item)
        first = torch.full_like(predicted.tensor.narrow(axis, 0, 1), default)
        return _behind(predicted, item.lag, axis, first)
    axis = _time_axis(observed, item)
    first = observed.tensor.narrow(axis, 0, 1)
    if predicted is None:
        # Any finite guess will do: each sweep makes at least `lag` more steps exact.
        known = torch.isfinite(observed.tensor)
        return _behind(
            observed.with_tensor(torch.where(known, observed.tensor, first)), item.lag, axis, first
        )
    axis = _time_axis(predicted, item)
    first = observed.values(*predicted.dims).narrow(axis, 0, 1)
    return _behind(predicted, item.lag, axis, first)


def _behind(given: IndexTensor, lag: int, axis: int, first: torch.Tensor) -> IndexTensor:
    size = given.tensor.shape[axis]
    steps = min(lag, size)
    shape = list(given.tensor.shape)
    shape[axis] = steps
    kept = given.tensor.narrow(axis, 0, size - steps)
    return given.with_tensor(torch.cat([first.expand(shape), kept], dim=axis))


def _time_axis(given: IndexTensor, item: Input) -> int:
    time = item.quantity.time_dim
    if time is None or time.name not in given.dims:
        raise ModelError(
            f"{item.name!r} is read with a lag of {item.lag}; it needs a time dim, and has "
            f"({', '.join(given.dims)})."
        )
    return given.dims.index(time.name)
