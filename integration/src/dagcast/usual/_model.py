"""What is usual at an hour of the week.

    usual = exp(level[label] + trend[label] * weeks + profile[label, hour_of_week]
                + sum of 0.5 * tanh(slope[k] * z[k]))

``z`` are the quantities known ahead, such as holidays and weather, centred and scaled by the
history; ``weeks`` counts from its end, after which the trend soon runs out.

Evidence: none; it repeats what was, and knows no cause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import pandas as pd
import torch

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    NegativeBinomial,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    SquaredError,
    calendar_start,
)
from dagcast_core.contract import Contract
from dagcast_core.dims import HOUR_OF_WEEK

_HOUR = pd.Timedelta(hours=1)
_EPOCH = pd.Timestamp(0, tz="UTC")
_WEEK = 168


@dataclass(frozen=True)
class UsualHyperparameters:
    """Choices of the form; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        trend_horizon: weeks after which most of the trend has run out.
        trend_spread: weekly growth rates that are usual, 1/week.
        roughness: usual step of the profile from one hour to the next, in logs.
        independence: weight of an hour; below 1 because neighbouring hours share their shocks.
    """

    half_life: float = field(default=840.0, metadata={"range": (336.0, 2688.0), "unit": "h"})
    trend_horizon: float = field(default=2.0, metadata={"range": (0.5, 8.0), "unit": "week"})
    trend_spread: float = field(default=0.03, metadata={"range": (0.01, 0.3), "unit": "1/week"})
    roughness: float = field(default=0.5, metadata={"range": (0.1, 2.0), "unit": "1"})
    independence: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})


_DEFAULT = UsualHyperparameters()


@final
class UsualAtTheHour(Model):
    """Predicts one quantity; see the module docstring for the form.

    Args:
        contract: its one output is what is forecast; its first input is the hour of the week.
        labels: by dim.
        hyperparameters: choices of the form and of its priors.
    """

    contract: Contract

    def __init__(
        self,
        contract: Contract,
        labels: Mapping[str, Sequence[Any]],
        hyperparameters: UsualHyperparameters = _DEFAULT,
    ) -> None:
        super().__init__()
        self.contract = contract
        self.hyperparameters = hyperparameters
        (self._quantity,) = contract.outputs
        dim = next(item for item in self._quantity.dims if item.kind != "time")
        own = tuple(labels[dim.name])
        self._dim = dim
        self.level = self.parameter(dim, labels=own, start=2.0)
        self.trend = self.parameter(dim, labels=own, start=0.0)
        self.profile = self.parameter(
            dim, HOUR_OF_WEEK, labels={dim.name: own, HOUR_OF_WEEK.name: range(_WEEK)}, start=0.0
        )
        self._helps = tuple(entry.quantity.name for entry in contract.inputs[1:])
        self._slopes = tuple(self.parameter(start=0.0) for _ in self._helps)
        for name, slope in zip(self._helps, self._slopes, strict=True):
            setattr(self, f"slope_{name}", slope)
        # Mean and spread of each of them over the history, and its end in hours since 1970.
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.tensor([[0.0, 1.0]] * len(self._helps)).double())
        self.anchor: torch.Tensor
        self.register_buffer("anchor", torch.zeros((), dtype=torch.float64))
        self._summed = self._quantity.aggregated("hour") == "sum"
        if self._summed:
            self.concentration = self.parameter(start=30.0, transform="exp")

    def forward(self, **inputs: IndexTensor) -> IndexTensor:
        """Compute the quantity from the calendar and what is known ahead."""
        slot = inputs[HOUR_OF_WEEK.name]
        usual = self.profile.sel(**{HOUR_OF_WEEK.name: slot})
        centre = self.profile.at(slot).mean(HOUR_OF_WEEK.name)
        log = usual - centre + self.level.at(usual) + self.trend.at(usual) * self._weeks(usual)
        for place, (name, slope) in enumerate(zip(self._helps, self._slopes, strict=True)):
            mean, spread = self.scale[place]
            known = (inputs[name] - float(mean)) / float(spread)
            # Bounded: weather that nobody has seen must not multiply what is usual.
            log = log + 0.5 * (slope.value() * known).tanh()
        return log.exp()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Fitness to what was observed, and priors."""
        chosen, dim = self.hyperparameters, self._dim
        weight, memory = chosen.independence, chosen.half_life
        fitness: tuple[LossTerm, ...] = (
            SquaredError(self._quantity, weight=weight, half_life=memory),
        )
        if self._summed:
            fitness = (
                NegativeBinomial(
                    self._quantity,
                    weight=weight,
                    half_life=memory,
                    concentration=self.concentration,
                ),
                Ridge(self.concentration, toward=30.0, weight=1.0, unconstrained=True),
            )
        return (
            *fitness,
            PartialPooling(self.level, dim, scale=1.5),
            Ridge(self.trend, toward=0.0, weight=chosen.trend_spread**-2),
            PartialPooling(self.profile, dim, scale=0.3),
            Smoothness(self.profile, HOUR_OF_WEEK, weight=chosen.roughness**-2, periodic=True),
            Ridge(self.profile, toward=0.0, weight=0.01),
            *(Ridge(slope, toward=0.0, weight=0.2**-2) for slope in self._slopes),
        )

    def warm_start(self, history: Panel) -> None:
        """Start from weighted means by label and hour of the week of what was observed."""
        name = self._quantity.name
        if name not in history or HOUR_OF_WEEK.name not in history:
            return
        observed = history[name]
        self.anchor.fill_((max(observed.index("hour")) - _EPOCH) / _HOUR)
        for place, known in enumerate(self._helps):
            if known in history:
                values = history[known].tensor.double()
                values = values[torch.isfinite(values)]
                if len(values) and float(values.std()) > 0:
                    self.scale[place, 0], self.scale[place, 1] = values.mean(), values.std()
        start = calendar_start(
            observed, history[HOUR_OF_WEEK.name], half_life=self.hyperparameters.half_life
        )
        start.assign(self.level, self.trend, self.profile)

    def _weeks(self, like: IndexTensor) -> IndexTensor:
        index = pd.DatetimeIndex(like.index("hour"))
        hours = torch.tensor(((index - _EPOCH) / _HOUR).to_numpy(dtype="float64"))
        weeks = (hours - self.anchor) / _WEEK
        horizon, after = self.hyperparameters.trend_horizon, weeks.clamp(min=0.0)
        weeks = weeks.clamp(max=0.0) + horizon * -torch.expm1(-after / horizon)
        return IndexTensor(weeks, {"hour": index}, "weeks")
