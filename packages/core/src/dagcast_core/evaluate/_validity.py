"""Causal validity: does the model say what the experiments measured?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model import (
    Deviation,
    LeftOut,
    Model,
    Verdict,
    Widening,
    effect_of,
    left_out,
)
from dagcast_core.tensor import Panel


@final
@dataclass(frozen=True)
class ValidityRow:
    """One experiment beside what the model says of it.

    Attributes:
        experiment: name.
        lever: what was changed; several are joined by " + ".
        outcome: what was measured.
        scale: of both effects: absolute, ratio or elasticity.
        measured: estimate of the experiment.
        standard_error: of the estimate, as measured.
        half_width: of its 95 % interval by Student's t, as far as degrees of freedom are few.
        modelled: effect according to the model, on the experiment's own cells; the model knows the
            experiment, so that this is in-sample.
        modelled_error: standard deviation over parameter draws; NaN without draws.
        expected: effect that everything but this experiment leads to expect.
        expected_error: its standard deviation.
        z: expected minus measured in standard errors of that difference; the normal deviate that is
            as unlikely, where the error has few degrees of freedom.
        verdict: ``agrees``, ``contradicts``, or ``says little``: too noisy to contradict anything.
        refitted: effect according to a model fitted without this experiment; NaN if not asked.
        refitted_z: its z.
    """

    experiment: str
    lever: str
    outcome: str
    scale: str
    measured: float
    standard_error: float
    half_width: float
    modelled: float
    modelled_error: float
    expected: float
    expected_error: float
    z: float
    verdict: Verdict
    refitted: float = math.nan
    refitted_z: float = math.nan

    @property
    def passed(self) -> bool:
        """Whether the measurement does not contradict the expectation."""
        return self.verdict != "contradicts"


@final
@dataclass(frozen=True)
class CausalValidity:
    """The table of every experiment.

    Attributes:
        rows: in the order of the experiments.
    """

    rows: tuple[ValidityRow, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing contradicts, and something agrees.

        Without an experiment, or with such alone as say little, nothing was put to a test.
        """
        verdicts = {row.verdict for row in self.rows}
        return "contradicts" not in verdicts and "agrees" in verdicts

    def to_json(self) -> dict[str, Any]:
        """Figures as plain values."""
        return {"passed": self.passed, "rows": [asdict(row) for row in self.rows]}


def causal_validity(
    model: Model,
    history: Panel,
    experiments: ExperimentSet | Iterable[Experiment],
    *,
    draws: Iterable[Mapping[str, torch.Tensor]] = (),
    leave_out: Callable[[str], Model] | None = None,
    widening: Widening | None = None,
    archive: Panel | None = None,
) -> CausalValidity:
    """Set every measured effect beside the modelled one.

    Args:
        model: fitted.
        history: covers the cells of the experiments.
        experiments: measured effects.
        draws: states of the model's parameters, as ``fit(..., draws=n)`` gives them; the model's
            own state is restored afterwards.
        leave_out: gives a model fitted without the experiment of that name.
        widening: that of the fit,
        archive: and its longer history for experiments that began before.

    The verdict is the one of the fit's report: it sets the measurement beside what own data,
    priors and all other experiments lead to expect.

    Returns:
        One row for each experiment.

    Raises:
        ExperimentError: an experiment does not fit the model or the history.
    """
    known = left_out(model, history, experiments, widening=widening, archive=archive)
    members, covered = list(experiments), history if archive is None else archive
    with torch.no_grad():
        modelled = [float(effect_of(model, covered, item)) for item in members]
        spread = _spread(model, covered, members, list(draws))
        rows = []
        for item, effect, error in zip(members, modelled, spread, strict=True):
            # An experiment that a model gives no weight is compared and not used.
            found = known.get(item.name) or _unused(item, effect, error)
            other = other_z = math.nan
            if leave_out is not None:
                other = float(effect_of(leave_out(item.name), covered, item))
                other_z = replace(found, effect=other).z
            rows.append(
                ValidityRow(
                    item.name,
                    " + ".join(item.levers),
                    item.outcome,
                    item.scale,
                    item.estimate,
                    item.standard_error,
                    _half_width(item),
                    effect,
                    error,
                    found.effect,
                    found.spread,
                    found.z,
                    found.verdict,
                    other,
                    other_z,
                )
            )
    return CausalValidity(tuple(rows))


def _half_width(item: Experiment) -> float:
    return Deviation(item.standard_error**2, 0.0, _freedom(item)).reach


def _freedom(item: Experiment) -> float:
    return math.inf if item.degrees_of_freedom is None else item.degrees_of_freedom


def _unused(item: Experiment, effect: float, error: float) -> LeftOut:
    """An experiment that the fit did not use: the modelled effect is what is expected."""
    spread = 0.0 if math.isnan(error) else error
    deviation = Deviation(item.standard_error**2, spread**2, _freedom(item))
    return LeftOut(item.name, item.estimate, effect, spread, deviation)


def _spread(
    model: Model,
    history: Panel,
    experiments: list[Experiment],
    draws: list[Mapping[str, torch.Tensor]],
) -> list[float]:
    """Standard deviation of each modelled effect over the draws."""
    if len(draws) < 2:
        return [math.nan] * len(experiments)
    fitted = {name: value.clone() for name, value in model.state_dict().items()}
    effects = []
    try:
        for state in draws:
            model.load_state_dict({**fitted, **state})
            effects.append([float(effect_of(model, history, item)) for item in experiments])
    finally:
        model.load_state_dict(fitted)
    return [float(column.std()) for column in torch.tensor(effects, dtype=torch.float64).T]
