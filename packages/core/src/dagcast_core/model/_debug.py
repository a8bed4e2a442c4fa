"""Where a fit is in trouble: gradients, directions that nothing or everything decides, NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model._division import labelled_by_raw
from dagcast_core.model._errors import NonFiniteError
from dagcast_core.model._fitting import prepared
from dagcast_core.model._flat import pieces
from dagcast_core.model._model import Model
from dagcast_core.model._precision import VAGUE, Precision, precision_of
from dagcast_core.model._unit import Unit
from dagcast_core.tensor import Panel

_POWER_STEPS = 30


@final
@dataclass(frozen=True)
class Direction:
    """A combination of parameters that moves together.

    Attributes:
        sd: posterior standard deviation along it, in unconstrained units.
        parts: the parameter values that move most along it, with their share.
    """

    sd: float
    parts: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        named = ", ".join(f"{share:+.2f} {name}" for name, share in self.parts)
        return f"sd {self.sd:.3g}: {named}"


@final
@dataclass(frozen=True)
class UnitDebug:
    """The state of the models that are fitted together.

    Attributes:
        names: of the models.
        loss: own loss, nats.
        gradient_norms: by model, nats per unit of raw parameter.
        expected_gain: how much the own loss could fall, to second order, nats.
        flattest: the direction about which data and priors say least.
        steepest: the direction about which they say most.
        undetermined: parameter values that nothing but the vague prior holds.
        coupling: relative error of treating the labels of the blocks' dim as separate.
    """

    names: tuple[str, ...]
    loss: float
    gradient_norms: dict[str, float]
    expected_gain: float
    flattest: Direction
    steepest: Direction
    undetermined: tuple[str, ...]
    coupling: float


@final
@dataclass(frozen=True)
class DebugReport:
    """What `debug` found.

    Attributes:
        units: in the order of the fit.
        non_finite: values that are no numbers, each with its model and first cells.
    """

    units: tuple[UnitDebug, ...]
    non_finite: tuple[NonFiniteError, ...]

    def __str__(self) -> str:
        lines = [f"not finite: {error}" for error in self.non_finite]
        for unit in self.units:
            lines.append(
                f"{' + '.join(unit.names)}: loss {unit.loss:.1f}, could still gain "
                f"{unit.expected_gain:.3g} nats"
            )
            norms = ", ".join(f"{name} {norm:.3g}" for name, norm in unit.gradient_norms.items())
            lines += [
                f"  gradient norms: {norms}",
                f"  flattest {unit.flattest}",
                f"  steepest {unit.steepest}",
            ]
            if unit.undetermined:
                more = ", ..." if len(unit.undetermined) > 5 else ""
                lines.append(
                    f"  {len(unit.undetermined)} values held by nothing: "
                    f"{', '.join(unit.undetermined[:5])}{more}"
                )
        return "\n".join(lines)


def debug(
    model: Model, history: Panel, experiments: ExperimentSet | Iterable[Experiment] = ()
) -> DebugReport:
    """Look for what keeps a model from being fitted well, at its present parameters.

    Args:
        model: a model or a collection.
        history: observed quantities.
        experiments: checked for fitting the models and the history.

    Raises:
        ModelError: a quantity that a model reads is missing.
        ExperimentError: an experiment does not fit the models or the history.
    """
    units, _ = prepared(model, history, experiments)
    found: list[UnitDebug] = []
    bad: list[NonFiniteError] = []
    for unit in units:
        try:
            unit.raise_non_finite()
        except NonFiniteError as error:
            bad.append(error)
            continue
        found.append(_look_at(unit))
    return DebugReport(tuple(found), tuple(bad))


def _look_at(unit: Unit) -> UnitDebug:
    at = unit.flat.read()
    loss, gradient = unit.flat.value_and_gradient(unit.loss, at)
    precision = precision_of(unit)
    names = _value_names(unit)
    slopes = dict(
        zip(map(id, unit.flat.parameters), pieces(gradient, unit.flat.sizes), strict=True)
    )
    norms = {
        part.name: math.sqrt(
            sum(
                float(slopes[id(parameter)].square().sum())
                for parameter in part.model.parameters()
                if id(parameter) in slopes
            )
        )
        for part in unit.parts
    }
    gain = 0.5 * float(gradient @ precision.solve(gradient.unsqueeze(-1)).squeeze(-1))
    spread = precision.variances().sqrt()
    held_by_nothing = (spread > VAGUE / 2).nonzero().flatten().tolist()
    flat = _extreme(at.numel(), lambda v: precision.solve(v.unsqueeze(-1)).squeeze(-1))
    steep = _extreme(at.numel(), precision.times)
    return UnitDebug(
        unit.names,
        loss,
        norms,
        gain,
        _direction(flat, precision, names),
        _direction(steep, precision, names),
        tuple(names[i] for i in held_by_nothing),
        precision.mismatch,
    )


def _extreme(size: int, times: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Eigenvector of the largest eigenvalue, by power iteration."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=generator, dtype=torch.float64)
    for _ in range(_POWER_STEPS):
        vector = times(vector)
        vector = vector / vector.norm()
    return vector


def _direction(vector: torch.Tensor, precision: Precision, names: list[str]) -> Direction:
    sd = float(vector @ precision.times(vector)) ** -0.5
    order = vector.abs().argsort(descending=True)[:4].tolist()
    return Direction(sd, tuple((names[i], float(vector[i])) for i in order))


def _value_names(unit: Unit) -> list[str]:
    """A readable name of every parameter value: model, parameter and labels."""
    owners = {
        id(parameter): (part.name, name.removesuffix(".raw"))
        for part in unit.parts
        for name, parameter in part.model.named_parameters()
    }
    labelled = labelled_by_raw(unit)
    names: list[str] = []
    for parameter in unit.flat.parameters:
        owner, name = owners[id(parameter)]
        module = labelled.get(id(parameter))
        for place in (
            torch.cartesian_prod(*map(torch.arange, parameter.shape))
            .reshape(parameter.numel(), -1)
            .tolist()
            if parameter.ndim
            else [[]]
        ):
            labels = (
                place
                if module is None
                else [module.indexes[d][i] for d, i in zip(module.dims, place, strict=True)]
            )
            names.append(f"{owner}.{name}[{', '.join(map(str, labels))}]")
    return names
