"""Causal validity: does the model say what the experiments measured?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.model import Model, effect_of
from dagcast_core.tensor import Panel

# Two-sided 95 % of a normal distribution.
_Z95 = 1.959963984540054


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
        standard_error: of the estimate.
        modelled: effect according to the model, on the experiment's own cells.
        modelled_error: standard deviation over parameter draws; NaN without draws.
        z: modelled minus measured, in standard errors of the measurement.
        passed: whether the modelled effect lies in the measured 95 % interval.
        left_out: effect according to a model fitted without this experiment; NaN if not asked.
        left_out_z: its difference from the measurement, in the standard error of measurement and
            model together.
    """

    experiment: str
    lever: str
    outcome: str
    scale: str
    measured: float
    standard_error: float
    modelled: float
    modelled_error: float
    z: float
    passed: bool
    left_out: float = math.nan
    left_out_z: float = math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Measured 95 % interval."""
        half = _Z95 * self.standard_error
        return self.measured - half, self.measured + half

    @property
    def modelled_interval(self) -> tuple[float, float]:
        """Modelled 95 % interval; NaN without draws."""
        half = _Z95 * self.modelled_error
        return self.modelled - half, self.modelled + half


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
        """Whether every modelled effect lies in its measured interval."""
        return all(row.passed for row in self.rows)

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
) -> CausalValidity:
    """Set every measured effect beside the modelled one.

    Args:
        model: fitted.
        history: covers the cells of the experiments.
        experiments: measured effects.
        draws: states of the model's parameters, as ``fit(..., draws=n)`` gives them; the model's
            own state is restored afterwards.
        leave_out: gives a model fitted without the experiment of that name.

    Returns:
        One row for each experiment.

    Raises:
        ExperimentError: an experiment does not fit the model or the history.
    """
    members = list(experiments)
    with torch.no_grad():
        modelled = [float(effect_of(model, history, item)) for item in members]
        spread = _spread(model, history, members, list(draws))
        rows = []
        for item, effect, error in zip(members, modelled, spread, strict=True):
            z = (effect - item.estimate) / item.standard_error
            other = other_z = math.nan
            if leave_out is not None:
                other = float(effect_of(leave_out(item.name), history, item))
                together = math.hypot(item.standard_error, 0.0 if math.isnan(error) else error)
                other_z = (other - item.estimate) / together
            rows.append(
                ValidityRow(
                    item.name,
                    " + ".join(item.levers),
                    item.outcome,
                    item.scale,
                    item.estimate,
                    item.standard_error,
                    effect,
                    error,
                    z,
                    abs(z) <= _Z95,
                    other,
                    other_z,
                )
            )
    return CausalValidity(tuple(rows))


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
