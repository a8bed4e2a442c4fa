"""Loss terms: fitness to data, agreement with experiments, and what keeps parameters sensible.

Every term is a negative log likelihood (or log prior) in nats, so that weight 1 is its own scale
and terms of different units can be added: ``L = sum_i weight_i * term_i``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, final

import torch

from dagcast_core.contract import Quantity
from dagcast_core.model._errors import ModelError
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._target import Target, target_of
from dagcast_core.tensor import IndexTensor, Panel

CellWeights: TypeAlias = "str | Callable[[Panel], IndexTensor]"

# Below this a rate is numerically zero; logarithms are taken of nothing smaller.
_TINY = 1e-12


class LossTerm(ABC):
    """One weighted term of a model's loss."""

    weight: float


@dataclass(frozen=True)
class FitnessTerm(LossTerm):
    """How well a predicted quantity matches its history; cells that are NaN there do not count.

    Args:
        quantity: the output that is compared, or its name.
        weight: factor on the term; below 1 where cells are far from independent.
        weights: relative weight of each cell: name of a quantity of the history, or a function of
            the history; scaled to mean 1 over the observed cells.
        half_life: hours after which a cell counts half; counted back from the end of the history.
        through: latent inputs through which the gradient reaches the models that produce them.
            All others are held at their prediction, so that confounded data cannot move another
            model's causal parameters.
    """

    quantity: Quantity | str
    weight: float = 1.0
    _: KW_ONLY
    weights: CellWeights | None = None
    half_life: float | None = None
    through: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        check_weight(self.weight, type(self).__name__, self.name)
        # A lone name in parentheses is text, whose letters would be taken for names.
        object.__setattr__(
            self, "through", (self.through,) if isinstance(self.through, str) else self.through
        )
        if self.half_life is not None and not self.half_life > 0:
            raise ModelError(
                f"half_life of {type(self).__name__}({self.name!r}) is {self.half_life!r}; "
                "expected a positive number of hours."
            )

    @property
    def name(self) -> str:
        """Name of the quantity."""
        return self.quantity if isinstance(self.quantity, str) else self.quantity.name

    def target(self, history: Panel, like: IndexTensor) -> Target:
        """The history of the quantity on the labels of ``like``, with a weight per cell."""
        return target_of(self.name, history, like, self.weights, self.half_life)

    def value(self, predicted: IndexTensor, target: Target) -> torch.Tensor:
        """Negative log likelihood in nats, up to a constant; 0-d.

        Args:
            predicted: the labels that ``target`` was made for, in the same layout.
            target: what `FitnessTerm.target` returned.
        """
        return self.weight * self.nats(predicted.tensor, target)

    @abstractmethod
    def nats(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """The unweighted term on raw tensors of one layout."""

    @abstractmethod
    def information(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """Fisher information of each cell about its prediction, unweighted; 0 where hidden."""


@final
@dataclass(frozen=True)
class SquaredError(FitnessTerm):
    """Gaussian errors whose size is estimated with the parameters.

    The scale is profiled out, ``n / 2 * log(sum(w e^2) / n)``, so the term weighs as much as the
    likelihood says whatever the unit; ``sigma`` fixes it instead.

    Args:
        log: errors of the logarithm; cells whose actual value is not positive do not count.
        sigma: standard deviation of an error, if it is known.
    """

    log: bool = False
    sigma: float | None = None

    def nats(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """The unweighted term on raw tensors of one layout."""
        squares, count, _ = self._squares(predicted, target)
        if self.sigma is not None:
            return 0.5 * squares / self.sigma**2
        if not float(count):
            return squares * 0.0
        return 0.5 * count * torch.log(squares / count)

    def information(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """Fisher information of each cell about its prediction, unweighted; 0 where hidden."""
        squares, count, weight = self._squares(predicted, target)
        variance = self.sigma**2 if self.sigma is not None else squares / count.clamp(min=1.0)
        return weight / variance / (predicted.clamp(min=_TINY) ** 2 if self.log else 1.0)

    def _squares(
        self, predicted: torch.Tensor, target: Target
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weighted sum of squared errors, effective number of cells, and their weights."""
        actual, weight, count = target.actual, target.weight, target.count
        if self.log:
            weight = torch.where(actual > 0, weight, torch.zeros_like(weight))
            count = (target.decay * (weight > 0)).sum()
            actual = actual.clamp(min=_TINY).log()
            predicted = predicted.clamp(min=_TINY).log()
        hidden = torch.zeros_like(actual)
        # `where` before squaring: a hidden cell then has gradient 0 even if its error is huge.
        error = torch.where(weight > 0, predicted - actual, hidden)
        spread = torch.where(weight > 0, actual, hidden)
        # A perfect fit must not send the logarithm to minus infinity.
        floor = 1e-12 * (weight * spread * spread).sum().clamp(min=_TINY)
        return (weight * error * error).sum() + floor, count, weight


@final
@dataclass(frozen=True)
class Poisson(FitnessTerm):
    """Counts, or rates of counts, whose variance is ``dispersion`` times their mean.

    The value is half the deviance over the dispersion: 0 for a perfect fit.
    """

    dispersion: float = 1.0

    def nats(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """The unweighted term on raw tensors of one layout."""
        actual = target.actual
        mean = predicted.clamp(min=1e-8)
        loss = mean - actual + torch.xlogy(actual, actual) - actual * mean.log()
        hidden = torch.zeros_like(loss)
        return torch.where(target.weight > 0, target.weight * loss, hidden).sum() / self.dispersion

    def information(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """Fisher information of each cell about its prediction, unweighted; 0 where hidden."""
        return target.weight / predicted.clamp(min=1e-8) / self.dispersion


@final
@dataclass(frozen=True)
class NegativeBinomial(FitnessTerm):
    """Counts with variance ``mean + mean^2 / concentration``.

    Args:
        concentration: a number, or a scalar parameter that is learned (positive).
    """

    concentration: float | LabelledParameter = 10.0

    def nats(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """The unweighted term on raw tensors of one layout."""
        actual, size = target.actual, self._size()
        mean = predicted.clamp(min=1e-8)
        loss = (
            torch.lgamma(size)
            + torch.lgamma(actual + 1)
            - torch.lgamma(actual + size)
            + size * torch.log1p(mean / size)
            + actual * (torch.log(mean + size) - mean.log())
        )
        return torch.where(target.weight > 0, target.weight * loss, torch.zeros_like(loss)).sum()

    def information(self, predicted: torch.Tensor, target: Target) -> torch.Tensor:
        """Fisher information of each cell about its prediction, unweighted; 0 where hidden."""
        mean = predicted.clamp(min=1e-8)
        return target.weight / (mean + mean * mean / self._size().detach())

    def _size(self) -> torch.Tensor:
        if not isinstance(self.concentration, LabelledParameter):
            return torch.tensor(self.concentration, dtype=torch.float64)
        size = self.concentration.value().tensor
        if size.ndim:
            raise ModelError(
                f"the concentration of NegativeBinomial({self.name!r}) has dims "
                f"{self.concentration.dims}; expected a scalar parameter."
            )
        return size


@final
@dataclass(frozen=True)
class ExperimentAgreement(LossTerm):
    """Weight of an experiment in the fit: ``weight * (effect - estimate)^2 / (2 se^2)``.

    `fit` adds every experiment it is given with weight 1; a term in a model overrides that weight,
    and 0 leaves the experiment out.

    Args:
        experiment: name of the experiment.
        weight: factor on the term.
    """

    experiment: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight(self.weight, "ExperimentAgreement", self.experiment)


def check_weight(weight: float, kind: str, name: str) -> None:
    """Refuse weights that are negative or not finite.

    Raises:
        ModelError: the weight is one of these.
    """
    if not 0 <= weight < float("inf"):
        raise ModelError(f"weight of {kind}({name!r}) is {weight!r}; expected 0 or more.")
