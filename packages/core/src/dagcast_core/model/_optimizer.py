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
_LOOK = 10
_PROBES = 2


@final
@dataclass(frozen=True)
class OptimizerSpec:
    """How a loss is minimised.

    Attributes:
        method: ``lbfgs``: full batch, with a line search for the strong Wolfe conditions.
        max_iterations: after which the fit is given up and reported as not converged.
        tolerance: converged when the loss could fall by no more than about this, in nats. 0.001
            nats is a hundredth of what moving one parameter by half its standard error costs.
        memory: past steps that L-BFGS keeps.
    """

    method: Literal["lbfgs"] = "lbfgs"
    max_iterations: int = 500
    tolerance: float = 1e-3
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
    progress: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Minimise an objective over parameters, which are left at the best point found.

    Variables are scaled by their curvature first, so that one tolerance in nats means the same
    for a level in sessions per hour and for an elasticity.

    Args:
        objective: computes the loss, 0-d, from the parameters' present values.
        flat: the parameters.
        spec: method and limits.
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
    scale = _scale(objective, flat, start)
    run = _Run(objective, flat, start, scale, first, gradient)
    if run.expected_gain(gradient) > spec.tolerance / 10:
        _lbfgs(run, spec, progress)
    flat.write(run.best_at)
    gain = run.expected_gain(run.best_gradient)
    converged = run.converged or gain <= spec.tolerance / 10
    message = "converged" if converged else f"stopped after {run.iterations} iterations"
    return Minimum(
        converged,
        first,
        run.best,
        run.iterations,
        float(run.best_gradient.norm()),
        gain,
        message,
    )


class _Run:
    """State of one minimisation: the scaled objective and the best point seen."""

    def __init__(
        self,
        objective: Objective,
        flat: FlatParameters,
        start: torch.Tensor,
        scale: torch.Tensor,
        loss: float,
        gradient: torch.Tensor,
    ) -> None:
        self.objective, self.flat, self.start, self.scale = objective, flat, start, scale
        self.best, self.best_at, self.best_gradient = loss, start.clone(), gradient
        self.iterations = 0
        self.converged = False

    def expected_gain(self, gradient: torch.Tensor) -> float:
        """Half the squared gradient in units of curvature."""
        scaled = gradient * self.scale
        return 0.5 * float(scaled @ scaled)

    def evaluate(self, moved: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Loss and gradient at scaled coordinates; a wall where the loss is not finite."""
        at = self.start + self.scale * moved
        loss, gradient = self.flat.value_and_gradient(self.objective, at)
        if not math.isfinite(loss) or not torch.isfinite(gradient).all():
            # The line search turns back from a high wall; it cannot turn back from a NaN.
            return self.best + 1e6 * (1 + abs(self.best)), moved.clone()
        if loss < self.best:
            self.best, self.best_at, self.best_gradient = loss, at, gradient
        return loss, gradient * self.scale


def _lbfgs(run: _Run, spec: OptimizerSpec, progress: Callable[[int, float], None] | None) -> None:
    losses = [run.best]
    start = Iterate(torch.zeros_like(run.start), run.best, run.best_gradient * run.scale)
    for point in lbfgs(run.evaluate, start, spec.memory):
        run.iterations += 1
        losses.append(point.value)
        if progress is not None and run.iterations % _LOOK == 0:
            progress(run.iterations, point.value)
        gain = 0.5 * float(point.gradient @ point.gradient)
        fell = losses[-min(_LOOK, len(losses))] - point.value
        # The gain neglects correlations between parameters; the fall of many steps does not.
        if run.iterations >= _LOOK and gain <= spec.tolerance and fell <= 10 * spec.tolerance:
            run.converged = True
            return
        if run.iterations >= spec.max_iterations:
            return
    # The line search finds nothing better: converged to rounding, or truly stuck.
    run.converged = run.expected_gain(run.best_gradient) <= 10 * spec.tolerance


def _scale(objective: Objective, flat: FlatParameters, at: torch.Tensor) -> torch.Tensor:
    """One over the root of each parameter's own curvature, by Hutchinson's estimate."""
    generator = torch.Generator().manual_seed(0)
    diagonal = torch.zeros_like(at)
    for _ in range(_PROBES):
        signs = torch.randint(0, 2, at.shape, generator=generator).to(at.dtype) * 2 - 1
        diagonal += signs * flat.curvature_along(objective, at, signs) / _PROBES
    diagonal = torch.where(torch.isfinite(diagonal), diagonal.abs(), torch.ones_like(diagonal))
    # A parameter without curvature here must not take steps without bound.
    floor = max(1e-6 * float(diagonal.max()), 1e-2)
    return diagonal.clamp(min=floor).rsqrt()
