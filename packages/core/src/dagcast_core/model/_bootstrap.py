"""Bootstrap draws: refits to resampled weeks and redrawn experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import expectation, linearised
from dagcast_core.model._joint import fit_jointly
from dagcast_core.model._model import Model
from dagcast_core.model._optimizer import OptimizerSpec, minimise
from dagcast_core.model._precision import Precision, precision_of
from dagcast_core.model._unit import Unit
from dagcast_core.tensor import IndexTensor

_WEEK = 168
_BOOTSTRAP = OptimizerSpec(max_iterations=60, tolerance=0.05)


def bootstrap(
    model: Model, units: Sequence[Unit], evidence: Evidence, n: int, seed: int
) -> ParameterDraws:
    """Refit the units to whole weeks drawn with replacement; they end as they were."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    homes = [unit.flat.read() for unit in units]
    precisions = [precision_of(unit) for unit in units]
    estimates = evidence.estimates
    if len(evidence):
        evidence.settle(expectation(units, linearised(units, precisions, evidence)))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, list[torch.Tensor]] = {}
    try:
        for _ in range(n):
            counts = _week_counts(rng)
            for unit, home, precision in zip(units, homes, precisions, strict=True):
                unit.flat.write(home)
                unit.resample(counts, generator)
                minimise(unit.loss, unit.flat, _BOOTSTRAP, _times(precision))
            if len(evidence):
                evidence.estimates = estimates + evidence.errors(1, generator).squeeze(-1)
                fit_jointly(units, precisions, evidence)
            for unit in units:
                for parameter in unit.flat.parameters:
                    value = parameter.detach().clone()
                    found.setdefault(names[id(parameter)], []).append(value)
    finally:
        evidence.estimates = estimates
        for unit, home in zip(units, homes, strict=True):
            unit.flat.write(home)
            unit.resample(None)
    return ParameterDraws(
        {name: torch.stack(values) for name, values in found.items()}, "bootstrap", seed
    )


def _times(precision: Precision) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda vector: precision.solve(vector.unsqueeze(-1)).squeeze(-1)


def _week_counts(
    rng: np.random.Generator,
) -> Callable[[IndexTensor], torch.Tensor]:
    """How often each hour of the history counts when whole weeks are drawn with replacement."""
    drawn: dict[int, torch.Tensor] = {}

    def counts(like: IndexTensor) -> torch.Tensor:
        axis = next(
            (i for i, dim in enumerate(like.dims) if isinstance(like.index(dim), pd.DatetimeIndex)),
            None,
        )
        if axis is None:
            return torch.ones(tuple(like.tensor.shape), dtype=torch.float64)
        hours = like.tensor.shape[axis]
        if hours not in drawn:
            weeks = max(-(-hours // _WEEK), 1)
            times = np.bincount(rng.integers(0, weeks, weeks), minlength=weeks)
            # Weeks are counted back from the end, so that the last one is whole.
            week = np.arange(hours)[::-1] // _WEEK
            drawn[hours] = torch.as_tensor(times[week], dtype=torch.float64)
        shape = [1] * like.ndim
        shape[axis] = hours
        return drawn[hours].reshape(shape).expand(tuple(like.tensor.shape))

    return counts
