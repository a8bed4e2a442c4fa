"""What a solved plan says on request: response curves of cells, sensitivities of the optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch

from dagcast_core.decide.declare import DecisionProblem, closest, label_text
from dagcast_core.decide.plans._optimum import compiled_at
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._totals import total_of
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["ResponseCurve", "response_curve"]


@final
@dataclass(frozen=True)
class ResponseCurve:
    """The forecast along one cell of a lever, everything else at the plan.

    Attributes:
        lever: whose cell.
        cell: its labels.
        planned: its value in the plan, unit of the lever.
        grid: values of the cell.
        objective: at each of them, objective unit; over draws, their measure.
        outcomes: by quantity, over all its cells: the sum where it adds up over time, else the
            mean (weighted as its contract says).
        limits: by outcome limit, its left-hand side.
        kept: whether every outcome limit is kept.
    """

    lever: str
    cell: Mapping[str, object]
    planned: float
    grid: tuple[float, ...]
    objective: tuple[float, ...]
    outcomes: Mapping[str, tuple[float, ...]]
    limits: Mapping[str, tuple[float, ...]]
    kept: tuple[bool, ...]


def response_curve(
    problem: DecisionProblem,
    plan: Plan,
    lever: str,
    cell: Mapping[str, object],
    grid: Sequence[float] | None = None,
) -> ResponseCurve:
    """Forecast a range of values of one cell, the others as planned.

    Args:
        problem: that the plan answers.
        plan: gives all other decisions.
        lever: whose cell.
        cell: a label for each of its dims.
        grid: values to try; 21 from the lower to the upper bound by default, or to twice the
            plan's where there is no upper bound.

    Raises:
        DecisionError: no such lever or label, or a grid that is not finite.
    """
    compiled = compiled_at(problem, plan)
    x = compiled.space.flat(plan.decisions)
    if lever not in compiled.space.slices:
        raise DecisionError(f"no lever {lever!r}. {closest(lever, compiled.space.slices)}")
    at = compiled.space.slices[lever].start + _position(compiled.space.templates[lever], cell)
    low, high = float(compiled.smooth.linear.lower[at]), float(compiled.smooth.linear.upper[at])
    planned = float(x[at])
    if grid is None:
        if high <= low:
            # A fixed cell: what if it were not?
            high = float("inf")
        top = high if high < float("inf") else max(2.0 * planned, low + 1.0)
        grid = [low + (top - low) * k / 20 for k in range(21)]
    values = [float(value) for value in grid]
    if not values or not all(abs(value) < float("inf") for value in values):
        raise DecisionError("the grid of a response curve holds no or no finite numbers.")
    rows = compiled.smooth.rows
    sign = 1.0 if problem.objective.sense == "max" else -1.0
    names = [str(name) for name in compiled.outcomes.names]
    objectives: list[float] = []
    kept: list[bool] = []
    limits: dict[str, list[float]] = {name: [] for name in names}
    outcomes: dict[str, list[float]] = {}
    with torch.no_grad():
        for value in values:
            point = x.clone()
            point[at] = value
            objective, found = compiled.evaluation.exact(point)
            objectives.append(sign * float(objective))
            kept.append(bool((rows.sign * (found - rows.limit) <= 1e-6 * rows.scale).all()))
            for name, reached in zip(names, found.tolist(), strict=True):
                limits[name].append(reached)
            known = {**compiled.forecaster.context, **compiled.forecaster.forecast(point)}
            for quantity in problem.contract.outputs:
                outcomes.setdefault(quantity.name, []).append(float(total_of(quantity, known)))
    return ResponseCurve(
        lever,
        dict(cell),
        planned,
        tuple(values),
        tuple(objectives),
        {name: tuple(found) for name, found in outcomes.items()},
        {name: tuple(found) for name, found in limits.items()},
        tuple(kept),
    )


def _position(template: IndexTensor, cell: Mapping[str, object]) -> int:
    """Flat place of a cell within its lever."""
    if set(cell) != set(template.dims):
        raise DecisionError(
            f"a cell of {template.name!r} has a label for each of {', '.join(template.dims)}; "
            f"found {', '.join(cell) or 'none'}."
        )
    place = 0
    for dim in template.dims:
        index = template.index(dim)
        label = cell[dim]
        if label not in index:
            raise DecisionError(
                f"no {dim} {label_text(label)!r}. "
                f"{closest(label_text(label), map(label_text, index))}"
            )
        place = place * len(index) + int(index.get_indexer(pd.Index([label]))[0])
    return place
