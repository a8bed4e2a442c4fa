"""Slopes out of all proportion, and the sub-model that they come from."""

from __future__ import annotations

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.model import ModelCollection
from dagcast_core.solver import Solution

__all__ = ["exploding"]

# A cell whose millionth part would move the objective by the whole lift.
_EXPLODES = 1e6


def _first_exploding(
    compiled: Compiled, x: torch.Tensor, cell: int, room: float
) -> tuple[str, str]:
    """Sub-model and quantity with whose output the slope of a cell first grows out of proportion.

    The first quantity, in the order of the models, that the cell's whole room would move, at that
    slope, by a multiple of its total within a thousandth of the largest such multiple.
    """
    leaf = x.detach().clone().requires_grad_(True)
    outputs = compiled.forecaster.forecast(leaf)
    model = compiled.problem.model
    producer = dict(model.wiring.producer) if isinstance(model, ModelCollection) else {}
    multiples: dict[str, float] = {}
    for name, tensor in outputs.items():
        if not tensor.tensor.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(
            tensor.tensor.sum(), leaf, retain_graph=True, materialize_grads=True
        )
        total = float(tensor.tensor.detach().abs().sum())
        multiples[name] = float(gradient[cell].abs()) * room / max(total, 1e-300)
    if not multiples:
        return model.contract.model, "its outputs"
    most = max(multiples.values())
    name = next(name for name, multiple in multiples.items() if multiple >= 1e-3 * most)
    return str(producer.get(name, model.contract.model)), name


def exploding(compiled: Compiled, solution: Solution) -> list[str]:
    """A remark where a slope is out of all proportion, with the sub-model that it comes from."""
    linear = compiled.smooth.linear
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, torch.ones_like(reach))
    for x, place in ((solution.x, "at the plan"), (linear.lower, "at the lower bounds")):
        leaf = x.detach().clone().requires_grad_(True)
        objective, _ = compiled.smooth.evaluate(leaf)
        if not objective.requires_grad:
            continue
        (slope,) = torch.autograd.grad(objective, leaf, materialize_grads=True)
        if not bool(torch.isfinite(slope).all()):
            # The solver never asked there; nothing hangs on it.
            continue
        size = slope.abs() * room
        if float(size.max()) <= _EXPLODES * max(solution.yardstick, 1e-300):
            continue
        cell = int(size.argmax())
        member, quantity = _first_exploding(compiled, x, cell, float(room[cell]))
        return [
            f"the gradient explodes {place}: {float(slope[cell]):.1e} per unit at "
            f"{compiled.space.where(cell)}, first in {quantity!r} of {member!r}. Bound the lever "
            "away from there, or clamp the argument of its logarithm, power or division."
        ]
    return []
