"""The best plan by direct search: no model, no gradient, only the market's own answers.

Hours are moved by classes (weekday or weekend, four local hours each), by bonus and region. The
search starts from the best of several simple plans, constant over each class, or from a plan that
it is given, whose pattern within a class it keeps; it moves one class at a time, with steps that
shrink. Common random numbers make two plans comparable after one replay; a few replications keep
the search from fitting the luck of one week. Meant for small worlds: 12 classes x 3 bonuses x
regions are moved one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._decisions import decided
from dagcast_simulator._levers import INCENTIVES

if TYPE_CHECKING:
    from dagcast_simulator._world import MarketWorld

Array = NDArray[np.float64]

_SUMS = ("profit", "rides", "revenue", "requests")
_FLAT = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45)  # USD per typical driver hour and bonus


@dataclass(frozen=True)
class BestPlan:
    """The best plan that a search found.

    Args:
        decisions: frame incentive, region, hour, usd.
        value: objective, a sum over the week, mean of the replications.
        zero: objective of spending nothing.
        operator: objective of the operator's rule, cut to the budget where it exceeds it.
        spend: USD in the week.
        evaluations: plans tried.
        status: ``converged`` if no class wants to move by the last step, else ``stopped``.
    """

    decisions: pd.DataFrame
    value: float
    zero: float
    operator: float
    spend: float
    evaluations: int
    status: Literal["converged", "stopped"]


def best_plan(
    world: "MarketWorld",
    objective: str | Mapping[str, float] = "profit",
    *,
    budget: float | None = None,
    start: pd.DataFrame | None = None,
    replications: int = 2,
    evaluations: int = 1500,
    smallest_step: float = 0.15,
) -> BestPlan:
    """Search for the plan of the planning week with the largest objective.

    Args:
        world: a small one; see the cost above.
        objective: a column of ``outcome`` that is a sum, e.g. ``profit`` or ``rides``, or weights
            of several, e.g. ``{"profit": 1.0, "rides": 4.0}``.
        budget: USD for the week; none if not given.
        start: decisions (incentive, region, hour, usd) to start from, cut to the budget; simple
            plans if not given.
        replications: over which the objective is averaged.
        evaluations: stop after so many plans.
        smallest_step: relative; the search ends when no class gains by it.

    Raises:
        ValueError: the objective is no sum that ``outcome`` knows, or the budget is negative.
        WorldError: ``start`` does not fit this world.
    """
    weights = {objective: 1.0} if isinstance(objective, str) else dict(objective)
    unknown = [name for name in weights if name not in _SUMS]
    if unknown or not weights:
        raise ValueError(
            f"cannot search for the best {unknown[0] if unknown else objective!r}; it must be a "
            f"weekly sum or weights of some: {', '.join(_SUMS)}"
        )
    if budget is not None and not budget >= 0:
        raise ValueError(f"budget must be at least 0 USD; got {budget!r}")
    first = 168 * world.weeks
    how = world.environment.hour_of_week[:, first : first + 168]
    classes = (how // 24 >= 5) * 6 + (how % 24) // 4
    reference = world.environment.supply_reference
    tried = 0

    def within(spend: Array) -> Array:
        total = float(spend.sum())
        return spend * (budget / total) if budget is not None and total > budget else spend

    def value(spend: Array) -> float:
        nonlocal tried
        tried += 1
        return world.objective(weights, spend, replications)

    operator = within(world.operator_spend())
    zero_value, operator_value = value(np.zeros_like(operator)), value(operator)
    if start is not None:
        starts = [decided(start, world.region_names, world.planning_hours)]
    else:
        level = np.broadcast_to(reference[None, :, None], operator.shape)
        starts = [share * level for share in _FLAT[1:]]
        starts.append(_by_class(operator, classes))
    best, best_value = np.zeros_like(operator), zero_value
    for spend in starts:
        candidate = within(spend)
        found = value(candidate)
        if found > best_value:
            best, best_value = candidate, found

    step = 0.8
    floor = 0.02 * reference  # lets a class at zero start to move
    while step >= smallest_step and tried < evaluations:
        moved = False
        for kind, region, label in np.ndindex(len(INCENTIVES), len(world.regions), 12):
            hours = classes[region] == label
            for factor in (1 + step, 1 / (1 + step), 0.0):
                if tried >= evaluations:
                    break
                candidate = best.copy()
                own = best[kind, region, hours]
                lifted = np.maximum(own, floor[region]) if factor > 1 else own
                candidate[kind, region, hours] = lifted * factor
                if np.array_equal(candidate, best):
                    continue
                candidate = within(candidate)
                found = value(candidate)
                if found > best_value:
                    best, best_value, moved = candidate, found, True
                    break
        if not moved:
            step /= 2
    index = pd.MultiIndex.from_product(
        [INCENTIVES, world.region_names, world.planning_hours],
        names=["incentive", "region", "hour"],
    )
    return BestPlan(
        decisions=pd.DataFrame({"usd": best.ravel()}, index=index).reset_index(),
        value=best_value,
        zero=zero_value,
        operator=operator_value,
        spend=float(best.sum()),
        evaluations=tried,
        status="stopped" if tried >= evaluations else "converged",
    )


def _by_class(spend: Array, classes: NDArray[np.int64]) -> Array:
    """The same spend, even over each class of hours."""
    result = np.zeros_like(spend)
    for region, labels in enumerate(classes):
        for label in np.unique(labels):
            hours = labels == label
            result[:, region, hours] = spend[:, region, hours].mean(axis=1, keepdims=True)
    return result
