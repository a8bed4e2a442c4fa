"""The best plan by direct search: no model, no gradient, only the market's own answers.

A plan is piecewise constant over classes of hours (weekday or weekend, four local hours each), by
bonus and region. The search starts from the best of several simple plans and moves one class at a
time, with steps that shrink. Common random numbers make two plans comparable after one replay; a
few replications keep the search from fitting the luck of one week. Meant for small worlds: 12
classes x 3 bonuses x regions are moved one by one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._levers import INCENTIVES

if TYPE_CHECKING:
    from dagcast_simulator._world import MarketWorld

Array = NDArray[np.float64]

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
    objective: str = "profit",
    *,
    budget: float | None = None,
    replications: int = 2,
    evaluations: int = 1500,
    smallest_step: float = 0.15,
) -> BestPlan:
    """Search for the plan of the planning week with the largest objective.

    Args:
        world: a small one; see the cost above.
        objective: a column of ``outcome`` that is a sum, e.g. ``profit`` or ``rides``.
        budget: USD for the week; none if not given.
        replications: over which the objective is averaged.
        evaluations: stop after so many plans.
        smallest_step: relative; the search ends when no class gains by it.

    Raises:
        ValueError: the objective is no sum that ``outcome`` knows, or the budget is negative.
    """
    if objective not in ("profit", "rides", "revenue", "requests"):
        raise ValueError(
            f"cannot search for the best {objective!r}; it must be a weekly sum: "
            "profit, rides, revenue or requests"
        )
    if budget is not None and not budget >= 0:
        raise ValueError(f"budget must be at least 0 USD; got {budget!r}")
    env = world.environment
    start = 168 * world.weeks
    how = env.hour_of_week[:, start : start + 168]
    classes = (how // 24 >= 5) * 6 + (how % 24) // 4
    reference = env.supply_reference[None, :, None]
    shape = (len(INCENTIVES), len(world.regions), 12)
    hours = np.stack([np.bincount(row, minlength=12) for row in classes])[None]
    tried = 0

    def spread(x: Array) -> Array:
        return np.stack([x[:, r, classes[r]] for r in range(shape[1])], axis=1)

    def within(x: Array) -> Array:
        total = float((x * hours).sum())
        return x * (budget / total) if budget is not None and total > budget else x

    def value(spend: Array) -> float:
        nonlocal tried
        tried += 1
        return world.objective(objective, spend, replications)

    def by_class(spend: Array) -> Array:
        result = np.zeros(shape)
        for r in range(shape[1]):
            for c in range(12):
                if (classes[r] == c).any():
                    result[:, r, c] = spend[:, r, classes[r] == c].mean(axis=1)
        return result

    operator = world.operator_spend()
    share = 1.0
    if budget is not None and operator.sum() > budget:
        share = budget / float(operator.sum())
    zero_value = value(np.zeros_like(operator))
    operator_value = value(operator * share)
    starts = [np.broadcast_to(level * reference, shape).copy() for level in _FLAT[1:]]
    starts.append(by_class(operator * share))
    best, best_value = np.zeros(shape), zero_value
    for x in starts:
        candidate = within(x)
        found = value(spread(candidate))
        if found > best_value:
            best, best_value = candidate, found

    step = 0.8
    floor = 0.02 * np.broadcast_to(reference, shape)  # lets a class at zero start to move
    while step >= smallest_step and tried < evaluations:
        moved = False
        for position in np.ndindex(shape):
            for direction in (1 + step, 1 / (1 + step), 0.0):
                if tried >= evaluations:
                    break
                x = best.copy()
                if direction > 1:
                    x[position] = max(x[position], floor[position]) * direction
                else:
                    x[position] = x[position] * direction
                if x[position] == best[position]:
                    continue
                candidate = within(x)
                found = value(spread(candidate))
                if found > best_value:
                    best, best_value, moved = candidate, found, True
                    break
        if not moved:
            step /= 2
    index = pd.MultiIndex.from_product(
        [INCENTIVES, world.region_names, world.planning_hours],
        names=["incentive", "region", "hour"],
    )
    plan = spread(best)
    return BestPlan(
        decisions=pd.DataFrame({"usd": plan.ravel()}, index=index).reset_index(),
        value=best_value,
        zero=zero_value,
        operator=operator_value,
        spend=float(plan.sum()),
        evaluations=tried,
        status="stopped" if tried >= evaluations else "converged",
    )
