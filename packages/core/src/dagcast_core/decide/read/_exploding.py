"""Slopes out of all proportion, and the sub-model that they come from."""

from __future__ import annotations

import torch

from dagcast_core.decide.compile import Compiled
from dagcast_core.model import ModelCollection

__all__ = ["first_exploding"]


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
