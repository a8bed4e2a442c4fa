"""Draws of a model's parameters, and how a model takes one of them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from dagcast_core.model._errors import ModelError
from dagcast_core.model._model import Model
from dagcast_core.model._parameter import LabelledParameter


@final
@dataclass(frozen=True)
class ParameterDraws:
    """Draws from the posterior of a model's parameters.

    In each draw a label unseen in training, such as a new region, is like one of the trained
    labels, chosen at random and the same for all parameters: what is known of it is that it is one
    of their kind, so its intervals are as wide as they differ.

    Attributes:
        states: by name in the model's state dict, values with a leading axis of draws; parameters
            that were held are absent.
        method: ``laplace`` or ``bootstrap``.
        seed: that they were made with.
    """

    states: Mapping[str, torch.Tensor]
    method: str
    seed: int

    def __len__(self) -> int:
        return min((len(values) for values in self.states.values()), default=0)

    def stand_in(self, draw: int) -> float:
        """Where among the trained labels unseen ones find their like in one draw, from 0 to 1."""
        return float(np.random.default_rng((self.seed, draw)).random())

    def parameters_of(self, model: Model) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """The model's parameters that were drawn, each with its values by draw.

        Raises:
            ModelError: the model is not the one that was drawn from.
        """
        own = dict(model.named_parameters())
        unknown = [name for name in self.states if name not in own]
        if unknown:
            raise ModelError(
                f"these draws are of another model: it has no parameter {unknown[0]!r}."
            )
        return [(own[name], values) for name, values in self.states.items()]

    @contextmanager
    def applied_to(self, model: Model, draw: int) -> Iterator[None]:
        """Inside the block the model has the parameters of one draw.

        Raises:
            ModelError: the model is not the one that was drawn from.
        """
        drawn = self.parameters_of(model)
        kept = [parameter.detach().clone() for parameter, _ in drawn]
        labelled = [m for m in model.modules() if isinstance(m, LabelledParameter)]
        place = self.stand_in(draw)
        try:
            with torch.no_grad():
                for parameter, values in drawn:
                    parameter.copy_(values[draw])
            for module in labelled:
                module.stand_in = place
            yield
        finally:
            for module in labelled:
                module.stand_in = None
            with torch.no_grad():
                for (parameter, _), values in zip(drawn, kept, strict=True):
                    parameter.copy_(values)
