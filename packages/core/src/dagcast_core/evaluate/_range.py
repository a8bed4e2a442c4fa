"""Predictions beside the range of what was ever observed, in the quantity's own unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.contract import Quantity
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel

# So many times the observed range may lie on either side of it before a value is out of the world.
_ROOM = 1.0


@final
@dataclass(frozen=True)
class RangeCheck:
    """Predictions of one quantity beside what was observed of it.

    Attributes:
        quantity: name.
        unit: of all figures but the counts.
        error: mean absolute error over the cells that were observed; NaN where none was.
        typical: mean absolute observed value, to see the error beside.
        low: least prediction.
        high: greatest prediction.
        observed_low: least observation.
        observed_high: greatest observation.
        beyond: cells whose prediction is no number or lies outside the observed range by more than
            the width of that range.
        cells: predictions that were looked at.
    """

    quantity: str
    unit: str
    error: float
    typical: float
    low: float
    high: float
    observed_low: float
    observed_high: float
    beyond: int
    cells: int

    @property
    def passed(self) -> bool:
        """Whether no prediction is out of the world."""
        return self.beyond == 0


def range_check(quantity: Quantity, predicted: IndexTensor, observed: IndexTensor) -> RangeCheck:
    """Compare predictions with the range of what was observed.

    Args:
        quantity: whose they are.
        predicted: dims of the quantity.
        observed: the same dims; labels that the predictions lack only widen the range, and NaN
            marks what was not observed.
    """
    known = observed.tensor.detach().double().reshape(-1)
    known = known[torch.isfinite(known)]
    values = predicted.tensor.detach().double()
    flat = values.reshape(-1)
    number = flat[torch.isfinite(flat)]
    low, high = _ends(number)
    if not known.numel():
        none = math.nan
        return RangeCheck(
            quantity.name, quantity.unit, none, none, low, high, none, none, 0, len(flat)
        )
    least, most = _ends(known)
    # A quantity that never varied is given room by its size.
    room = _ROOM * ((most - least) or abs(most) or 1.0)
    inside = (flat >= least - room) & (flat <= most + room)
    wanted = {dim: predicted.index(dim) for dim in predicted.dims}
    happened = observed.double().reindex(wanted, fill=math.nan).values(*predicted.dims)
    seen = torch.isfinite(happened)
    error = float((values - happened).abs()[seen].mean()) if bool(seen.any()) else math.nan
    return RangeCheck(
        quantity.name,
        quantity.unit,
        error,
        float(known.abs().mean()),
        low,
        high,
        least,
        most,
        int((~inside).sum()),
        len(flat),
    )


def in_sample_checks(
    model: Model, history: Panel, quantities: Iterable[Quantity] | None = None
) -> tuple[RangeCheck, ...]:
    """Errors of a fitted model on its own history, and whether it predicts what never was.

    They flatter: the model has seen what it predicts. They still show a fit that is out of the
    world in some cells, which sums and convergence hide.

    Args:
        model: fitted.
        history: what it was fitted to.
        quantities: outputs to look at; all that the history observes by default.
    """
    wanted = tuple(model.contract.outputs if quantities is None else quantities)
    with torch.no_grad():
        predicted = model.predict(history)
    return tuple(
        range_check(item, predicted[item.name], history[item.name])
        for item in wanted
        if item.name in predicted and item.name in history
    )


def _ends(values: torch.Tensor) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.numel() else (math.nan, math.nan)
