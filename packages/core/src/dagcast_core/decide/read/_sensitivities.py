"""How the optimum moves with inputs and predicted quantities, by the envelope theorem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.model import ModelCollection, Residual
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Sensitivity", "scaled_residuals", "sensitivities"]


def sensitivities(
    compiled: Compiled, x: Tensor, row_prices: Tensor
) -> tuple[tuple[Sensitivity, ...], Panel]:
    """Envelope theorem: d optimum / d quantity = d Lagrangian / d quantity at the optimum.

    Returns:
        Effects of +1 % by quantity, inputs of the context and predicted quantities alike; and for
        inputs the gradient by cell.
    """
    with torch.no_grad():
        shapes = compiled.forecaster.forecast(x)
    inputs = {
        name: tensor.with_tensor(tensor.tensor.detach().clone().requires_grad_(True))
        for name, tensor in compiled.forecaster.context.items()
        if tensor.tensor.is_floating_point() and name in compiled.problem.contract.input_names
    }
    factors = {}
    if isinstance(compiled.problem.model, ModelCollection):
        factors = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in shapes}
    known = {**compiled.forecaster.context, **inputs, **compiled.space.panel(x)}
    objective, outcomes = compiled.evaluation.values(
        known, scaled_residuals(compiled, shapes, factors)
    )
    # row_prices = d objective / d limit = sign * y, so the Lagrangian is objective - prices
    # (outcome - limit).
    lagrangian = objective - (row_prices * outcomes).sum()
    wanted = [*(t.tensor for t in inputs.values()), *factors.values()]
    if not wanted or not lagrangian.requires_grad:
        return (), Panel()
    gradients = torch.autograd.grad(lagrangian, wanted, materialize_grads=True)
    sense = compiled.goal.sign
    unit = compiled.goal.unit
    records: list[Sensitivity] = []
    cells: dict[str, IndexTensor] = {}
    for (name, tensor), gradient in zip(inputs.items(), gradients, strict=False):
        cells[name] = tensor.with_tensor(sense * gradient)
        _append(
            records,
            name,
            0.01 * sense * float((gradient * tensor.tensor.detach()).sum()),
            unit,
            compiled,
        )
    for name, gradient in zip(factors, gradients[len(inputs) :], strict=True):
        if name not in compiled.problem.objective.weights:
            _append(records, name, 0.01 * sense * float(gradient), unit, compiled)
    return tuple(sorted(records, key=lambda item: -abs(item.effect))), Panel(cells)


def _append(
    records: list[Sensitivity], name: str, effect: float, unit: str, compiled: Compiled
) -> None:
    if effect == 0.0:
        return
    verb = "raises" if effect > 0 else "lowers"
    goal = compiled.problem.objective.name
    words = f"1 % more {name} {verb} the best {goal} by {abs(effect):.4g} {unit}."
    records.append(Sensitivity(name, effect, unit, words))


def scaled_residuals(
    compiled: Compiled, shapes: Mapping[str, IndexTensor], factors: Mapping[str, Tensor]
) -> Mapping[str, Residual]:
    """Residuals under which predicted quantities are multiplied by factors of their own.

    Args:
        compiled: the problem.
        shapes: a forecast, for dims and labels.
        factors: by quantity, 0-d.
    """
    residuals = dict(compiled.problem.residuals)
    for name, factor in factors.items():
        like = shapes[name]
        ones = torch.ones_like(like.tensor)
        own = residuals.get(name)
        ratio = ones * factor if own is None else own.ratio.values(*like.dims) * factor
        shift = torch.zeros_like(ones) if own is None else own.shift.values(*like.dims)
        residuals[name] = Residual(like.with_tensor(ratio), like.with_tensor(shift * factor))
    return residuals


@final
@dataclass(frozen=True)
class Sensitivity:
    """How the optimum, or an outcome at the plan, moves with something else.

    Attributes:
        name: an input of the context, a quantity that a model predicts, or a parameter.
        effect: change of the best objective, or of the outcome asked about, if it is 1 % higher
            everywhere (or by the change that was asked for).
        unit: of the effect.
        words: the same in one sentence.
    """

    name: str
    effect: float
    unit: str
    words: str
