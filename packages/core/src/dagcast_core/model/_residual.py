"""What a model did not foresee: the part of an actual value that its prediction lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.contract import Quantity
from dagcast_core.tensor import IndexTensor, align

# A ratio far from 1 says that the prediction was near 0; the rest is then carried additively.
_RATIO = 20.0


@final
@dataclass(frozen=True)
class Residual:
    """``actual = ratio * predicted + shift``, cell by cell.

    Quantities that cannot be negative have a multiplicative residual, so that a counterfactual
    prediction keeps its sign; all others, and those that a model declares to be sums, an additive
    one with ratio 1.

    Attributes:
        ratio: dims as the quantity.
        shift: dims as the quantity, its unit.
        bounds: of the quantity; counterfactual values stay within.
    """

    ratio: IndexTensor
    shift: IndexTensor
    bounds: tuple[float | None, float | None] = (None, None)

    def applied_to(self, predicted: IndexTensor) -> IndexTensor:
        """The value that would have happened where the model predicts ``predicted``."""
        with align("exact"):
            moved = predicted * self.ratio + self.shift
        low, high = self.bounds
        if low is not None or high is not None:
            moved = moved.clamp(min=low, max=high)
        return moved.named(predicted.name)


@final
@dataclass(frozen=True)
class Residuals(Mapping[str, Residual]):
    """Residuals by quantity."""

    by_quantity: Mapping[str, Residual]

    def __getitem__(self, quantity: str) -> Residual:
        return self.by_quantity[quantity]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_quantity)

    def __len__(self) -> int:
        return len(self.by_quantity)

    def only(self, quantities: Iterable[str]) -> Residuals:
        """Those of the named quantities, where they exist."""
        wanted = set(quantities)
        return Residuals({q: r for q, r in self.by_quantity.items() if q in wanted})


def residual_of(
    quantity: Quantity, predicted: IndexTensor, actual: IndexTensor, *, added: bool = False
) -> Residual:
    """Compare a prediction with what happened.

    Cells that were not observed, or that the model could not predict because an input of the past
    is missing there, get ratio 1 and shift 0: nothing is known of what surprised it.

    Args:
        quantity: its lower bound decides between a multiplicative and an additive residual.
        predicted: dims and labels of the result.
        actual: the same labels, in any order; NaN where nothing was observed.
        added: whether it is additive whatever the bound; see `Model.sums`.
    """
    happened = aligned_values(actual, predicted)
    foreseen = predicted.tensor.detach()
    # A prediction that is no number is not fed on: 1 stands in, and its surprise is none.
    known = torch.isfinite(foreseen)
    observed = torch.isfinite(happened) & known
    foreseen = torch.where(known, foreseen, torch.ones_like(foreseen))
    happened = torch.where(observed, happened, foreseen)
    ratio = torch.ones_like(foreseen)
    if quantity.bounds[0] == 0.0 and not added:
        safe = torch.where(foreseen > 0, foreseen, torch.ones_like(foreseen))
        ratio = torch.where(foreseen > 0, happened / safe, ratio).clamp(1 / _RATIO, _RATIO)
    shift = happened - ratio * foreseen
    return Residual(predicted.with_tensor(ratio), predicted.with_tensor(shift), quantity.bounds)


def aligned_values(given: IndexTensor, like: IndexTensor) -> torch.Tensor:
    """Raw values of ``given`` in the layout of ``like``; NaN on labels it lacks."""
    if given.layout is like.layout:
        return given.tensor.detach()
    wanted = {dim: like.index(dim) for dim in like.dims}
    return given.double().reindex(wanted, fill=float("nan")).values(*like.dims).detach()


def filled(actual: IndexTensor, predicted: IndexTensor) -> IndexTensor:
    """Actual values, and predicted ones where nothing was observed."""
    happened = aligned_values(actual, predicted)
    known = torch.isfinite(happened)
    if bool(known.all()):
        return predicted.with_tensor(happened)
    return predicted.with_tensor(torch.where(known, happened, predicted.tensor))
