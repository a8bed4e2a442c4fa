"""The fit of one unit to its own data: curvatures and held inputs follow the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from dagcast_core.model._optimizer import Minimum, OptimizerSpec, minimise
from dagcast_core.model._precision import precision_of
from dagcast_core.model._unit import Unit

# Most often that inputs held within a unit are brought up to date in its own fit.
_SETTLING = 8
# Iterations after which the curvature that scales the steps is taken anew.
_CURVATURE_LASTS = 20


def settled(unit: Unit, spec: OptimizerSpec, report: Callable[[int, float], None]) -> Minimum:
    """Minimise a unit's own loss with curvatures, and held inputs, that follow the parameters."""
    total = _leg(unit, spec, 0, report)
    while not total.converged and total.iterations < spec.max_iterations:
        again = _leg(unit, spec, total.iterations, report)
        stuck = again.iterations == 0
        total = _after(total, again)
        if stuck:
            break
    return total


def _leg(
    unit: Unit, spec: OptimizerSpec, done: int, report: Callable[[int, float], None]
) -> Minimum:
    """One leg of a minimisation: with one curvature, until it converges or has to look anew."""
    precision = precision_of(unit)
    limit = min(_CURVATURE_LASTS, spec.max_iterations - done)

    def covariance(vector: torch.Tensor) -> torch.Tensor:
        return precision.solve(vector.unsqueeze(-1)).squeeze(-1)

    def tell(iteration: int, loss: float) -> None:
        report(done + iteration, loss)

    leg = replace(spec, max_iterations=limit)
    total = minimise(unit.loss, unit.flat, leg, covariance, tell)
    for _ in range(_SETTLING):
        # Held inputs follow the parameters until they no longer move them.
        if not total.converged or not unit.refresh():
            break
        again = minimise(unit.loss, unit.flat, leg, covariance, tell)
        total = _after(total, again)
        if not again.iterations:
            break
    return total


def _after(first: Minimum, second: Minimum) -> Minimum:
    """Two minimisations in a row as one."""
    return replace(
        second,
        loss_start=first.loss_start,
        iterations=first.iterations + second.iterations,
    )


def nothing_to_fit(unit: Unit) -> Minimum:
    """What is reported of a unit whose parameters are held."""
    loss = sum(unit.losses().values())
    return Minimum(True, loss, loss, 0, 0.0, 0.0, "nothing to fit")
