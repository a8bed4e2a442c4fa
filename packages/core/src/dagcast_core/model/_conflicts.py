"""Experiments that measured the same thing and cannot both be right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._shared_errors import covariance_of
from dagcast_core.model._student import Deviation

_CONFLICT_Z = 3.0


@final
@dataclass(frozen=True)
class Conflict:
    """Two experiments that measured the same thing and cannot both be right.

    Attributes:
        first: name of one,
        second: name of the other.
        estimates: what they measured.
        z: difference over its standard error; where that has few degrees of freedom, the normal
            deviate that is as unlikely.
    """

    first: str
    second: str
    estimates: tuple[float, float]
    z: float

    def __str__(self) -> str:
        return (
            f"{self.first} measured {self.estimates[0]:.4g} and {self.second} "
            f"{self.estimates[1]:.4g} for the same change: {self.z:.1f} standard errors apart. "
            "No model can agree with both; find out which one to trust."
        )


def conflicts_among(experiments: ExperimentSet, limit: float = _CONFLICT_Z) -> tuple[Conflict, ...]:
    """Pairs of experiments on the same arms and overlapping regions that contradict each other.

    Args:
        experiments: compared pairwise.
        limit: how many standard errors apart is a contradiction.
    """
    covariance = covariance_of(experiments)
    found: list[Conflict] = []
    items = tuple(experiments)
    for i, first in enumerate(items):
        for j in range(i + 1, len(items)):
            second = items[j]
            if not _comparable(first, second):
                continue
            variance = float(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
            apart = abs(first.estimate - second.estimate)
            z = Deviation(variance, 0.0, _freedom(first, second)).z(apart)
            if z > limit:
                pair = (first.estimate, second.estimate)
                found.append(Conflict(first.name, second.name, pair, z))
    return tuple(found)


def _freedom(first: Experiment, second: Experiment) -> float:
    """Degrees of freedom of a difference (Welch 1947, doi:10.1093/biomet/34.1-2.28)."""
    parts = [item.standard_error**2 for item in (first, second)]
    bent = sum(
        part**2 / item.degrees_of_freedom
        for part, item in zip(parts, (first, second), strict=True)
        if item.degrees_of_freedom is not None
    )
    return sum(parts) ** 2 / bent if bent else math.inf


def _comparable(first: Experiment, second: Experiment) -> bool:
    same = (
        first.levers == second.levers
        and first.outcome == second.outcome
        and first.scale == second.scale
        and first.reduce == second.reduce
        and first.cells.local_hours == second.cells.local_hours
        and first.cells.counted_hours == second.cells.counted_hours
        and first.cells.dim == second.cells.dim
        and bool(set(first.cells.labels) & set(second.cells.labels))
    )
    if not same or first.scale == "elasticity":
        return same
    return (first.control.changes, first.treatment.changes) == (
        second.control.changes,
        second.treatment.changes,
    )
