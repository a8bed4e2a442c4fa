"""Marginal effects: what one more unit of lever in a cell does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["marginal_effects"]


def marginal_effects(compiled: Compiled, x: Tensor, names: Sequence[str]) -> Panel:
    """Change of the objective and each quantity, summed over cells, per unit of lever in each cell.

    Keys are ``quantity`` for one lever, ``quantity/lever`` for several.
    """
    leaf = x.detach().clone().requires_grad_(True)
    levers = compiled.space.panel(leaf)
    known = {**compiled.forecaster.context, **levers}
    outputs = compiled.forecaster.run(known)
    sign = compiled.goal.sign
    # Over draws, the objective is their measure; the other effects are at the fitted parameters.
    objective = (
        compiled.goal.maximised({**known, **outputs})
        if compiled.evaluation.scenarios is None
        else compiled.smooth.evaluate(leaf)[0]
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
