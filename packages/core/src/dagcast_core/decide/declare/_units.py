"""Units of sums: a rate per hour, summed over hours, is an amount."""

from __future__ import annotations

from dagcast_core.contract import Quantity
from dagcast_core.decide.declare._declare import Budget, OutcomeLimit

__all__ = ["budget_unit", "outcome_unit", "summed_unit"]


def summed_unit(unit: str) -> str:
    """Unit of a rate per hour summed over hours."""
    return unit.removesuffix("/h")


def outcome_unit(quantity: Quantity, limit: OutcomeLimit) -> str:
    """Unit in which an outcome limit is stated."""
    time = quantity.time_dim
    if limit.reduce == "sum" and time is not None and time.name not in limit.by:
        return summed_unit(quantity.unit)
    return quantity.unit


def budget_unit(quantity: Quantity, budget: Budget) -> str:
    """Unit in which a budget is stated."""
    time = quantity.time_dim
    summed = time is not None and time.name not in budget.by
    return summed_unit(quantity.unit) if summed else quantity.unit
