"""What a solved point says to people: shadow prices in words, marginal effects, sensitivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dagcast_core.decide._compile import Compiled, RowName
from dagcast_core.decide._plan import Sensitivity, ShadowPrice
from dagcast_core.decide._problem import summed_unit
from dagcast_core.model import ModelCollection, Residual
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["marginal_effects", "objective_unit", "sensitivities", "shadow_prices"]

_BINDING = 1e-4


def objective_unit(compiled: Compiled) -> str:
    """Unit of the objective: of its quantity, summed over hours; mixed for several units."""
    units = {
        summed_unit(compiled.problem.quantity(name).unit)
        if compiled.problem.quantity(name).time_dim is not None
        else compiled.problem.quantity(name).unit
        for name in compiled.problem.objective.weights
    }
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
    records = []
    for names, values, prices in (
        (compiled.budgets, spent, budget_prices),
        (compiled.outcomes, outcomes, row_prices),
    ):
        for k, name in enumerate(names):
            price = sense * float(prices[k])
            records.append(
                _record(name, float(values[k]), price, unit, compiled.problem.objective.name)
            )
    return tuple(records)


def _record(name: RowName, used: float, price: float, unit: str, objective: str) -> ShadowPrice:
    scale = max(abs(name.limit), 1e-12)
    binding = abs(used - name.limit) <= _BINDING * scale and price != 0.0
    at = f" of {name.label}" if name.label else ""
    if price == 0.0:
        words = (
            f"{name.name}{at} is at {used:.6g} {name.unit}, limit {name.sense} {name.limit:.6g}: "
            "moving the limit changes nothing."
        )
    else:
        verb = "adds" if price > 0 else "costs"
        unit_text = "1 unit" if name.unit == "1" else f"1 {name.unit}"
        words = (
            f"Raising the limit on {name.name}{at} ({name.sense} {name.limit:.6g} {name.unit}) by "
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
    """Change of each quantity, summed over its cells, per unit of lever in each cell.

    And of the objective.

    Keys are ``quantity`` for one lever, ``quantity/lever`` for several.
    """
    leaf = x.detach().clone().requires_grad_(True)
    levers = compiled.space.panel(leaf)
    outputs = compiled.run({**compiled.context, **levers})
    sign = 1.0 if compiled.problem.objective.sense == "max" else -1.0
    totals: dict[str, Tensor] = {"objective": sign * compiled.objective_of(outputs)}
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
    outputs = _scaled_run(compiled, {**compiled.context, **inputs}, x, factors)
    levers = compiled.space.panel(x)
    objective = compiled.objective_of(outputs)
    outcomes = _outcomes(compiled, outputs, levers, inputs)
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


def _outcomes(
    compiled: Compiled,
    outputs: Mapping[str, IndexTensor],
    levers: Mapping[str, IndexTensor],
    inputs: Mapping[str, IndexTensor],
) -> Tensor:
    return compiled.outcomes_of({**outputs, **inputs}, levers)


def _scaled_run(
    compiled: Compiled,
    context: Mapping[str, IndexTensor],
    x: Tensor,
    factors: Mapping[str, Tensor],
) -> Mapping[str, IndexTensor]:
    """Forecast in which every predicted quantity is multiplied by a factor of its own, all 1."""
    known = {**context, **compiled.space.panel(x)}
    model = compiled.models[0]
    if not factors or not isinstance(model, ModelCollection):
        return compiled.run(known)
    with torch.no_grad():
        shapes = compiled.run(known)
    residuals = dict(compiled.problem.residuals)
    for name, factor in factors.items():
        like = shapes[name]
        ones = torch.ones_like(like.tensor)
        own = residuals.get(name)
        ratio = ones * factor if own is None else own.ratio.values(*like.dims) * factor
        shift = torch.zeros_like(ones) if own is None else own.shift.values(*like.dims)
        residuals[name] = Residual(like.with_tensor(ratio), like.with_tensor(shift * factor))
    return model.propagate(known, residuals=residuals)
