"""Why a problem has no plan, or a model no value: named rows, labels, amounts and cells."""

from __future__ import annotations

import torch

from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._declare import DecisionError
from dagcast_core.decide._linear import EmptySetError
from dagcast_core.decide._phase_one import PhaseOne, phase_one
from dagcast_core.decide._smooth import NonFiniteError
from dagcast_core.decide._sqp import Options
from dagcast_core.model import ModelCollection

# Slopes in the proof of rows that are broken, and of limits that hold others back.
_BROKEN = 0.999
_HOLDS = 1e-3
# So many rows are tried without, one by one.
_LOOKED_AT = 8

__all__ = ["explain_empty", "explain_infeasible", "explain_non_finite", "first_exploding"]


def explain_empty(compiled: Compiled, error: EmptySetError) -> DecisionError:
    """Bounds, budgets and ramps that contradict one another, in labels and amounts."""
    if error.kind == "bounds":
        cells = [compiled.space.where(place[0]) for place in error.places]
        return DecisionError(
            f"no decision keeps bounds, fixed cells and ramps at {', '.join(cells)}: the lower "
            "end is above the "
            "upper end once the ramp is applied. Widen the ramp there, or change the bounds or "
            "the fixed cells."
        )
    offsets = [0]
    for layer in compiled.smooth.linear.budgets:
        offsets.append(offsets[-1] + layer.limit.numel())
    parts = []
    for place, excess in zip(error.places, error.excess, strict=True):
        name = compiled.budgets[offsets[place[0]] + place[1]]
        parts.append(f"{name} is exceeded by {excess:.6g} {name.unit} even at the lower bounds")
    return DecisionError("; ".join(parts) + ". Raise the budget, or lower bounds or fixed cells.")


def explain_infeasible(compiled: Compiled, found: PhaseOne, options: Options) -> tuple[str, ...]:
    """Rows that cannot all be kept, with the least relaxation of each in its own unit.

    Rows that the decisions of least violation break come first; then rows that are kept only just
    and without which a broken one could be kept, and the budget that holds most back.
    """
    rows = compiled.smooth.rows
    excess = rows.sign * (found.outcomes - rows.limit)
    broken = [
        k
        for k in found.violations.argsort(descending=True).tolist()
        if float(found.violations[k]) > options.violation and float(found.weights[k]) >= _BROKEN
    ]
    out = []
    for k in broken:
        name = compiled.outcomes[k]
        out.append(
            f"{name} is missed by {float(excess[k]):.4g} {name.unit} (relax it to "
            f"{float(found.outcomes[k]):.6g} {name.unit})"
        )
    held = [str(compiled.outcomes[k]) for k in _needed(compiled, found, broken, options)]
    spends = [
        (float(weight), str(name))
        for weight, name in zip(found.budget_weights, compiled.budgets, strict=True)
        if float(weight) > _HOLDS
    ]
    if spends:
        # The budget that holds most back: raising it is the alternative to relaxing a row.
        held.append(max(spends)[1])
    return (*out, *(f"{name} stands in the way" for name in held))


def _needed(compiled: Compiled, found: PhaseOne, broken: list[int], options: Options) -> list[int]:
    """Rows that are kept only just and without which a broken row could be kept."""
    candidates = [
        k
        for k in found.weights.argsort(descending=True).tolist()
        if k not in broken and float(found.weights[k]) > _HOLDS
    ][:_LOOKED_AT]
    needed = []
    for k in candidates:
        dropped = torch.zeros(len(compiled.outcomes), dtype=torch.bool)
        dropped[k] = True
        without = phase_one(compiled.smooth, found.x, options, dropped)
        kept = without.violations[broken] <= 0.5 * found.violations[broken]
        if bool(kept.any()):
            needed.append(k)
    return needed


def explain_non_finite(compiled: Compiled, error: NonFiniteError) -> DecisionError:
    """Name the sub-model whose output or gradient is not finite, and the first bad cells."""
    where = [compiled.space.where(cell) for cell in error.cells] if error.what == "gradient" else []
    x = error.point if error.point is not None else compiled.smooth.linear.lower
    member, quantity, cells = _first_bad(compiled, x, error.what)
    place = f" in {', '.join(where)}" if where else ""
    source = f"it comes from {quantity!r} of {member!r}" + (f" at {cells}" if cells else "")
    return DecisionError(
        f"the {error.what} is not finite at {error.total} place(s){place}; {source}. "
        "Clamp the argument of its logarithm, power or division, or restrict the lever's bounds."
    )


def first_exploding(compiled: Compiled, x: torch.Tensor, cell: int, room: float) -> tuple[str, str]:
    """Sub-model and quantity with whose output the slope of a cell first grows out of proportion.

    The first quantity, in the order of the models, that the cell's whole room would move, at that
    slope, by a multiple of its total within a thousandth of the largest such multiple.
    """
    leaf = x.detach().clone().requires_grad_(True)
    outputs = compiled.forecast(leaf)
    model = compiled.models[0]
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


def _first_bad(compiled: Compiled, x: torch.Tensor, what: str) -> tuple[str, str, str]:
    """First output in topological order with a bad value, or the last one with a bad gradient."""
    leaf = x.detach().clone().requires_grad_(True)
    outputs = compiled.forecast(leaf)
    model = compiled.models[0]
    producer = dict(model.wiring.producer) if isinstance(model, ModelCollection) else {}
    for name, tensor in outputs.items():
        bad = torch.nonzero(~torch.isfinite(tensor.tensor.detach()))
        if bad.numel():
            at = ", ".join(
                str(tensor.index(dim)[int(i)]) for dim, i in zip(tensor.dims, bad[0], strict=True)
            )
            return str(producer.get(name, model.contract.model)), name, at
    for name, tensor in outputs.items():
        if not tensor.tensor.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(
            tensor.tensor.sum(), leaf, retain_graph=True, materialize_grads=True
        )
        if not bool(torch.isfinite(gradient).all()):
            cell = int(torch.nonzero(~torch.isfinite(gradient))[0])
            return str(producer.get(name, model.contract.model)), name, compiled.space.where(cell)
    return model.contract.model, "its outputs", what
