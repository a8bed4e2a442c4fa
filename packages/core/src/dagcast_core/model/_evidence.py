"""Experiments set against a collection: what it says, what was measured, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import pandas as pd
import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.dims import HOUR
from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._dispersion import Dispersion
from dagcast_core.model._doubt import APART, Doubt
from dagcast_core.model._effect import Cuts, ExperimentalEffect
from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._flat import FlatParameters, pieces
from dagcast_core.model._loss import ExperimentAgreement
from dagcast_core.model._many import ManyEffects, effects_by
from dagcast_core.model._shared_errors import errors_of, freedoms_of
from dagcast_core.model._space import Expectation, uncoupled, with_factors
from dagcast_core.model._student import Deviation, Scale
from dagcast_core.model._widening import Widening, WideningFactors
from dagcast_core.tensor import Panel

# Hours of the history that count as "today" when doses are compared.
_RECENT = 4 * 168
# Dispersion, scales and usable correlations depend on one another.
_TURNS = 2
_SWEEPS = 2


@final
@dataclass(frozen=True)
class _Block:
    """Experiments whose errors were measured together, and so err on one scale.

    Attributes:
        places: of the experiments.
        freedom: degrees of freedom of their errors' covariance; infinite where many.
    """

    places: list[int]
    freedom: float


@final
class Evidence:
    """Several experiments with the covariance of their errors, widened and weighted.

    Errors whose covariance has few degrees of freedom are Student's t: normal, on a scale that
    the residuals tell. Beside their errors true effects scatter about the modelled ones by a
    relative `dispersion`, which no parameters can follow. And a few experiments did not measure
    what they say. All three are learned by `settle`.

    Args:
        collection: the models.
        history: covers the experiments' cells.
        experiments: what was measured.
        widening: how standard errors grow with age, dose and brevity.
        weights: factor on an experiment's term, by name; 1 where absent.
        cuts: parts of the history cut out before, see `ExperimentalEffect`.

    Attributes:
        effects: the modelled effect of each experiment, to be called.
        covariance: of modelled effects about the estimates, errors and dispersion together, after
            widening and weighting; (experiment, experiment).
        dispersion: relative, of true effects about modelled ones.
        sizes: of the effects, which the dispersion is relative to; (experiment,).

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
        # By experiment, the place of the one whose run of both arms serves it.
        self._leaders = [
            max(
                (at for at, other in enumerate(self.effects) if other.covers(effect)),
                key=lambda at: (len(self.effects[at].path), -at),
            )
            for effect in self.effects
        ]
        self._widened = tuple(_factors(effect, history, widening) for effect in self.effects)
        self.estimates = _vector(e.estimate for e in self.experiments)
        self._deviations = _vector(e.standard_error for e in self.experiments)
        self._weights = _vector(weights.get(e.name, 1.0) for e in self.experiments)
        scale = (_vector(factor.total for factor in self._widened) / self._weights).sqrt()
        self._errors = errors_of(experiments) * scale.unsqueeze(0) * scale.unsqueeze(1)
        # A belief from the literature is no effect of this market: it says how wide it is itself.
        self._measured = _vector(float(e.design != "prior") for e in self.experiments)
        self._blocks = _blocks(experiments, freedoms_of(experiments))
        self._scales = [Scale.of(block.freedom) for block in self._blocks]
        self._doubtful = [
            Doubt.usual(self._measured[block.places], widening.doubt) for block in self._blocks
        ]
        self._doubts = self._doubtful
        self._kept = torch.ones(len(self.experiments), dtype=torch.float64)
        self.sizes = self._sizes(torch.zeros_like(self.estimates))
        self._usual = self.dispersion = Dispersion.usual(widening.form)
        self._take_stock()

    def __len__(self) -> int:
        return len(self.effects)

    @property
    def factors(self) -> tuple[WideningFactors, ...]:
        """The widening of each experiment; dispersion of its effect and doubt included."""
        variances = self._deviations.square()
        forms = (self.dispersion.level * self.sizes).square() / variances
        doubts = self._weights * self._doubted(self._trusted(self._now())) / variances
        return tuple(
            replace(factor, form=float(form), doubt=float(doubt))
            for factor, form, doubt in zip(self._widened, forms, doubts, strict=True)
        )

    def deviation(self, place: int, further: float) -> Deviation:
        """How one estimate may differ from an expectation, by chance.

        Args:
            place: of the experiment.
            further: variance of the expectation itself, less twice what both share.
        """
        freedom = next(block.freedom for block in self._blocks if place in block.places)
        error = float(self._errors[place, place])
        scatter = float(self._now()[place])
        return Deviation(error, max(scatter + further, 0.0), freedom)

    def doubt(self, place: int) -> float:
        """How likely an experiment did not measure what it says."""
        return float(self._shares()[place])

    def settle(self, expected: Expectation) -> None:
        """Learn dispersion, scales of errors, doubts, and which correlations can be used.

        Each depends on the others; they are taken in turn. A scale is judged by what all other
        experiments foresee: the fit itself is drawn to an estimate that claims to be sure.

        Args:
            expected: of these experiments by own data and priors alone.
        """
        if not len(self):
            return
        for _ in range(_TURNS):
            self.sizes = self._sizes(expected.after(self.covariance))
            self.dispersion = self._usual.learned(self._rescaled(expected, self._usual.values))
            self._rescaled(expected, torch.tensor(self.dispersion.level, dtype=torch.float64))
            self._kept = torch.ones_like(self._kept)
            self._kept = uncoupled(expected, self._with(self._now()))
            self._take_stock()

    def residuals(self) -> torch.Tensor:
        """Modelled effect minus estimate, by experiment.

        Raises:
            ExperimentError: a modelled effect is not finite.
        """
        modelled: dict[int, torch.Tensor] = {}
        for leader in dict.fromkeys(self._leaders):
            modelled.update(effects_by(self.effects, self._leaders, leader))
        return self._less_estimates(modelled)

    @torch.no_grad()
    def modelled(self) -> dict[str, float]:
        """The effects at the present parameters, by name of the experiment."""
        names = (experiment.name for experiment in self.experiments)
        found = self.residuals() + self.estimates if len(self) else self.estimates
        return dict(zip(names, found.tolist(), strict=True))

    def under_many(self) -> ManyEffects:
        """The effects as a function of many sets of parameters."""
        return ManyEffects(self.effects, self._leaders)

    def misfit(self) -> torch.Tensor:
        """``r' S^-1 r / 2`` with the residuals ``r``; 0-d, nats."""
        if not self.effects:
            return torch.zeros((), dtype=torch.float64)
        half: torch.Tensor = torch.linalg.solve_triangular(
            self._root, self.residuals().unsqueeze(-1), upper=False
        )
        return 0.5 * (half * half).sum()

    def drawn(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Covariances with scales, doubts and a dispersion drawn from what is believed of them.

        Returns:
            Covariances (draw, experiment, experiment) and dispersions (draw,).
        """
        levels = self.dispersion.draws(count, generator)
        scales = torch.ones((count, len(self)), dtype=torch.float64)
        doubted = torch.zeros((count, len(self)), dtype=torch.float64)
        for block, scale, doubt in zip(self._blocks, self._scales, self._doubts, strict=True):
            scales[:, block.places] = scale.draws(count, generator).unsqueeze(-1)
            doubted[:, block.places] = doubt.draws(count, generator)
        roots = scales.rsqrt()
        errors = with_factors(self._errors, self._kept)
        scatter = self._scatter(levels) + doubted * self._elsewhere()
        return errors * roots.unsqueeze(1) * roots.unsqueeze(2) + torch.diag_embed(scatter), levels

    def errors(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws of the experiments' errors; (experiment, count)."""
        noise = torch.randn((len(self), count), generator=generator, dtype=torch.float64)
        drawn: torch.Tensor = self._root @ noise
        return drawn

    def linearised(
        self, flats: Sequence[FlatParameters]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Residuals, and their derivatives by the parameters of each of several units.

        Returns:
            Residuals (experiment,), and one matrix (experiment, value) per unit.
        """
        parameters = [parameter for flat in flats for parameter in flat.parameters]
        joined = FlatParameters(parameters)
        modelled: dict[int, torch.Tensor] = {}
        matrix = torch.zeros((len(self), joined.size), dtype=torch.float64)
        for leader in dict.fromkeys(self._leaders):
            # One trial after the other: its graph is gone before the next one's is made.
            for place, (value, slope) in self._slopes_by(leader, joined).items():
                modelled[place], matrix[place] = value, slope
        residuals = self._less_estimates(modelled)
        return residuals, tuple(pieces(matrix, [flat.size for flat in flats], dim=1))

    @torch.enable_grad()
    def _slopes_by(
        self, leader: int, flat: FlatParameters
    ) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        """By place, effects that one run of both arms serves, with gradients but without graph."""
        return {
            place: (value.detach(), flat.gradient_kept(value))
            for place, value in effects_by(self.effects, self._leaders, leader).items()
        }

    def _less_estimates(self, modelled: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """Residuals from effects by place; (experiment,)."""
        for place, experiment in enumerate(self.experiments):
            if not torch.isfinite(modelled[place]):
                raise ExperimentError(
                    experiment.name,
                    f"the modelled effect of {', '.join(experiment.levers)} on "
                    f"{experiment.outcome} is not finite. Look at the path with debug().",
                )
        if not modelled:
            return torch.zeros_like(self.estimates)
        return torch.stack([modelled[place] for place in range(len(self))]) - self.estimates

    def _sizes(self, residuals: torch.Tensor) -> torch.Tensor:
        """Sizes of the true effects: as measured without the share of noise, and as modelled."""
        measured = (self.estimates.square() - self._deviations.square()).clamp(min=0.0)
        modelled = (self.estimates + residuals).square()
        return (0.5 * (measured + modelled)).sqrt()

    def _scatter(self, levels: torch.Tensor) -> torch.Tensor:
        """Variances of the effects about the models at dispersions; (..., experiment)."""
        return (levels.unsqueeze(-1) * self.sizes * self._measured).square() / self._weights

    def _now(self) -> torch.Tensor:
        """The same at the dispersion that was learned; (experiment,)."""
        return self._scatter(torch.tensor(self.dispersion.level, dtype=torch.float64))

    def _elsewhere(self) -> torch.Tensor:
        """Variances about the models of what was measured by mistake; (experiment,)."""
        return (APART * self.sizes).square() / self._weights

    def _by_experiment(self, by_block: Sequence[torch.Tensor]) -> torch.Tensor:
        """What is known by block, (..., 1) or (..., places), laid out as (..., experiment)."""
        many = by_block[0].shape[:-1] if by_block else ()
        found = torch.empty((*many, len(self)), dtype=torch.float64)
        for block, values in zip(self._blocks, by_block, strict=True):
            found[..., block.places] = values
        return found

    def _shares(self) -> torch.Tensor:
        """How likely each experiment did not measure what it says; (..., experiment)."""
        return self._by_experiment([doubt.shares for doubt in self._doubts])

    def _doubted(self, trusted: torch.Tensor) -> torch.Tensor:
        """What doubts add to variances; (..., experiment).

        The precision is the mean of the two that an experiment has, believed or not.
        """
        shares = self._shares()
        usual = trusted.diagonal(dim1=-2, dim2=-1)
        precision = (1.0 - shares) / usual + shares / (usual + self._elsewhere())
        return precision.reciprocal() - usual

    def _with(self, scatter: torch.Tensor) -> torch.Tensor:
        """Errors on their scales, variances of a dispersion, and doubts together."""
        trusted = self._trusted(scatter)
        return trusted + torch.diag_embed(self._doubted(trusted))

    def _trusted(self, scatter: torch.Tensor) -> torch.Tensor:
        """The same if every experiment measured what it says."""
        roots = self._by_experiment([s.mean.rsqrt().unsqueeze(-1) for s in self._scales])
        errors = with_factors(self._errors, self._kept)
        return errors * roots.unsqueeze(-1) * roots.unsqueeze(-2) + torch.diag_embed(scatter)

    def _rescaled(self, expected: Expectation, levels: torch.Tensor) -> torch.Tensor:
        """Learn scales and doubts at each dispersion; log likelihoods of what others foresee.

        That is the sum over blocks of how well all others foresee them (a pseudo-likelihood, Besag
        1975, doi:10.2307/2987782), each scale and doubt integrated out. All dispersions go through
        together: there are few experiments, and what takes long is to begin.
        """
        usual = [Scale.of(block.freedom) for block in self._blocks]
        self._scales = [scale.at(levels.shape) for scale in usual]
        self._doubts = [doubt.at(levels.shape) for doubt in self._doubtful]
        elsewhere = self._elsewhere()
        scatter, errors = self._scatter(levels), with_factors(self._errors, self._kept)
        total = torch.zeros_like(levels)
        for _ in range(_SWEEPS):
            total = torch.zeros_like(levels)
            for number, block in enumerate(self._blocks):
                residuals, spread = expected.foreseen(self._with(scatter), block.places)
                scale, doubt = usual[number], self._doubtful[number]
                known = spread + torch.diag_embed(scatter[..., block.places])
                mistaken = torch.diag_embed(doubt.which * elsewhere[block.places])
                own = errors[block.places][:, block.places] / scale.values.reshape(-1, 1, 1)
                # By doubt and scale.
                roots = torch.linalg.cholesky(
                    known[..., None, None, :, :] + mistaken.unsqueeze(1) + own
                )
                target = residuals[..., None, None, :].expand(roots.shape[:-1]).unsqueeze(-1)
                half = torch.linalg.solve_triangular(roots, target, upper=False)
                logs = -0.5 * half.square().sum(dim=(-2, -1))
                logs = logs - roots.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
                by_doubt = torch.logsumexp(logs + scale.chances.log(), dim=-1)
                by_scale = torch.logsumexp(logs + doubt.chances.log().unsqueeze(1), dim=-2)
                self._scales[number] = scale.seen(by_scale)
                self._doubts[number] = doubt.seen(by_doubt)
                total = total + torch.logsumexp(by_doubt + doubt.chances.log(), dim=-1)
        return total

    def _take_stock(self) -> None:
        self.covariance = self._with(self._now())
        self._root = torch.linalg.cholesky(self.covariance)


def _vector(values: Iterable[float]) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def _blocks(experiments: ExperimentSet, freedoms: Sequence[float]) -> tuple[_Block, ...]:
    """Experiments of one trial together, all others each alone."""
    found: dict[str, list[int]] = {}
    for place, item in enumerate(experiments):
        group = item.group if item.group in experiments.covariances else None
        found.setdefault(f"group {group}" if group else f"alone {place}", []).append(place)
    return tuple(
        _Block(places, min(freedoms[place] for place in places)) for places in found.values()
    )


def as_experiment_set(experiments: ExperimentSet | Iterable[Experiment]) -> ExperimentSet:
    """Experiments as a set; a bare iterable has no covariances between them."""
    if isinstance(experiments, ExperimentSet):
        return experiments
    return ExperimentSet(tuple(experiments))


def weights_of(collection: ModelCollection) -> dict[str, float]:
    """Weights that models give to experiments by name, where they give one."""
    weights: dict[str, float] = {}
    for leaf in collection.leaves.values():
        for term in leaf.loss_terms():
            if isinstance(term, ExperimentAgreement):
                weights[term.experiment] = term.weight
    return weights


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
