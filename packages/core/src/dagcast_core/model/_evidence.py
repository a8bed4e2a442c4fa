"""Experiments set against a collection: what it says, what was measured, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.dims import HOUR
from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._effect import Cuts, ExperimentalEffect
from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._flat import FlatParameters, pieces
from dagcast_core.model._loss import ExperimentAgreement
from dagcast_core.model._widening import Widening, WideningFactors
from dagcast_core.tensor import Panel

# Hours of the history that count as "today" when doses are compared.
_RECENT = 4 * 168
_CONFLICT_Z = 3.0


@final
class Evidence:
    """Several experiments with the covariance of their errors, widened and weighted.

    Args:
        collection: the models.
        history: covers the experiments' cells.
        experiments: what was measured.
        widening: how standard errors grow with age, dose and brevity.
        weights: factor on an experiment's term, by name; 1 where absent.
        cuts: parts of the history cut out before, see `ExperimentalEffect`.

    Attributes:
        effects: the modelled effect of each experiment, to be called.
        covariance: of the estimates, after widening and weighting; (experiment, experiment).
        factors: the widening of each experiment.

    Raises:
        ExperimentError: an experiment does not fit the models or the history.
    """

    def __init__(
        self,
        collection: ModelCollection,
        history: Panel,
        experiments: ExperimentSet,
        widening: Widening,
        weights: Mapping[str, float],
        cuts: Cuts | None = None,
    ) -> None:
        self.experiments = tuple(experiments)
        self.effects = tuple(
            ExperimentalEffect(collection, history, experiment, cuts)
            for experiment in self.experiments
        )
        self.factors = tuple(_factors(effect, history, widening) for effect in self.effects)
        self.estimates = torch.tensor(
            [experiment.estimate for experiment in self.experiments], dtype=torch.float64
        )
        scale = torch.tensor(
            [
                math.sqrt(factor.total / weights.get(experiment.name, 1.0))
                for experiment, factor in zip(self.experiments, self.factors, strict=True)
            ],
            dtype=torch.float64,
        )
        measured = covariance_of(experiments)
        self.covariance = measured * scale.unsqueeze(0) * scale.unsqueeze(1)
        self._factor = torch.linalg.cholesky(self.covariance) if len(self.effects) else measured

    def __len__(self) -> int:
        return len(self.effects)

    def residuals(self) -> torch.Tensor:
        """Modelled effect minus estimate, by experiment.

        Raises:
            ExperimentError: a modelled effect is not finite.
        """
        modelled = [effect() for effect in self.effects]
        for experiment, value in zip(self.experiments, modelled, strict=True):
            if not torch.isfinite(value):
                raise ExperimentError(
                    experiment.name,
                    f"the modelled effect of {', '.join(experiment.levers)} on "
                    f"{experiment.outcome} is not finite. Look at the path with debug().",
                )
        return torch.stack(modelled) - self.estimates

    def errors(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws of the experiments' errors; (experiment, count)."""
        noise = torch.randn((len(self), count), generator=generator, dtype=torch.float64)
        return self._factor @ noise

    def misfit(self) -> torch.Tensor:
        """``r' S^-1 r / 2`` with the residuals ``r``; 0-d, nats."""
        if not self.effects:
            return torch.zeros((), dtype=torch.float64)
        half: torch.Tensor = torch.linalg.solve_triangular(
            self._factor, self.residuals().unsqueeze(-1), upper=False
        )
        return 0.5 * (half * half).sum()

    def linearised(
        self, flats: Sequence[FlatParameters]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Residuals, and their derivatives by the parameters of each of several units.

        Returns:
            Residuals (experiment,), and one matrix (experiment, value) per unit.
        """
        parameters = [parameter for flat in flats for parameter in flat.parameters]
        joined = FlatParameters(parameters)
        with torch.enable_grad():
            residuals = self.residuals()
            rows = [joined.gradient_kept(residual) for residual in residuals]
        matrix = torch.stack(rows) if rows else torch.zeros((0, joined.size), dtype=torch.float64)
        return residuals.detach(), tuple(pieces(matrix, [flat.size for flat in flats], dim=1))


def as_experiment_set(experiments: ExperimentSet | Iterable[Experiment]) -> ExperimentSet:
    """Experiments as a set; a bare iterable has no covariances between them."""
    if isinstance(experiments, ExperimentSet):
        return experiments
    return ExperimentSet(tuple(experiments))


def covariance_of(experiments: ExperimentSet) -> torch.Tensor:
    """Covariance of the estimates as measured; (experiment, experiment)."""
    names = [experiment.name for experiment in experiments]
    matrix = torch.diag(
        torch.tensor([e.standard_error**2 for e in experiments], dtype=torch.float64)
    )
    for group, block in experiments.covariances.items():
        places = [names.index(member.name) for member in experiments.members(group)]
        for row, values in zip(places, block, strict=True):
            for column, value in zip(places, values, strict=True):
                matrix[row, column] = value
    return matrix


def weights_of(collection: ModelCollection) -> dict[str, float]:
    """Weights that models give to experiments by name, where they give one."""
    weights: dict[str, float] = {}
    for leaf in collection.leaves.values():
        for term in leaf.loss_terms():
            if isinstance(term, ExperimentAgreement):
                weights[term.experiment] = term.weight
    return weights


@final
@dataclass(frozen=True)
class Conflict:
    """Two experiments that measured the same thing and cannot both be right.

    Attributes:
        first: name of one,
        second: name of the other.
        estimates: what they measured.
        z: difference over its standard error.
    """

    first: str
    second: str
    estimates: tuple[float, float]
    z: float

    def __str__(self) -> str:
        return (
            f"{self.first} measured {self.estimates[0]:.4g} and {self.second} "
            f"{self.estimates[1]:.4g} for the same change: {self.z:.1f} standard errors apart. "
            "No model can agree with both; find out which one to trust."
        )


def conflicts_among(experiments: ExperimentSet, limit: float = _CONFLICT_Z) -> tuple[Conflict, ...]:
    """Pairs of experiments on the same arms and overlapping regions that contradict each other.

    Args:
        experiments: compared pairwise.
        limit: how many standard errors apart is a contradiction.
    """
    covariance = covariance_of(experiments)
    found: list[Conflict] = []
    items = tuple(experiments)
    for i, first in enumerate(items):
        for j in range(i + 1, len(items)):
            second = items[j]
            if not _comparable(first, second):
                continue
            variance = covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]
            z = abs(first.estimate - second.estimate) / math.sqrt(float(variance))
            if z > limit:
                pair = (first.estimate, second.estimate)
                found.append(Conflict(first.name, second.name, pair, z))
    return tuple(found)


def _comparable(first: Experiment, second: Experiment) -> bool:
    same = (
        first.levers == second.levers
        and first.outcome == second.outcome
        and first.scale == second.scale
        and first.reduce == second.reduce
        and first.cells.local_hours == second.cells.local_hours
        and first.cells.counted_hours == second.cells.counted_hours
        and bool(set(first.cells.labels) & set(second.cells.labels))
    )
    if not same or first.scale == "elasticity":
        return same
    return (first.control.changes, first.treatment.changes) == (
        second.control.changes,
        second.treatment.changes,
    )


def _factors(effect: ExperimentalEffect, history: Panel, widening: Widening) -> WideningFactors:
    experiment = effect.experiment
    lever = experiment.levers[0]
    now = pd.Timestamp(experiment.cells.end)
    today = math.nan
    for quantity in history:
        if HOUR.name in history[quantity].dims:
            now = max(now, history[quantity].index(HOUR)[-1])
    if lever in history:
        given = history[lever]
        recent = given.index(HOUR)[-_RECENT:] if HOUR.name in given.dims else None
        if recent is not None:
            given = given.sel(hour=recent)
        if experiment.cells.dim in given.dims:
            given = given.sel({experiment.cells.dim: list(experiment.cells.labels)})
        today = float(given.tensor.nanmean())
    return widening.factors(experiment, now, effect.dose()[1], today)
