"""How certain the response of a cell is, over draws of the parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.decide.compile import Forecaster, Run, Scenarios, objective_value
from dagcast_core.decide.declare import DecisionProblem, Fallback, Space
from dagcast_core.solver import DecisionError

__all__ = ["relative_width", "response_draws"]


def response_draws(problem: DecisionProblem, x: Tensor, quantity: str | None = None) -> Tensor:
    """Response of every cell under each draw, (draws, cells).

    Args:
        problem: with draws.
        x: (cells,) where responses are taken.
        quantity: an output, summed; the objective (as it is, not as it is maximised) by default.
    """
    assert problem.draws is not None
    space = problem.space()
    scenarios = Scenarios(problem.model, problem.draws)
    forecaster = Forecaster.of(problem, space)
    # A copy of the decisions for each draw: one backward pass then gives every draw's gradient.
    leaf = x.detach().expand(scenarios.count, -1).clone().requires_grad_(True)

    def total(run: Run, own: Tensor) -> Tensor:
        known = forecaster.known(own)
        outputs = run(known, problem.residuals)
        if quantity is not None:
            return outputs[quantity].tensor.sum()
        return objective_value(problem.objective, {**known, **outputs})

    totals = scenarios.with_own(total, leaf)
    if not totals.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(totals.sum(), leaf, materialize_grads=True)
    return gradient


def relative_width(problem: DecisionProblem, space: Space, item: Fallback, x: Tensor) -> Tensor:
    """Width of the interval over its middle, in the lever's shape; inf where the middle is 0."""
    found = response_draws(problem, x, item.quantity)
    own = found[:, space.slices[item.lever]]
    if not bool(torch.isfinite(own).all()):
        cell = int(torch.nonzero(~torch.isfinite(own))[0, 1]) + space.slices[item.lever].start
        raise DecisionError(
            f"the response at {space.where(cell)} is not finite under some draws, so its interval "
            "cannot be judged. Clamp the model there, or fix the cell."
        )
    edge = (1.0 - item.level) / 2.0
    low, middle, high = torch.quantile(
        own, torch.tensor([edge, 0.5, 1.0 - edge], dtype=own.dtype), dim=0
    )
    width = (high - low) / middle.abs()
    width = torch.where(high == low, torch.zeros_like(width), width)
    return width.reshape(space.templates[item.lever].shape)
