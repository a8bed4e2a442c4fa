"""Starting a fit from an earlier one, by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch

from dagcast_core.model._collection import ModelCollection, as_collection
from dagcast_core.model._errors import ModelError
from dagcast_core.model._model import Model

Warm: TypeAlias = "Model | Mapping[str, torch.Tensor]"


def copy_values(collection: ModelCollection, warm: Warm) -> None:
    """Set parameters to those of an earlier fit.

    Args:
        collection: receives the values; parameters that do not require a gradient are held.
        warm: a model with the same members, whose labels may differ (new labels get the pooled
            value), or a state dict of a model with the same labels.

    Raises:
        ModelError: a state dict does not fit.
    """
    if not isinstance(warm, Model):
        try:
            collection.load_state_dict(dict(warm))
        except RuntimeError as error:
            raise ModelError(
                f"cannot start from this state: it is not one of {collection.contract.model} with "
                f"the same labels. {error}"
            ) from error
        return
    earlier = as_collection(warm).leaves
    for name, leaf in collection.leaves.items():
        if name not in earlier:
            continue
        known = dict(earlier[name].labelled_parameters())
        for key, parameter in leaf.labelled_parameters():
            source = known.get(key)
            if source is not None and source.dims == parameter.dims and parameter.raw.requires_grad:
                with torch.no_grad():
                    like = parameter.value()
                    raw = parameter.transform.inverse(source.at(like).tensor)
                    parameter.raw.copy_(raw)
        states = dict(earlier[name].named_buffers())
        for key, buffer in leaf.named_buffers():
            if key in states and states[key].shape == buffer.shape:
                buffer.copy_(states[key])
