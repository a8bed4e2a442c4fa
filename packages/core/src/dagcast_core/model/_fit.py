"""Fitting: each model on its own data, then all of them jointly with the experiments."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._collection import ModelCollection, as_collection
from dagcast_core.model._evidence import as_experiment_set
from dagcast_core.model._fitting import Fitting, Progress
from dagcast_core.model._laplace import laplace
from dagcast_core.model._model import Model
from dagcast_core.model._report import FitReport
from dagcast_core.model._warm import Warm, copy_values
from dagcast_core.model._widening import Widening
from dagcast_core.tensor import Panel


def fit(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment] = (),
    *,
    warm: Warm | None = None,
    draws: int | None = None,
    progress: Progress | None = None,
    joint: bool = True,
    widening: Widening | None = None,
    only: Iterable[str] | None = None,
    seed: int = 0,
    archive: Panel | None = None,
) -> FitReport:
    """Fit a model in place.

    First each model is fitted to its own data, producers first: observed inputs are the true ones,
    latent inputs are what the models upstream predict, without their gradient. Experiments whose
    whole path lies in one model take part in its own fit. Then models on a path of an experiment
    that crosses models move jointly, anchored at their own fits.

    Args:
        model: a model or a collection; parameters that do not require a gradient are held.
        history: observed quantities; NaN marks a missing cell.
        experiments: measured effects, each with weight 1 unless a model says otherwise.
        warm: a fitted model of the same form, or its state, to start from; models are then not
            given their closed-form start.
        draws: number of Laplace draws of the parameters to add to the report.
        progress: called with model name, iteration and loss.
        joint: whether to take the joint step.
        widening: how experiments lose information with age, dose and brevity.
        only: names of members to fit; others keep their parameters but predict.
        seed: of the draws.
        archive: a longer history for the cells of experiments that began before ``history``; by
            default the history itself, whose first weeks then stand in for them, with a note.

    Returns:
        What was reached; look at ``status``, or call ``raise_unconverged()``.

    Raises:
        ModelError: a quantity that a model reads or is compared with is missing.
        ExperimentError: an experiment does not fit the models or the history.
        NonFiniteError: a loss or gradient is not finite; it names the model and the cells.
    """
    began = time.monotonic()
    collection = as_collection(model)
    measured = as_experiment_set(experiments)
    fitting = Fitting(
        collection,
        history,
        measured,
        widening or Widening(),
        progress,
        _chosen(collection, only),
        archive,
    )
    if warm is not None:
        copy_values(collection, warm)
    fitting.fit_own(start=warm is None)
    moved = fitting.fit_together() if joint else None
    report = fitting.report(moved, time.monotonic() - began)
    if draws is None:
        return report
    units, evidence = fitting.certain()
    sample = laplace(model, units, evidence, draws, seed)
    return replace(report, draws=sample, seconds=time.monotonic() - began)


def _chosen(collection: ModelCollection, only: Iterable[str] | None) -> frozenset[str]:
    if only is None:
        return frozenset(collection.order)
    return frozenset(leaf for name in only for leaf in collection.leaves_within(name))
