"""What a solved point says to people: shadow prices in words, marginal effects, sensitivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._plan import Sensitivity, ShadowPrice
from dagcast_core.decide._problem import summed_unit
from dagcast_core.decide._rows import RowName
from dagcast_core.model import ModelCollection, Residual
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["marginal_effects", "objective_unit", "sensitivities", "shadow_prices"]

_BINDING = 1e-4


def objective_unit(compiled: Compiled) -> str:
    """Unit of the objective: as declared, or of its quantity, summed over hours.

    "mixed" for several units, "1" for a function without a declared unit.
    """
    declared = compiled.problem.objective.unit
    if declared is not None:
        return declared
    units = {
        summed_unit(compiled.problem.quantity(name).unit)
        if compiled.problem.quantity(name).time_dim is not None
        else compiled.problem.quantity(name).unit
        for name in compiled.problem.objective.weights
    }
    if not units:
        return "1"
    return units.pop() if len(units) == 1 else "mixed"


def shadow_prices(
    compiled: Compiled, x: Tensor, outcomes: Tensor, budget_prices: Tensor, row_prices: Tensor
) -> tuple[ShadowPrice, ...]:
    """One record per row; ``row_prices`` are d objective / d limit of the maximised objective."""
    linear = compiled.smooth.linear
    used = [layer.sums(x) for layer in linear.budgets]
    spent = torch.cat(used) if used else torch.zeros(0, dtype=x.dtype)
    sense = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    unit = objective_unit(compiled)
    kept = _kept(compiled, x)
    records = []
    for names, values, prices, shares in (
        (compiled.budgets, spent, budget_prices, None),
        (compiled.outcomes, outcomes, row_prices, kept),
    ):
        for k, name in enumerate(names):
            price = sense * float(prices[k])
            record = _record(name, float(values[k]), price, unit, compiled.problem.objective.name)
            records.append(record if shares is None else replace(record, kept=shares[k]))
    return tuple(records)


def _kept(compiled: Compiled, x: Tensor) -> list[float] | None:
    """Share of the draws that keep each outcome row, give or take rounding."""
    if compiled.scenarios is None:
        return None
    rows = compiled.smooth.rows
    with torch.no_grad():
        _, found = compiled.by_draw({**compiled.context, **compiled.space.panel(x)})
    excess = rows.sign * (found - rows.limit) / rows.scale
    return [float(share) for share in (excess <= 1e-6).double().mean(0)]


def _record(name: RowName, used: float, price: float, unit: str, objective: str) -> ShadowPrice:
    scale = max(abs(name.limit), 1e-12)
    binding = abs(used - name.limit) <= _BINDING * scale and price != 0.0
    at = f" of {name.label}" if name.label else ""
    if price == 0.0:
        words = (
            f"{name.name}{at} is at {name.amount(used)}, limit {name.sense} {name.limit:.6g}: "
            "moving the limit changes nothing."
        )
    else:
        verb = "adds" if price > 0 else "costs"
        unit_text = "1 unit" if name.unit == "1" else f"1 {name.unit}"
        words = (
            f"Raising the limit on {name.name}{at} ({name.sense} {name.amount(name.limit)}) by "
            f"{unit_text} {verb} {abs(price):.4g} {unit} of {objective}."
        )
    return ShadowPrice(
        name.kind,
        name.name,
        name.label,
        name.sense,
        name.limit,
        used,
        name.unit,
        price,
        f"{unit} per {name.unit}",
        binding,
        words,
    )


def marginal_effects(compiled: Compiled, x: Tensor, names: Sequence[str]) -> Panel:
    """Change of the objective and each quantity, summed over cells, per unit of lever in each cell.

    Keys are ``quantity`` for one lever, ``quantity/lever`` for several.
    """
    leaf = x.detach().clone().requires_grad_(True)
    levers = compiled.space.panel(leaf)
    known = {**compiled.context, **levers}
    outputs = compiled.run(known)
    sign = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    # Over draws, the objective is their measure; the other effects are at the fitted parameters.
    objective = (
        compiled.objective_of({**known, **outputs})
        if compiled.scenarios is None
        else compiled.evaluate(leaf)[0]
    )
    totals: dict[str, Tensor] = {"objective": sign * objective}
    for name in names:
        if name in outputs:
            totals[name] = outputs[name].tensor.sum()
    found: dict[str, IndexTensor] = {}
    for name, total in totals.items():
        if not total.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(total, leaf, retain_graph=True, materialize_grads=True)
        for lever, tensor in compiled.space.panel(gradient).items():
            key = name if len(levers) == 1 else f"{name}/{lever}"
            found[key] = tensor.named(key)
    return Panel(found)


def sensitivities(
    compiled: Compiled, x: Tensor, row_prices: Tensor
) -> tuple[tuple[Sensitivity, ...], Panel]:
    """Envelope theorem: d optimum / d quantity = d Lagrangian / d quantity at the optimum.

    Returns:
        Effects of +1 % by quantity, inputs of the context and predicted quantities alike; and for
        inputs the gradient by cell.
    """
    with torch.no_grad():
        shapes = compiled.forecast(x)
    inputs = {
        name: tensor.with_tensor(tensor.tensor.detach().clone().requires_grad_(True))
        for name, tensor in compiled.context.items()
        if tensor.tensor.is_floating_point() and name in compiled.problem.contract.input_names
    }
    factors = {}
    if isinstance(compiled.problem.model, ModelCollection):
        factors = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in shapes}
    known = {**compiled.context, **inputs, **compiled.space.panel(x)}
    objective, outcomes = compiled.values(known, scaled_residuals(compiled, shapes, factors))
    # row_prices = d objective / d limit = sign * y, so the Lagrangian is objective - prices
    # (outcome - limit).
    lagrangian = objective - (row_prices * outcomes).sum()
    wanted = [*(t.tensor for t in inputs.values()), *factors.values()]
    if not wanted or not lagrangian.requires_grad:
        return (), Panel()
    gradients = torch.autograd.grad(lagrangian, wanted, materialize_grads=True)
    sense = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    unit = objective_unit(compiled)
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
