"""Driver hours that bonus spend adds: saturating, carried over, and partly moved from later hours.

    offer[incentive] = spend / size[region]                       USD per typical driver hour
    pull[incentive]  = reply[incentive, region] * offer
    drawn = sum over incentives of reach[incentive] * pull / (reach + pull)
    raw   = size * ceiling[region, hour_class] * drawn / (ceiling + drawn)
    incremental_driver_hours[hour] = sum over lags of kernel[lag] * raw[hour - lag]
    kernel[0] = stay[0],  kernel[lag] = stay[lag] - rest / 8 for lag = 1..8

The first dollar of each type adds ``reply`` driver hours. A type draws on drivers of its own (who
would start, stay, or cross over), at most ``reach`` times the typical hours; all types together
add at most ``ceiling`` times them, so types substitute for one another in part. With the ceiling
alone they would do so perfectly, and an optimiser would put all money on the type that looks best
by a hair. Drivers who come for a bonus stay for ``stint`` hours on average (``stay`` falls
geometrically and sums to 1), and having driven more they drive less in the hours after: ``rest``
is the share of the hours that is moved.
Zero spend adds nothing anywhere, and the response is smooth with a finite slope at zero.

Evidence: experiments on spend. The history cannot say: spend was set by people who foresaw demand,
so these parameters are moved by experiments and priors only, never by the fit to driver hours.
Left out: spend of hours before the data begins (the first hours lack its carry-over), drivers who
cross a border for a bonus, and earlier hours in which drivers may wait for an announced bonus.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd
import torch

from dagcast_core import (
    Dim,
    IndexTensor,
    Interval,
    LossTerm,
    Model,
    Panel,
    PartialPooling,
    Ridge,
)
from dagcast_core.dims import INCENTIVE, REGION
from dagcast_incentives.contract import INCENTIVES

HOUR_CLASS = Dim("hour_class", kind="int", description="0 day, 1 night, 2 peak")
CLASSES = (0, 1, 2)
_HOUR = pd.Timedelta(hours=1)
# Lags of the kernel: 96 % of the hours of a mean stint lie within them.
_LAGS = 8


@dataclass(frozen=True)
class IncentiveHyperparameters:
    """Priors of the response; ``range`` is where a search may look.

    Args:
        reply: driver hours that the first dollar adds.
        reply_spread: uncertainty of it, in logs.
        reach: largest addition by one type as a share of a region's typical driver hours.
        reach_spread: uncertainty of it, in logs.
        ceiling: largest addition by all types together, as such a share.
        ceiling_spread: uncertainty of it, in logs.
        region_spread: how far regions differ, in logs.
        type_spread: how far incentive types differ, in logs.
    """

    reply: float = field(default=0.35, metadata={"range": (0.05, 1.0), "unit": "driver-hour/USD"})
    reply_spread: float = field(default=0.8, metadata={"range": (0.1, 1.5), "unit": "1"})
    reach: float = field(default=0.35, metadata={"range": (0.05, 2.0), "unit": "1"})
    reach_spread: float = field(default=0.7, metadata={"range": (0.1, 1.5), "unit": "1"})
    ceiling: float = field(default=1.0, metadata={"range": (0.2, 3.0), "unit": "1"})
    ceiling_spread: float = field(default=0.7, metadata={"range": (0.1, 1.0), "unit": "1"})
    region_spread: float = field(default=0.15, metadata={"range": (0.02, 0.6), "unit": "1"})
    type_spread: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})


_DEFAULT = IncentiveHyperparameters()


@final
class IncentiveResponse(Model):
    """Predicts ``incremental_driver_hours``; see the module docstring for the form.

    Args:
        incentives: labels along ``incentive``.
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: priors.
    """

    contract = INCENTIVES
    memory = _LAGS

    def __init__(
        self,
        incentives: Sequence[str],
        regions: Sequence[str],
        hyperparameters: IncentiveHyperparameters = _DEFAULT,
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        both = {"incentive": incentives, "region": regions}
        classes = {"region": regions, HOUR_CLASS.name: CLASSES}
        self.reply = self.parameter(
            INCENTIVE, REGION, labels=both, start=hyperparameters.reply, transform="exp"
        )
        self.reach = self.parameter(
            INCENTIVE, labels=incentives, start=hyperparameters.reach, transform="exp"
        )
        self.ceiling = self.parameter(
            REGION, HOUR_CLASS, labels=classes, start=hyperparameters.ceiling, transform="exp"
        )
        # Hours; share.
        self.stint = self.parameter(start=2.5, transform=Interval(0.3, 8.0))
        self.rest = self.parameter(start=0.15, transform="sigmoid")
        # Typical driver-hour/h of a region: the unit in which offers are measured, not learned.
        self._regions = pd.Index(list(regions))
        self.size: torch.Tensor
        self.register_buffer("size", torch.full((len(self._regions),), 50.0, dtype=torch.float64))

    def forward(self, incentive_spend: IndexTensor, hour_of_week: IndexTensor) -> IndexTensor:
        """Compute driver-hour/h; dims (region, hour)."""
        pull = self.reply * incentive_spend
        size = self._size_at(pull)
        own = size * self.reach.at(pull)
        drawn = (own * pull / (own + pull)).sum("incentive")
        room = size * self.ceiling.sel(hour_class=hour_classes(hour_of_week))
        return self._spread(room * drawn / (room + drawn))

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        # Regions share what is uncertain: a prior on each alone would sharpen their mean.
        reply = prior.reply_spread**-2 / self.reply.raw.numel()
        reach = prior.reach_spread**-2 / self.reach.raw.numel()
        ceiling = prior.ceiling_spread**-2 / self.ceiling.raw.numel()
        return (
            Ridge(self.reply, prior.reply, reply, unconstrained=True),
            PartialPooling(self.reply, REGION, scale=prior.region_spread),
            PartialPooling(self.reply, INCENTIVE, scale=prior.type_spread),
            Ridge(self.reach, prior.reach, reach, unconstrained=True),
            PartialPooling(self.reach, INCENTIVE, scale=prior.type_spread),
            Ridge(self.ceiling, prior.ceiling, ceiling, unconstrained=True),
            PartialPooling(self.ceiling, REGION, scale=prior.region_spread),
            PartialPooling(self.ceiling, HOUR_CLASS, scale=prior.region_spread),
            Ridge(self.stint, toward=2.5, weight=0.7**-2),
            Ridge(self.rest, toward=0.15, weight=0.1**-2),
        )

    def warm_start(self, history: Panel) -> None:
        """Take the typical driver hours of each region from its last four weeks."""
        if "driver_hours" not in history:
            return
        observed = history["driver_hours"]
        recent = observed.index("hour").max() - pd.Timedelta(weeks=4)
        observed = observed.isel(hour=np.flatnonzero(observed.index("hour") > recent))
        usual = observed.mean("hour", skipna=True).values("region").detach().numpy()
        known = np.flatnonzero(np.isfinite(usual) & (usual > 0))
        if not len(known):
            return
        found = observed.index("region")[known].get_indexer(self._regions)
        padded = np.append(usual[known], usual[known].mean())
        self.size.copy_(torch.as_tensor(padded[found]))

    def _size_at(self, like: IndexTensor) -> IndexTensor:
        """Typical driver hours on the regions of ``like``; a new region is of average size."""
        index = like.index("region")
        found = torch.as_tensor(self._regions.get_indexer(index))
        # Position -1, an unseen region, is the mean at the end.
        padded = torch.cat([self.size, self.size.mean().unsqueeze(0)])
        return IndexTensor(padded[found], {"region": index}, "size")

    def _spread(self, raw: IndexTensor) -> IndexTensor:
        """Move hours from where they are bought to where they are driven."""
        index = pd.DatetimeIndex(raw.index("hour"))
        if not len(index):
            return raw
        if len(index) > 1 and not (index[1:] - index[:-1] == _HOUR).all():
            # Lags are hours, not positions: put the labels in order, without gaps.
            every = pd.date_range(index.min(), index.max(), freq="h")
            spread = self._spread(raw.reindex(hour=every, fill=0.0))
            return spread.sel(hour=index)
        raw = raw.transpose("region", "hour")
        before = torch.nn.functional.pad(raw.tensor, (_LAGS, 0))
        # shape: (region, hour, lag), the last being lag 0
        windows = before.unfold(1, _LAGS + 1, 1)
        moved: torch.Tensor = windows @ self._kernel().flip(0)
        return raw.with_tensor(moved)

    def _kernel(self) -> torch.Tensor:
        lags = torch.arange(_LAGS + 1, dtype=torch.float64)
        stay = torch.softmax(-lags / self.stint.value().tensor, dim=0)
        moved: torch.Tensor = self.rest.value().tensor / _LAGS * (lags > 0)
        return stay - moved


def hour_classes(hour_of_week: IndexTensor) -> IndexTensor:
    """Class of each local hour: 2 for rush hours and weekend evenings, 1 for nights, else 0."""
    return hour_of_week.map(lambda hours: _CLASS_OF_HOUR[hours])


def _class_of(hour_of_week: int) -> int:
    day, hour = divmod(hour_of_week, 24)
    rush = day < 5 and (7 <= hour <= 9 or 16 <= hour <= 19)
    evening = day in (4, 5) and hour >= 18
    return 2 if rush or evening else int(hour < 6)


_CLASS_OF_HOUR = torch.tensor([_class_of(hour) for hour in range(168)])

__all__ = ["CLASSES", "HOUR_CLASS", "IncentiveHyperparameters", "IncentiveResponse", "hour_classes"]
