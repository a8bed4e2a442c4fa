"""What the solver is told and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dagcast_core.solver.answer._certificate import Certificate
from dagcast_core.solver.problem import Counter

__all__ = ["Progress", "Solution", "Status", "WarmStart"]

Status = Literal["optimal", "feasible", "stalled", "infeasible", "interrupted"]
"""How a run ended; ``optimal`` alone comes with a certificate."""


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
