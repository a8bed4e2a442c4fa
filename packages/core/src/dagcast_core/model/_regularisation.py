"""Terms on parameters alone: log priors in nats."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, final

import torch

from dagcast_core.contract import Dim
from dagcast_core.model._errors import ModelError
from dagcast_core.model._loss import LossTerm, check_weight
from dagcast_core.model._parameter import LabelledParameter


class ParameterTerm(LossTerm):
    """A term on one parameter."""

    parameter: LabelledParameter

    def value(self, noise: torch.Tensor | None = None) -> torch.Tensor:
        """The weighted term; 0-d.

        Args:
            noise: standard normal, in the shape of `standardised`: the term then stands for
                another draw of what is believed, as a bootstrap needs it.
        """
        apart = self.standardised()
        if noise is not None:
            apart = apart - noise
        return 0.5 * (apart * apart).sum()

    @abstractmethod
    def standardised(self) -> torch.Tensor:
        """Distances from what is believed, in standard deviations, the weight included."""


@final
@dataclass(frozen=True)
class Ridge(ParameterTerm):
    """``weight / 2 * sum((value - toward)^2)``: a normal prior with variance ``1 / weight``.

    Args:
        parameter: what is held.
        toward: centre, in the parameter's own unit; a number or an array over its dims.
        weight: precision of the prior.
        unconstrained: measure the distance before the transform, e.g. in logs for ``exp``.
    """

    parameter: LabelledParameter
    toward: Any = 0.0
    weight: float = 1.0
    unconstrained: bool = False

    def __post_init__(self) -> None:
        check_weight(self.weight, "Ridge", self.parameter.label)

    def standardised(self) -> torch.Tensor:
        """Distances from what is believed, in standard deviations, the weight included."""
        toward = torch.as_tensor(self.toward, dtype=torch.float64)
        if self.unconstrained:
            distance = self.parameter.raw - self.parameter.transform.inverse(toward)
        else:
            distance = self.parameter.value().tensor - toward
        return math.sqrt(self.weight) * distance


@final
@dataclass(frozen=True)
class PartialPooling(ParameterTerm):
    """Labels of one dim as draws around their common mean, in unconstrained space.

    Args:
        parameter: what is pooled.
        dim: dim whose labels are alike, e.g. region.
        scale: standard deviation between labels; towards 0 they become equal.
        weight: factor on the term.

    Source: Gelman & Hill (2006), chapter 12.
    """

    parameter: LabelledParameter
    dim: Dim | str
    scale: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight(self.weight, "PartialPooling", self.parameter.label)
        if not self.scale > 0:
            raise ModelError(
                f"scale of PartialPooling({self.parameter.label!r}) is {self.scale!r}; expected a "
                "positive standard deviation between labels."
            )
        axis_of(self.parameter, self.dim)

    def standardised(self) -> torch.Tensor:
        """Distances from what is believed, in standard deviations, the weight included."""
        raw, axis = self.parameter.raw, axis_of(self.parameter, self.dim)
        return math.sqrt(self.weight) / self.scale * (raw - raw.mean(dim=axis, keepdim=True))


@final
@dataclass(frozen=True)
class Smoothness(ParameterTerm):
    """``weight / 2`` times the squared steps between neighbours along a dim, unconstrained.

    Args:
        parameter: what is smoothed.
        dim: dim along which labels have an order, e.g. hour of week.
        weight: precision of one step.
        periodic: whether the last label neighbours the first.
        order: 1 penalises steps, 2 bends.
    """

    parameter: LabelledParameter
    dim: Dim | str
    weight: float = 1.0
    periodic: bool = False
    order: int = 1

    def __post_init__(self) -> None:
        check_weight(self.weight, "Smoothness", self.parameter.label)
        if self.order not in (1, 2):
            raise ModelError(
                f"order of Smoothness({self.parameter.label!r}) is {self.order!r}; expected 1 or 2."
            )
        axis_of(self.parameter, self.dim)

    def standardised(self) -> torch.Tensor:
        """Distances from what is believed, in standard deviations, the weight included."""
        axis = axis_of(self.parameter, self.dim)
        steps: torch.Tensor = self.parameter.raw
        for _ in range(self.order):
            steps = steps.roll(-1, axis) - steps if self.periodic else steps.diff(dim=axis)
        return math.sqrt(self.weight) * steps


def axis_of(parameter: LabelledParameter, dim: Dim | str) -> int:
    """Position of a dim among a parameter's dims.

    Raises:
        ModelError: the parameter lacks the dim.
    """
    name = dim if isinstance(dim, str) else dim.name
    if name not in parameter.dims:
        raise ModelError(
            f"parameter {parameter.label!r} has no dim {name!r}; it has "
            f"{', '.join(parameter.dims) or 'none'}."
        )
    return parameter.dims.index(name)
