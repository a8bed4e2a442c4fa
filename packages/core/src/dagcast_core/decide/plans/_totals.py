"""A quantity over all its cells as one number: a sum where it adds up over time, else a mean."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dagcast_core.contract import Quantity, Weighted
from dagcast_core.decide.declare import summed_unit
from dagcast_core.tensor import IndexTensor

__all__ = ["total_of", "unit_of_total", "with_unit"]


def total_of(quantity: Quantity, known: Mapping[str, IndexTensor]) -> Tensor:
    """The sum over all cells, or the mean, weighted as the contract says; 0-d, differentiable."""
    value = known[quantity.name]
    how = _how(quantity)
    if how == "sum":
        return value.tensor.sum()
    if isinstance(how, Weighted) and how.by in known:
        weights = known[how.by]
        if set(weights.dims) == set(value.dims):
            weight = weights.values(*value.dims)
            return (value.tensor * weight).sum() / weight.sum()
    return value.tensor.mean()


def unit_of_total(quantity: Quantity) -> str:
    """Unit of that number."""
    return summed_unit(quantity.unit) if _how(quantity) == "sum" else quantity.unit


def with_unit(figure: str, unit: str) -> str:
    """A figure with its unit; a pure number has none."""
    return figure if unit == "1" else f"{figure} {unit}"


def _how(quantity: Quantity) -> object:
    time = quantity.time_dim
    return quantity.aggregated(time.name) if time is not None else "sum"
