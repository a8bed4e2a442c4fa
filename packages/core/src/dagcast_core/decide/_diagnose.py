"""Why a problem has no plan, or a model no value: named rows, labels, amounts and cells."""

from __future__ import annotations

import torch

from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._declare import DecisionError
from dagcast_core.decide._linear import EmptySetError
from dagcast_core.decide._smooth import NonFiniteError
from dagcast_core.decide._sqp import Options, Solution
from dagcast_core.model import ModelCollection

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


def explain_infeasible(compiled: Compiled, solution: Solution, options: Options) -> tuple[str, ...]:
    """Rows that cannot all be kept, with the least relaxation of each in its own unit.

    The rows are those whose multiplier sits at its cap where the sum of relative violations is
    least: the dual proof that no decision keeps them all. Rows with the same label that stand at
    their limit are in their way, and are named with them.
    """
    smooth = compiled.smooth
    rows = smooth.rows

    excess = rows.sign * (solution.outcomes - rows.limit)
    relative = excess / rows.scale
    broken = torch.nonzero(relative > options.violation).flatten().tolist()
    held = [k for k in torch.nonzero(solution.elastic).flatten().tolist() if k not in broken]
    out = []
    for k in sorted(broken, key=lambda k: -float(relative[k])):
        name = compiled.outcomes[k]
        out.append(
            f"{name} is missed by {float(excess[k]):.4g} {name.unit} (relax it to "
            f"{float(solution.outcomes[k]):.6g} {name.unit})"
        )
    out += [f"{compiled.outcomes[k]} stands in the way" for k in held]
    spends = [
        (float(price) * name.limit, name)
        for price, name in zip(solution.budget_prices, compiled.budgets, strict=True)
        if float(price) > 0
    ]
    if spends:
        # The budget that holds most of them back; its relaxation is the alternative.
        out.append(f"{max(spends, key=lambda pair: pair[0])[1]} stands in the way")
    return tuple(out)


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


def first_exploding(compiled: Compiled, x: torch.Tensor, cell: int) -> tuple[str, str]:
    """Sub-model and quantity with whose output the slope of a cell first grows out of proportion.

    The quantity, in the order of the models, whose slope in the cell is largest against the median
    slope of its cells, among those above a thousandth of the largest such ratio.
    """
    leaf = x.detach().clone().requires_grad_(True)
    outputs = compiled.forecast(leaf)
    model = compiled.models[0]
    producer = dict(model.wiring.producer) if isinstance(model, ModelCollection) else {}
    ratios: dict[str, float] = {}
    for name, tensor in outputs.items():
        if not tensor.tensor.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(
            tensor.tensor.sum(), leaf, retain_graph=True, materialize_grads=True
        )
        size = gradient.abs()
        usual = float(size[size > 0].median()) if bool((size > 0).any()) else 0.0
        # A quantity all of whose slopes are alike is judged by its own size.
        own = float(tensor.tensor.detach().abs().sum()) / max(float(x.abs().sum()), 1e-12)
        ratios[name] = float(size[cell]) / max(min(usual, own), 1e-300)
    if not ratios:
        return model.contract.model, "its outputs"
    most = max(ratios.values())
    name = next(name for name, ratio in ratios.items() if ratio >= 1e-3 * most)
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
