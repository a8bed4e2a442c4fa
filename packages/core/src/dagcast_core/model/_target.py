"""What a fitness term compares with: actual values and a weight per cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
import torch

from dagcast_core.model._errors import ModelError
from dagcast_core.tensor import IndexTensor, Panel


@final
@dataclass(frozen=True)
class Target:
    """Actual values and weights in the layout of a prediction.

    Attributes:
        actual: the history; 1 where nothing was observed, so that logarithms stay finite.
        weight: decay times relative weight; 0 where nothing was observed.
        decay: the part of the weight that counts towards the sample size.
        count: effective number of cells, the sum of the decay.
    """

    actual: torch.Tensor
    weight: torch.Tensor
    decay: torch.Tensor
    count: torch.Tensor

    def masked(self, keep: torch.Tensor) -> Target:
        """The same with only the cells of ``keep`` counting."""
        decay = self.decay * keep
        return Target(self.actual, self.weight * keep, decay, decay.sum())


def target_of(
    name: str,
    history: Panel,
    like: IndexTensor,
    weights: str | Callable[[Panel], IndexTensor] | None,
    half_life: float | None,
) -> Target:
    """The history of ``name`` on the labels of ``like``.

    Args:
        name: quantity that is compared.
        history: observed quantities; NaN marks a missing cell.
        like: a prediction, which gives the layout.
        weights: relative weights of cells, see `FitnessTerm`.
        half_life: hours after which a cell counts half.

    Raises:
        ModelError: the history lacks the quantity or the weights, or has none of the labels.
    """
    actual = _laid_out(_from_history(name, history), like, name)
    observed = torch.isfinite(actual)
    if not observed.any():
        raise ModelError(
            f"cannot compare {name!r} with its history: no cell is observed on the predicted "
            f"labels ({', '.join(f'{dim}: {len(like.index(dim))}' for dim in like.dims)})."
        )
    decay = observed.to(torch.float64)
    if half_life is not None:
        decay = decay * _aged(like, half_life, name)
    weight = decay
    if weights is not None:
        given = weights(history) if callable(weights) else _from_history(weights, history)
        relative = _laid_out(given, like, f"weights of {name}")
        relative = torch.where(torch.isfinite(relative), relative, torch.zeros_like(relative))
        if (relative < 0).any() or not (relative * decay).sum() > 0:
            raise ModelError(f"the weights of {name!r} must be 0 or more and not all 0.")
        weight = decay * relative * (decay.sum() / (relative * decay).sum())
    filled = torch.where(observed, actual, torch.ones_like(actual))
    return Target(filled, weight, decay, decay.sum())


def _from_history(name: str, history: Panel) -> IndexTensor:
    if name not in history:
        raise ModelError(
            f"the history has no {name!r}; it has {', '.join(sorted(history))}. "
            "A latent quantity has no fitness term of its own."
        )
    return history[name]


def _laid_out(given: IndexTensor, like: IndexTensor, what: str) -> torch.Tensor:
    if not set(given.dims) <= set(like.dims):
        raise ModelError(
            f"cannot compare {what}: it has the dims {given.dims}, the prediction {like.dims}."
        )
    values = given.double()
    wanted = {dim: like.index(dim) for dim in given.dims}
    values = values.reindex(wanted, fill=float("nan"))
    shared = tuple(dim for dim in like.dims if dim in given.dims)
    shape = [len(like.index(dim)) if dim in shared else 1 for dim in like.dims]
    laid = values.values(*shared).detach().reshape(shape)
    return laid.expand(tuple(like.tensor.shape)).contiguous()


def _aged(like: IndexTensor, half_life: float, name: str) -> torch.Tensor:
    for axis, dim in enumerate(like.dims):
        index = like.index(dim)
        if isinstance(index, pd.DatetimeIndex):
            hours = np.asarray((index.max() - index) / pd.Timedelta(hours=1), dtype=np.float64)
            shape = [1] * len(like.dims)
            shape[axis] = len(index)
            return torch.as_tensor(0.5 ** (hours / half_life)).reshape(shape)
    raise ModelError(
        f"{name!r} has no time dim, so a half_life cannot be counted back from its end."
    )
