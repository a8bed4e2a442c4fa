"""Draws of parameters, and what follows from them: intervals of forecasts and effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import pandas as pd
import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.dims import HOUR
from dagcast_core.model._collection import as_collection
from dagcast_core.model._effect import ExperimentalEffect
from dagcast_core.model._errors import ExperimentError, ModelError
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._flat import pieces
from dagcast_core.model._joint import fit_jointly
from dagcast_core.model._model import Model
from dagcast_core.model._optimizer import OptimizerSpec, minimise
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._precision import Precision, precision_of
from dagcast_core.model._residual import Residual, Residuals
from dagcast_core.model._unit import Unit
from dagcast_core.tensor import IndexTensor, Panel, stack

_WEEK = 168
# Most corrections of one draw, and the squared gap (in variances) that needs no further one.
_REFINEMENTS = 3
_CLOSE = 0.05
_BOOTSTRAP = OptimizerSpec(max_iterations=60, tolerance=0.05)


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

    @contextmanager
    def applied_to(self, model: Model, draw: int) -> Iterator[None]:
        """Inside the block the model has the parameters of one draw.

        Raises:
            ModelError: the model is not the one that was drawn from.
        """
        own = dict(model.named_parameters())
        unknown = [name for name in self.states if name not in own]
        if unknown:
            raise ModelError(
                f"these draws are of another model: it has no parameter {unknown[0]!r}."
            )
        kept = {name: own[name].detach().clone() for name in self.states}
        labelled = [m for m in model.modules() if isinstance(m, LabelledParameter)]
        place = self.stand_in(draw)
        try:
            with torch.no_grad():
                for name, values in self.states.items():
                    own[name].copy_(values[draw])
            for parameter in labelled:
                parameter.stand_in = place
            yield
        finally:
            for parameter in labelled:
                parameter.stand_in = None
            with torch.no_grad():
                for name, values in kept.items():
                    own[name].copy_(values)


def draws(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment] = (),
    n: int = 100,
    *,
    method: Literal["laplace", "bootstrap"] = "laplace",
    seed: int = 0,
) -> ParameterDraws:
    """Draw from the posterior of a fitted model's parameters.

    Args:
        model: fitted; it is left as it is.
        history: what it was fitted to.
        experiments: what it was fitted to.
        n: number of draws.
        method: ``laplace``: normal around the fit, with the curvature of own data and priors and
            all experiments. ``bootstrap``: refits to resampled weeks and redrawn experiments,
            which also counts errors that last for hours or days; some hundred times dearer.
        seed: of the random numbers.

    Raises:
        ModelError: ``n`` is less than 1 or the method is unknown.
    """
    if n < 1 or method not in ("laplace", "bootstrap"):
        raise ModelError(
            f"cannot make {n} draws by {method!r}; ask for 1 or more by 'laplace' or 'bootstrap'."
        )
    # Here and not above: fitting offers draws too.
    from dagcast_core.model._fit import prepared

    units, evidence = prepared(model, history, experiments)
    if method == "laplace":
        return laplace(model, units, evidence, n, seed)
    return _bootstrap(model, units, evidence, n, seed)


def laplace(
    model: Model, units: Sequence[Unit], evidence: Evidence, n: int, seed: int
) -> ParameterDraws:
    """Normal draws around the present parameters.

    Own data and priors are drawn from first, then each draw is corrected by the experiments with
    redrawn errors (Matheron's rule), which gives exactly the joint posterior where effects are
    linear. Where they are not, each draw's correction is repeated with its own effects, as
    randomised maximum likelihood does: Chen & Oliver (2012), doi:10.1007/s11004-011-9376-z.
    """
    generator = torch.Generator().manual_seed(seed)
    precisions = [precision_of(unit) for unit in units]
    moves = [precision.sample(n, generator) for precision in precisions]
    if len(evidence):
        _, slopes = evidence.linearised([unit.flat for unit in units])
        gains = [p.solve(slope.mT) for p, slope in zip(precisions, slopes, strict=True)]
        innovation, errors = evidence.covariance.clone(), evidence.errors(n, generator)
        seen = -errors
        for slope, gain, move in zip(slopes, gains, moves, strict=True):
            innovation += slope @ gain
            seen += slope @ move
        weights = torch.linalg.solve(innovation, seen)
        weights = _refined(units, evidence, moves, gains, innovation, errors, weights)
        moves = [move - gain @ weights for move, gain in zip(moves, gains, strict=True)]
    states: dict[str, torch.Tensor] = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for unit, move in zip(units, moves, strict=True):
        drawn = (unit.flat.read().unsqueeze(-1) + move).mT  # (draw, value)
        for parameter, part in zip(
            unit.flat.parameters, pieces(drawn, unit.flat.sizes, dim=1), strict=True
        ):
            states[names[id(parameter)]] = part.reshape(n, *parameter.shape).contiguous()
    return ParameterDraws(states, "laplace", seed)


def _refined(
    units: Sequence[Unit],
    evidence: Evidence,
    moves: Sequence[torch.Tensor],
    gains: Sequence[torch.Tensor],
    innovation: torch.Tensor,
    errors: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Corrections by the experiments with each draw's own effects; (experiment, draw).

    Solved for ``v`` is ``r(home + move - gain v) - r(home) - error = S v``, by steps with the
    matrix of the linear case, halved where they lead away.
    """
    homes = [unit.flat.read() for unit in units]
    with torch.no_grad():
        base = evidence.residuals()
    refined = weights.clone()

    def gap(draw: int, weight: torch.Tensor) -> tuple[torch.Tensor, float]:
        for unit, home, move, gain in zip(units, homes, moves, gains, strict=True):
            unit.flat.write(home + move[:, draw] - gain @ weight)
        try:
            with torch.no_grad():
                found = evidence.residuals()
        except ExperimentError:
            return base, float("inf")
        left = found - base - errors[:, draw] - evidence.covariance @ weight
        return left, float(left @ torch.linalg.solve(innovation, left))

    try:
        for draw in range(weights.shape[1]):
            weight = weights[:, draw]
            left, size = gap(draw, weight)
            length = 1.0
            for _ in range(_REFINEMENTS):
                if size < _CLOSE or not np.isfinite(size):
                    break
                trial = weight + length * torch.linalg.solve(innovation, left)
                trial_left, trial_size = gap(draw, trial)
                if trial_size < size:
                    weight, left, size, length = trial, trial_left, trial_size, 1.0
                else:
                    length /= 3
            refined[:, draw] = weight
    finally:
        for unit, home in zip(units, homes, strict=True):
            unit.flat.write(home)
    return refined


def _bootstrap(
    model: Model, units: Sequence[Unit], evidence: Evidence, n: int, seed: int
) -> ParameterDraws:
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    homes = [unit.flat.read() for unit in units]
    precisions = [precision_of(unit) for unit in units]
    estimates = evidence.estimates
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, list[torch.Tensor]] = {}
    try:
        for _ in range(n):
            counts = _week_counts(rng)
            for unit, home, precision in zip(units, homes, precisions, strict=True):
                unit.flat.write(home)
                unit.resample(counts, generator)
                minimise(unit.loss, unit.flat, _BOOTSTRAP, _times(precision))
            if len(evidence):
                evidence.estimates = estimates + evidence.errors(1, generator).squeeze(-1)
                fit_jointly(units, precisions, evidence)
            for unit in units:
                for parameter in unit.flat.parameters:
                    value = parameter.detach().clone()
                    found.setdefault(names[id(parameter)], []).append(value)
    finally:
        evidence.estimates = estimates
        for unit, home in zip(units, homes, strict=True):
            unit.flat.write(home)
            unit.resample(None)
    return ParameterDraws(
        {name: torch.stack(values) for name, values in found.items()}, "bootstrap", seed
    )


def _times(precision: Precision) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda vector: precision.solve(vector.unsqueeze(-1)).squeeze(-1)


def _week_counts(
    rng: np.random.Generator,
) -> Callable[[IndexTensor], torch.Tensor]:
    """How often each hour of the history counts when whole weeks are drawn with replacement."""
    drawn: dict[int, torch.Tensor] = {}

    def counts(like: IndexTensor) -> torch.Tensor:
        axis = next(
            (i for i, dim in enumerate(like.dims) if isinstance(like.index(dim), pd.DatetimeIndex)),
            None,
        )
        if axis is None:
            return torch.ones(tuple(like.tensor.shape), dtype=torch.float64)
        hours = like.tensor.shape[axis]
        if hours not in drawn:
            weeks = max(-(-hours // _WEEK), 1)
            times = np.bincount(rng.integers(0, weeks, weeks), minlength=weeks)
            # Weeks are counted back from the end, so that the last one is whole.
            week = np.arange(hours)[::-1] // _WEEK
            drawn[hours] = torch.as_tensor(times[week], dtype=torch.float64)
        shape = [1] * like.ndim
        shape[axis] = hours
        return drawn[hours].reshape(shape).expand(tuple(like.tensor.shape))

    return counts


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
