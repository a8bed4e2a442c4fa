"""What follows from draws of parameters: distributions of forecasts and effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from dagcast_core.contract import Experiment
from dagcast_core.dims import HOUR
from dagcast_core.model._collection import as_collection
from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._effect import ExperimentalEffect
from dagcast_core.model._errors import ModelError
from dagcast_core.model._many import ManyEffects
from dagcast_core.model._model import Model
from dagcast_core.model._residual import Residual, Residuals
from dagcast_core.tensor import IndexTensor, Panel, stack

_WEEK = 168


def predict_draws(
    model: Model,
    panel: Panel,
    draws: ParameterDraws,
    quantities: Sequence[str] | None = None,
    *,
    history: Panel | None = None,
    seed: int = 0,
) -> Panel:
    """Predictions under each draw of the parameters.

    Args:
        model: what the draws are of.
        panel: its inputs.
        draws: of its parameters.
        quantities: outputs wanted; all by default.
        history: if given, each draw also gets what the model did not foresee in seven days of the
            past, chosen at random and laid over every week of the panel: a predictive
            distribution of what will happen, not only of its mean.
        seed: of the choice of days.

    Returns:
        The outputs with a leading dim ``draw``, labels 0, 1, ...

    Raises:
        ModelError: the draws are of another model, or the history is shorter than a week.
    """
    rng = np.random.default_rng(seed)
    collection = as_collection(model)
    residuals = collection.residuals(history) if history is not None else None
    wanted = tuple(quantities or model.contract.output_names)
    needed = collection.wiring.upstream(wanted)
    found: dict[str, list[IndexTensor]] = {name: [] for name in wanted}
    with torch.no_grad():
        for draw in range(len(draws)):
            with draws.applied_to(model, draw):
                surprise = None
                if residuals is not None:
                    surprise = _shifted_week(residuals, panel, rng, draws.stand_in(draw))
                predicted = collection.propagate(panel, only=needed, residuals=surprise)
                for name in wanted:
                    found[name].append(predicted[name])
    labels = list(range(len(draws)))
    return Panel({name: stack(values, "draw", labels) for name, values in found.items()})


def effect_draws(
    model: Model, history: Panel, experiment: Experiment, draws: ParameterDraws
) -> torch.Tensor:
    """The modelled effect of an experiment under each draw; (draw,).

    Raises:
        ExperimentError: see `effect_of`.
    """
    effect = ExperimentalEffect(as_collection(model), history, experiment)
    if len(draws) and effect.trained_labels():
        return ManyEffects([effect], [0]).at(draws.parameters_of(model)).squeeze(-1)
    # What stands in for a label unseen in training differs between draws, beside the parameters.
    values = []
    with torch.no_grad():
        for draw in range(len(draws)):
            with draws.applied_to(model, draw):
                values.append(effect())
    return torch.stack(values)


def _shifted_week(
    residuals: Residuals, panel: Panel, rng: np.random.Generator, stand_in: float
) -> Residuals:
    """Residuals of seven past days under the hours of the panel."""
    choice = float(rng.random())
    return Residuals(
        {
            quantity: Residual(
                _laid(residual.ratio, panel, choice, quantity, stand_in),
                _laid(residual.shift, panel, choice, quantity, stand_in),
                residual.bounds,
            )
            for quantity, residual in residuals.items()
            if HOUR.name in residual.ratio.dims
        }
    )


def _laid(
    given: IndexTensor, panel: Panel, choice: float, quantity: str, stand_in: float
) -> IndexTensor:
    known = given.index(HOUR)
    wanted = next(panel[q].index(HOUR) for q in panel if HOUR.name in panel[q].dims)
    if len(known) < _WEEK:
        raise ModelError(
            f"the history of {quantity!r} has {len(known)} hours; surprises are drawn in runs of "
            f"a week, so it needs {_WEEK} or more."
        )
    # A run of seven days from any day of the past, at the same hours of the day: what lasts for
    # days stays together, and there are seven times as many runs as whole weeks.
    days = (len(known) - _WEEK) // 24 + 1
    start = len(known) - _WEEK - 24 * int(choice * days)
    ahead = np.asarray((wanted - known[-1]) / pd.Timedelta(hours=1), dtype=np.int64) - 1
    places = start + ahead % _WEEK
    moved = given.isel(hour=places.tolist()).relabel(hour=wanted)
    for dim, labels in _other_labels(panel, given).items():
        found = given.index(dim).get_indexer(labels)
        # What surprises a new region is what surprised the one that stands for it.
        found = np.where(found < 0, int(stand_in * len(given.index(dim))), found)
        moved = moved.isel({dim: found.tolist()}).relabel({dim: labels})
    return moved


def _other_labels(panel: Panel, given: IndexTensor) -> dict[str, pd.Index]:
    """Labels of the panel along the dims of a tensor other than hours, where they differ."""
    wanted: dict[str, pd.Index] = {}
    for dim in given.dims:
        if dim == HOUR.name:
            continue
        for quantity in panel:
            if dim in panel[quantity].dims:
                if panel[quantity].index(dim) is not given.index(dim):
                    wanted[dim] = panel[quantity].index(dim)
                break
    return wanted
