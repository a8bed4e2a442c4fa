"""What a solved point says to people: shadow prices in words, marginal effects, sensitivities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, RowName, ShadowPrice
from dagcast_core.decide.declare import summed_unit
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["marginal_effects", "objective_unit", "shadow_prices"]

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
