"""What the solver is told and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dagcast_core.decide._certificate import Certificate
from dagcast_core.decide._declare import DecisionError
from dagcast_core.decide._smooth import Counter

__all__ = ["Options", "Progress", "Solution", "Status", "WarmStart"]

Status = Literal["optimal", "feasible", "stalled", "infeasible", "interrupted"]


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


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What a related problem starts from.

    Attributes:
        x: (cells,) decisions.
        multipliers: (budgets + rows,) of budgets, then of rows relative to their scale; in the
            objective's unit.
        metric: (cells,) curvature of the Lagrangian, in the objective's unit.
        jacobian: per family of rows (cells,) coefficients of rows relative to their scale.
    """

    x: Tensor
    multipliers: Tensor | None = None
    metric: Tensor | None = None
    jacobian: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """State after one iteration, for a progress display.

    Attributes:
        iteration: from 1.
        objective: in the caller's unit.
        violation: largest relative violation of an outcome row.
        predicted: gain that the next step promises, as a share of the lift over the baseline (of
            what typical steps change while the baseline has not been evaluated).
        forward: calls of the model so far.
        backward: backward calls so far.
        seconds: since the start.
    """

    iteration: int
    objective: float
    violation: float
    predicted: float
    forward: int
    backward: int
    seconds: float

    @property
    def passes(self) -> float:
        """One pass is 0.35 forward and 0.65 backward calls."""
        return 0.35 * self.forward + 0.65 * self.backward


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found.

    Attributes:
        status: "optimal" only where `certificate.gap` is proved and below the tolerance.
        message: why it stopped.
        x: (cells,).
        objective: in the caller's unit, maximised.
        outcomes: (rows,) in the caller's units.
        lift: objective above the baseline's.
        yardstick: what gaps are relative to: the lift, or a small share of what typical steps
            change.
        violation: largest relative violation of linear and outcome rows.
        budget_prices: (budgets,) objective per unit of limit, >= 0.
        row_prices: (rows,) d objective / d limit: positive for upper limits, negative for floors.
        certificate: residual and upper bound of the gap.
        warm: start for a related problem.
        counter: model calls.
        iterations: accepted and rejected steps.
        elastic: (rows,) the multiplier sits at its cap.
        trace: one entry per iteration.
    """

    status: Status
    message: str
    x: Tensor
    objective: float
    outcomes: Tensor
    lift: float
    yardstick: float
    violation: float
    budget_prices: Tensor
    row_prices: Tensor
    certificate: Certificate
    warm: WarmStart
    counter: Counter
    iterations: int
    elastic: Tensor
    trace: tuple[Progress, ...] = ()
