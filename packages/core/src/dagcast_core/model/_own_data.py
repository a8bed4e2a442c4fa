"""Inputs and targets of a unit: what its models are fitted to on their own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._loss import FitnessTerm
from dagcast_core.model._model import input_from
from dagcast_core.model._regularisation import ParameterTerm
from dagcast_core.model._unit import Part, Unit
from dagcast_core.tensor import IndexTensor, Panel


def build_unit(
    collection: ModelCollection,
    names: Sequence[str],
    history: Panel,
    values: Mapping[str, IndexTensor],
    hidden: Mapping[str, IndexTensor],
) -> Unit:
    """Collect inputs and targets for the own-data fit of some models.

    Args:
        collection: holds the models.
        names: the models of the unit, in order.
        history: observed quantities.
        values: complete inputs: observed where possible, predicted where latent.
        hidden: by quantity, 1 in cells whose value was missing and had to be filled; outputs there
            are not compared.

    Raises:
        ModelError: an input is missing.
    """
    leaves = collection.leaves
    parts: list[Part] = []
    produced: set[str] = set()
    for name in names:
        leaf = leaves[name]
        terms = list(leaf.loss_terms())
        through = frozenset(
            q for term in terms if isinstance(term, FitnessTerm) for q in term.through
        )
        live = tuple(
            item.name
            for item in leaf.contract.inputs
            if item.name in produced and (item.name in through or item.name not in values)
        )
        fixed = {
            item.name: input_from(leaf.contract, item, values).detach()
            for item in leaf.contract.inputs
            if item.name not in live
        }
        part = Part(name, leaf, fixed, live, through)
        part.priors = [term for term in terms if isinstance(term, ParameterTerm)]
        produced.update(leaf.contract.output_names)
        parts.append(part)
    unit = Unit(parts)
    _attach_targets(unit, history, hidden)
    return unit


def _attach_targets(unit: Unit, history: Panel, hidden: Mapping[str, IndexTensor]) -> None:
    outputs: dict[str, IndexTensor] | None = None
    for part in unit.parts:
        terms = [term for term in part.model.loss_terms() if isinstance(term, FitnessTerm)]
        if not terms:
            continue
        if outputs is None:
            outputs = unit.outputs()
        for term in terms:
            like = outputs[term.name]
            target = term.target(history, like)
            for quantity in part.model.contract.input_names:
                if quantity in hidden:
                    target = target.masked(_seen(hidden[quantity], like))
            part.data.append((term, target))


def _seen(hidden: IndexTensor, like: IndexTensor) -> torch.Tensor:
    """Which cells of a prediction have no filled input; layout of ``like``."""
    extra = tuple(dim for dim in hidden.dims if dim not in like.dims)
    if extra:
        hidden = hidden.max(*extra)
    wanted = {dim: like.index(dim) for dim in hidden.dims}
    laid = hidden.reindex(wanted, fill=0.0)
    shared = tuple(dim for dim in like.dims if dim in laid.dims)
    shape = [like.sizes[dim] if dim in shared else 1 for dim in like.dims]
    return (laid.values(*shared).reshape(shape) == 0).expand(tuple(like.tensor.shape))
