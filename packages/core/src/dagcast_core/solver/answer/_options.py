"""Settings of the solver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dagcast_core.solver.problem import DecisionError

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the solver; the defaults suit a plan that people will read.

    Attributes:
        gap: stop where the predicted gain is below this share of the lift over the baseline; 0
            goes on as far as rounding lets it.
        violation: largest relative violation of an outcome row that counts as feasible.
        curvature: "hessian" starts the metric by Hessian-vector products, "secant" by the first
            step.
        iterations: at most so many iterations.
        time_limit: seconds, above 0; the best point so far is returned.
        refresh: rows' gradients are taken anew every so many iterations.
        elastic: cap of the multipliers of scaled rows; raised tenfold before infeasibility is said.
        seed: of the probes.

    Raises:
        DecisionError: a setting out of its range, such as a time limit of 0.
    """

    gap: float = 1e-6
    violation: float = 1e-6
    curvature: Literal["hessian", "secant"] = "hessian"
    iterations: int = 300
    time_limit: float | None = None
    refresh: int = 4
    elastic: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("gap", "violation"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise _refused(name, value, "a number of at least 0")
        if not _is_number(self.elastic) or self.elastic <= 0:
            raise _refused("elastic", self.elastic, "a number above 0")
        limit = self.time_limit
        if limit is not None and (not _is_number(limit) or limit <= 0):
            raise _refused("time_limit", limit, "a number above 0, in seconds, or None")
        for name in ("iterations", "refresh"):
            value = getattr(self, name)
            if not _is_whole(value) or value < 1:
                raise _refused(name, value, "a whole number of at least 1")
        if not _is_whole(self.seed):
            raise _refused("seed", self.seed, "a whole number")
        if self.curvature not in ("hessian", "secant"):
            raise _refused("curvature", self.curvature, "'hessian' or 'secant'")


def _refused(name: str, value: object, expected: str) -> DecisionError:
    return DecisionError(f"the solver's {name} is {value!r}; it is {expected}.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
