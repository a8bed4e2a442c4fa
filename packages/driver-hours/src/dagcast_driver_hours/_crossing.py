"""What of the hours that bonuses add in a region the market gains, and what other regions lose.

    gained_driver_hours = kept * incremental_driver_hours

Drivers who come over a border for a bonus are missing where they come from. A trial that compares
regions side by side counts them as made, and more: who is not paid loses them, so that of ``n``
regions it sees ``1 + lost / (n - 1)`` of what a paid region adds. That is its ``kept = 1``, and of
it a plan for all regions gains

    kept = (1 - lost) / (1 + lost / (n - 1))

Evidence: the history of the other regions. Where bonuses added hours elsewhere, were there fewer
here than the hour of the week, the week and the bonuses here say? With hours less those bought over
the usual hours as outcome, and region by hour of week and region by week taken out,

    hours[r] = own * bought[r] - lost * bought elsewhere, shared out by size + error

by least squares weighted with size, errors clustered by day (Liang & Zeger 1986,
doi:10.1093/biomet/73.1.13), given the sessions here, in the three hours before, and elsewhere.
``lost / (1 + own)`` is the share that regions lose, however much models say was bought. What moves
all regions and nobody recorded brings hours here where more was bought elsewhere, and hides a part
of the loss: ``hidden``, known to within ``confounding``. Before it is looked at, the share is 0
with chance ``1 - crossing``, and otherwise anything. The history does not move ``kept`` further, as
a fit to driver hours would: priors and experiments in which all regions switch together do.
Left out: from which regions drivers come, and that few bonuses may draw other drivers than many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from dagcast_core import IndexTensor, LossTerm, Model, Panel, Ridge
from dagcast_driver_hours.contract import CROSSING_CONTRACT

Array = NDArray[np.float64]

_WEEK, _DAY = 168, 24
# Share kept where nothing was looked at.
_USUAL = 0.98
# The hours of the first bonuses lack what came before.
_FIRST = 8
# Hours for which drivers follow demand.
_LAGS = 3
# Sweeps of taking out two kinds of means in turn.
_SWEEPS = 6
_UPPER = 0.95
# Of what models say was bought: less than half of it in the history is no scale to go by.
_LEAST = 0.5
# Deviate of a normal variable that 5 % exceed.
_HIGH = 1.645


@dataclass(frozen=True)
class CrossingHyperparameters:
    """Priors of the share that other regions lose; ``range`` is where a search may look.

    Args:
        crossing: chance that drivers come over from other regions at all.
        hidden: of the share, what common reasons that nobody recorded hide in the history.
        confounding: by how much that may be more or less.
    """

    crossing: float = field(default=0.25, metadata={"range": (0.01, 0.9), "unit": "1"})
    hidden: float = field(default=0.12, metadata={"range": (0.0, 0.5), "unit": "1"})
    confounding: float = field(default=0.1, metadata={"range": (0.02, 0.5), "unit": "1"})


_DEFAULT = CrossingHyperparameters()


@final
class CrossingDrivers(Model):
    """Predicts ``gained_driver_hours``; see the module docstring for the form.

    Args:
        hyperparameters: priors.
    """

    contract = CROSSING_CONTRACT

    def __init__(self, hyperparameters: CrossingHyperparameters = _DEFAULT) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Share.
        self.kept = self.parameter(start=_USUAL, transform="sigmoid", side_by_side=1.0)
        # What the history says of it: its mean, and a spread in log odds.
        self.expected: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("expected", torch.tensor(_USUAL, dtype=torch.float64))
        self.register_buffer("spread", torch.tensor(1.0, dtype=torch.float64))

    def forward(
        self, hour_of_week: IndexTensor, incremental_driver_hours: IndexTensor
    ) -> IndexTensor:
        """Compute driver-hour/h; dims (region, hour)."""
        # Where nobody predicts bonuses their hours have no dims: the calendar has those asked for.
        return hour_of_week.double() * 0.0 + incremental_driver_hours * self.kept.value()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """What the history of other regions says, as a prior."""
        expected = float(self.expected)
        return (Ridge(self.kept, expected, float(self.spread) ** -2, unconstrained=True),)

    def warm_start(self, history: Panel) -> None:
        """Look at what other regions had where bonuses added hours."""
        needed = ("driver_hours", "incremental_driver_hours", "hour_of_week")
        if any(name not in history for name in needed):
            return
        hours = history["driver_hours"].detach()
        regions, labels = hours.index("region"), hours.index("hour")
        if len(regions) < 2:
            # Nobody can come from elsewhere, and the usual share stands.
            return
        seen = {
            name: history[name].detach().reindex(region=regions, hour=labels)
            for name in (*needed, "sessions")
            if name in history
        }
        values = {name: item.values("region", "hour").numpy() for name, item in seen.items()}
        lost, deviation = share_lost(
            values["driver_hours"],
            values["incremental_driver_hours"],
            values["hour_of_week"],
            values.get("sessions"),
        )
        # What no history shows is not taken off twice.
        others = len(regions) - 1 if np.isfinite(deviation) else np.inf
        kept, least = (
            (1.0 - min(value, 0.99)) / (1.0 + value / others)
            for value in self._belief(lost, deviation)
        )
        self.expected.fill_(kept)
        odds = np.log(kept / (1 - kept)), np.log(least / (1 - least))
        self.spread.fill_(max((odds[0] - odds[1]) / _HIGH, 0.1))
        self.kept.assign(kept)

    def _belief(self, lost: float, deviation: float) -> tuple[float, float]:
        """Mean of the share that others lose, and what it exceeds with a chance of 5 %."""
        chosen = self.hyperparameters
        spread = float(np.hypot(deviation, chosen.confounding))
        shares = np.linspace(0.0, 1.0, 101)
        weights = np.full(101, chosen.crossing / 100)
        weights[0] = 1.0 - chosen.crossing
        if np.isfinite(spread):
            apart = (lost + chosen.hidden - shares) / spread
            weights *= np.exp(-0.5 * (apart**2 - (apart**2).min()))
        weights /= weights.sum()
        mean = max(float(weights @ shares), 1.0 - _USUAL)
        upper = float(shares[np.searchsorted(weights.cumsum(), _UPPER)])
        return mean, max(upper, 2.0 * (1.0 - _USUAL), mean)


def share_lost(
    hours: Array, bought: Array, hour_of_week: Array, sessions: Array | None = None
) -> tuple[float, float]:
    """Share of the hours bought in a region that others lack, and its standard error.

    Args:
        hours: driver hours (region, hour); missing is NaN.
        bought: of them added by bonuses, as models say; (region, hour).
        hour_of_week: local, 0 to 167; (region, hour).
        sessions: demand, if it is known; (region, hour).

    Returns:
        The share, below 0 where others had more; infinite error where the history cannot say.
    """
    unknown = (0.0, float("inf"))
    length = hours.shape[1]
    seen = np.isfinite(hours) & np.isfinite(bought) & np.isfinite(hour_of_week)
    seen[:, :_FIRST] = False
    alive = seen.sum(axis=1) >= 3 * _WEEK
    if alive.sum() < 2:
        return unknown
    hours, bought, seen = hours[alive], bought[alive], seen[alive]
    week = np.where(seen, hour_of_week[alive], 0).astype(np.int64)
    size = np.maximum(np.nanmean(np.where(seen, hours, np.nan), axis=1), 1e-9)
    bought = np.where(seen, bought, 0.0)
    shared = bought / (size.sum() - size)[:, None]
    elsewhere = shared.sum(axis=0) - shared
    age = np.broadcast_to(np.arange(length) // _WEEK, hours.shape)
    demand = [] if sessions is None else _demand(sessions[alive])
    y, *columns = (
        _within(np.where(seen, values, np.nan), week, age)[seen]
        for values in (
            (hours - bought) / size[:, None],
            elsewhere,
            bought / size[:, None],
            *demand,
        )
    )
    roots = np.sqrt(np.broadcast_to(size[:, None], hours.shape)[seen])
    design = np.stack(columns, axis=1) * roots[:, None]
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return unknown
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ (design.T @ (y * roots))
    errors = y * roots - design @ found
    day = np.broadcast_to(np.arange(length) // _DAY, hours.shape)[seen]
    scores = np.zeros((int(day.max()) + 1, design.shape[1]))
    np.add.at(scores, day, design * errors[:, None])
    variance = (inverse @ (scores.T @ scores) @ inverse)[0, 0]
    scale = max(1.0 + float(found[1]), _LEAST)
    return -float(found[0]) / scale, float(np.sqrt(variance)) / scale


def _demand(sessions: Array) -> list[Array]:
    """Sessions over their mean: here, in the hours before, and elsewhere."""
    riders = np.nan_to_num(sessions)
    usual = np.maximum(riders.mean(axis=1, keepdims=True), 1e-9)
    busy = riders / usual
    elsewhere = (riders.sum(axis=0) - riders) / (usual.sum() - usual)
    return [*(np.roll(busy, lag, axis=1) for lag in range(_LAGS + 1)), elsewhere]


def _within(values: Array, week: NDArray[np.int64], age: NDArray[np.int64]) -> Array:
    """Less the means of each row's hours of the week and of its weeks."""
    for _ in range(_SWEEPS):
        for keys in (week, age):
            for row, key in zip(values, keys, strict=True):
                known = np.isfinite(row)
                total = np.bincount(key[known], row[known], minlength=int(key.max()) + 1)
                count = np.bincount(key[known], minlength=int(key.max()) + 1)
                row -= (total / np.maximum(count, 1))[key]
    return values


__all__ = ["CrossingDrivers", "CrossingHyperparameters", "share_lost"]
