"""Minimising a loss, and saying honestly whether that has been done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch

from dagcast_core.model._errors import ModelError
from dagcast_core.model._flat import FlatParameters, Objective
from dagcast_core.model._lbfgs import Iterate, lbfgs

# Iterations over which the loss must have stopped falling.
_LOOK = 5
# A gain so far below the tolerance needs no second opinion.
_NEGLIGIBLE = 1e-4


@final
@dataclass(frozen=True)
class OptimizerSpec:
    """How a loss is minimised.

    Attributes:
        method: ``lbfgs``: full batch, with a line search for the strong Wolfe conditions.
        max_iterations: after which the fit is given up and reported as not converged.
        tolerance: converged when the loss could fall by no more than about this, in nats. Moving
            one parameter by a seventh of its standard error costs 0.01 nats.
        memory: past steps that L-BFGS keeps.
    """

    method: Literal["lbfgs"] = "lbfgs"
    max_iterations: int = 500
    tolerance: float = 0.01
    memory: int = 20

    def __post_init__(self) -> None:
        if self.method != "lbfgs":
            raise ModelError(f"no optimiser is called {self.method!r}; there is 'lbfgs'.")
        if self.max_iterations < 1 or not self.tolerance > 0:
            raise ModelError(
                "an optimiser needs at least one iteration and a positive tolerance; found "
                f"max_iterations={self.max_iterations}, tolerance={self.tolerance}."
            )


@final
@dataclass(frozen=True)
class Minimum:
    """What a minimisation reached.

    Attributes:
        converged: whether the expected gain is within the tolerance.
        loss_start: loss at the start, nats.
        loss: loss reached, nats.
        iterations: iterations taken.
        gradient_norm: Euclidean norm of the gradient, in nats per unit of raw parameter.
        expected_gain: how much further the loss could fall, to second order, nats.
        message: why it stopped.
    """

    converged: bool
    loss_start: float
    loss: float
    iterations: int
    gradient_norm: float
    expected_gain: float
    message: str


def minimise(
    objective: Objective,
    flat: FlatParameters,
    spec: OptimizerSpec,
    covariance: Callable[[torch.Tensor], torch.Tensor],
    progress: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Minimise an objective over parameters, which are left at the best point found.

    Args:
        objective: computes the loss, 0-d, from the parameters' present values.
        flat: the parameters.
        spec: method and limits.
        covariance: approximate inverse Hessian times a vector. It makes steps the right length in
            every direction, and says how much a gradient is worth in nats.
        progress: called with the iteration and the loss.

    Raises:
        FloatingPointError: the loss or its gradient is not finite at the start.
    """
    start = flat.read()
    first, gradient = flat.value_and_gradient(objective, start)
    if not math.isfinite(first) or not torch.isfinite(gradient).all():
        raise FloatingPointError("the loss or its gradient is not finite at the start")
    if not flat.size:
        return Minimum(True, first, first, 0, 0.0, 0.0, "nothing to fit")
    best = Iterate(start, first, gradient)

    def evaluate(at: torch.Tensor) -> tuple[float, torch.Tensor]:
        loss, slope = flat.value_and_gradient(objective, at)
        if not math.isfinite(loss) or not torch.isfinite(slope).all():
            # The line search turns back from a high wall; it cannot turn back from a NaN.
            return best.value + 1e6 * (1 + abs(best.value)), torch.zeros_like(slope)
        return loss, slope

    def gain(point: Iterate) -> float:
        return 0.5 * float(point.gradient @ covariance(point.gradient))

    losses = [first]
    converged = gain(best) <= spec.tolerance / 10
    stopped = "converged"
    if not converged:
        stopped = "the line search found nothing better"
        for point in lbfgs(evaluate, best, spec.memory, covariance):
            best = point
            losses.append(point.value)
            iteration = len(losses) - 1
            if progress is not None and iteration % _LOOK == 0:
                progress(iteration, point.value)
            fell = losses[-min(_LOOK, len(losses))] - point.value
            left = gain(point)
            # The gain trusts an approximate curvature; the fall of several steps trusts nothing.
            settled = left <= spec.tolerance and fell <= 10 * spec.tolerance
            if settled or left <= _NEGLIGIBLE * spec.tolerance:
                converged = True
                break
            if iteration >= spec.max_iterations:
                stopped = f"stopped after {iteration} iterations"
                break
    flat.write(best.at)
    left = gain(best)
    if not converged:
        # Where nothing better is found, rounding decides: a gain this small is not worth more.
        converged = left <= 10 * spec.tolerance and stopped.startswith("the line")
    return Minimum(
        converged,
        first,
        best.value,
        len(losses) - 1,
        float(best.gradient.norm()),
        left,
        "converged" if converged else stopped,
    )
