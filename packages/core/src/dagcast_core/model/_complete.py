"""A history without gaps for models to read; the gaps are remembered."""

from __future__ import annotations

import pandas as pd
import torch

from dagcast_core.model._collection import ModelCollection
from dagcast_core.tensor import IndexTensor, Panel


def complete_inputs(
    collection: ModelCollection, history: Panel
) -> tuple[dict[str, IndexTensor], dict[str, IndexTensor]]:
    """Fill missing values of quantities that models read and no model predicts.

    A gap is filled with the last value before it along time, or the first after it; what is still
    missing then gets the mean of all values. Filled cells are never compared with.

    Args:
        collection: decides which quantities are read.
        history: observed quantities; NaN marks a missing cell.

    Returns:
        The quantities of the history by name, complete where a model reads them from outside; and,
        for those that had gaps, 1 where a value was filled.
    """
    values: dict[str, IndexTensor] = {}
    hidden: dict[str, IndexTensor] = {}
    for quantity in history:
        given = history[quantity]
        values[quantity] = given
        if quantity in collection.wiring.producer or not given.tensor.is_floating_point():
            continue
        missing = ~torch.isfinite(given.tensor)
        if missing.any():
            values[quantity] = given.with_tensor(_filled(given))
            hidden[quantity] = given.with_tensor(missing.to(torch.float64))
    return values, hidden


def _filled(given: IndexTensor) -> torch.Tensor:
    values = given.tensor.clone()
    values[~torch.isfinite(values)] = float("nan")
    mean = float(values.nanmean()) if (~torch.isnan(values)).any() else 0.0
    for axis, dim in enumerate(given.dims):
        if isinstance(given.index(dim), pd.DatetimeIndex):
            flat = values.movedim(axis, 0).reshape(values.shape[axis], -1)
            carried = torch.as_tensor(
                pd.DataFrame(flat.numpy()).ffill().bfill().to_numpy(copy=True)
            )
            moved = values.movedim(axis, 0)
            values = carried.reshape(moved.shape).movedim(0, axis)
    return torch.where(torch.isnan(values), torch.full_like(values, mean), values)
