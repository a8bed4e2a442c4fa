"""Which sub-model makes the error: its own, or what it inherits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from dagcast_core.contract import nearest
from dagcast_core.model import Model, ModelCollection, ModelError
from dagcast_core.tensor import IndexTensor, Panel


@final
@dataclass(frozen=True)
class ErrorShare:
    """Mean absolute error of one observed quantity, split by where it comes from.

    Attributes:
        member: the model that makes the quantity.
        quantity: name.
        own: error where the member reads what truly happened, unit of the quantity.
        total: error where it reads what the others predict.
    """

    member: str
    quantity: str
    own: float
    total: float

    @property
    def inherited(self) -> float:
        """What the predictions of others add; negative where errors cancel."""
        return self.total - self.own


@final
@dataclass(frozen=True)
class Diagnosis:
    """Errors of every observed quantity, producers first."""

    rows: tuple[ErrorShare, ...]

    def to_json(self) -> dict[str, Any]:
        """Figures as plain values."""
        return {"rows": [{**asdict(row), "inherited": row.inherited} for row in self.rows]}


def diagnose(collection: ModelCollection, panel: Panel) -> Diagnosis:
    """Split the error of each observed quantity into its model's own and the inherited part.

    Args:
        collection: fitted.
        panel: inputs and observed outputs; NaN marks a missing cell.

    Returns:
        One row for each output that the panel holds.
    """
    rows = []
    with torch.no_grad():
        predicted = collection.predict(panel)
        for name in collection.order:
            contract = collection.leaves[name].contract
            observed = [q for q in contract.output_names if q in panel]
            if not observed:
                continue
            alone = collection.predict(panel, isolated=[name])
            rows += [
                ErrorShare(name, q, _error(alone[q], panel[q]), _error(predicted[q], panel[q]))
                for q in observed
            ]
    return Diagnosis(tuple(rows))


def partial_derivative(model: Model, panel: Panel, outcome: str, by: str) -> IndexTensor:
    """Derivative of an outcome's sum with respect to each cell of an input.

    Args:
        model: a model or a collection.
        panel: its inputs.
        outcome: an output.
        by: an input with real values.

    Returns:
        dims of the input; unit of ``outcome`` per unit of ``by``. Zero where nothing depends on it.

    Raises:
        ModelError: a name is unknown, or the input is not real-valued.
    """
    for name, known, kind in (
        (outcome, model.contract.output_names, "output"),
        (by, model.contract.input_names, "input"),
    ):
        if name not in known:
            near = nearest(name, list(known))
            raise ModelError(
                f"{model.contract.model} has no {kind} {name!r}."
                + (f" Near: {near!r}." if near else f" It has {', '.join(known)}.")
            )
    given = panel[by]
    if not given.tensor.is_floating_point():
        raise ModelError(f"{by!r} holds {given.dtype}; only real values have a derivative.")
    varied = given.with_tensor(given.tensor.detach().clone().requires_grad_(True)).named(by)
    total = model.predict(panel.assign({by: varied}))[outcome].tensor.sum()
    gradient = (
        torch.autograd.grad(total, varied.tensor, allow_unused=True)[0]
        if total.requires_grad
        else None
    )
    if gradient is None:
        gradient = torch.zeros_like(varied.tensor)
    return given.with_tensor(gradient).named(f"d {outcome} / d {by}")


def _error(forecast: IndexTensor, actual: IndexTensor) -> float:
    observed = actual.values(*forecast.dims)
    return float(torch.nanmean((forecast.tensor - observed).abs()))
