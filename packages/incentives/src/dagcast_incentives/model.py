"""Driver hours that bonus spend adds: saturating, carried over, and partly moved from later hours.

    offer[incentive] = spend / size[region]                       USD per typical driver hour
    pull[incentive]  = reply[incentive, region] * offer
    drawn = sum over incentives of reach[incentive] * pull / (reach + pull)
    there = usual[region, hour_of_week] * when[region, hour_class]
    raw   = size * there * ceiling[region] * drawn / (ceiling + drawn)
    incremental_driver_hours[hour] = sum over lags of kernel[lag] * raw[hour - lag]
    kernel[0] = stay[0],  kernel[lag] = stay[lag] - rest / 8 for lag = 1..8

In a typical hour the first dollar of each type adds ``reply`` driver hours. A share ``wary`` of the
drivers answers only once an offer is worth it: about ``hurdle`` times what was usually offered. How
many those are nobody knows beforehand. With few of them the response is concave, as it is at the
prior; trials of low doses and the history decide, and draws say what they leave open. A type
draws on drivers of its own (who would start, stay, or cross over), at most ``reach`` times the
typical hours; all types together add at most ``ceiling`` times them, so types substitute for one
another in part. With the ceiling alone they would do so perfectly, and an optimiser would put all
money on the type that looks best by a hair. A bonus wins a share of those who could drive:
``usual`` is how many usually do at that hour of the week, 1 on average, and ``when`` corrects for
parts of the day in which more or fewer can be won. Drivers who come for a bonus stay for ``stint``
hours on average (``stay`` falls geometrically and sums to 1), and having driven more they drive
less in the hours after: ``rest`` is the share of the hours that is moved. Zero spend adds nothing
anywhere, and the response is smooth with a finite slope at zero.

Evidence: experiments on spend: of each type at two doses for ``reply`` and ``reach``, at low doses
and at none for ``wary`` and ``hurdle``, by part of the day for ``when``. How strong bonuses are the
history cannot say: spend was set by people who foresaw demand, so these parameters are moved by
experiments and priors only, never by the fit to driver hours. How small offers compare with large
ones it can (``_form``), so the prior of ``wary`` and ``hurdle`` is what it left of their belief.
Left out: spend of hours before the data begins (the first hours lack its carry-over), what other
regions lose (the driver-hours team's `kept`), and earlier hours in which drivers may wait for an
announced bonus.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

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
from dagcast_incentives._belief import Belief, learned
from dagcast_incentives._form import Past
from dagcast_incentives._hyperparameters import IncentiveHyperparameters
from dagcast_incentives.contract import INCENTIVE, INCENTIVES, REGION

HOUR_CLASS = Dim(
    "hour_class",
    kind="int",
    description="local part of the day: 0 from 4:00, 1 from 10:00, 2 from 16:00, 3 from 22:00",
)
CLASSES = (0, 1, 2, 3)
_WEEK = 168
_HOUR = pd.Timedelta(hours=1)
# History from which the usual hours are read.
_RECENT = pd.Timedelta(weeks=8)
# USD per typical driver hour, where nothing was ever offered.
_OFFER = 0.2
# History and regions that are asked for it.
_ASKED_WEEKS, _ASKED_REGIONS = 26, 24
# Lags of the kernel: 96 % of the hours of a mean stint lie within them.
_LAGS = 8


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
            REGION, labels=regions, start=hyperparameters.ceiling, transform="exp"
        )
        self.when = self.parameter(REGION, HOUR_CLASS, labels=classes, start=1.0, transform="exp")
        # Share; usual offers.
        self.wary = self.parameter(start=hyperparameters.wary, transform="sigmoid")
        self.hurdle = self.parameter(start=hyperparameters.hurdle, transform="exp")
        # Hours; share.
        self.stint = self.parameter(start=2.5, transform=Interval(0.3, 8.0))
        self.rest = self.parameter(start=0.15, transform="sigmoid")
        # Units, read off the history and not learned: typical driver-hour/h of a region, and how
        # they are spread over the local week, 1 on average; (region,) and (region, hour_of_week).
        # And what was usually offered, USD per typical driver hour; (incentive,).
        self._regions, self._incentives = pd.Index(list(regions)), pd.Index(list(incentives))
        self.size: torch.Tensor
        self.usual: torch.Tensor
        self.offered: torch.Tensor
        shape = (len(self._regions), _WEEK)
        self.register_buffer("size", torch.full(shape[:1], 50.0, dtype=torch.float64))
        self.register_buffer("usual", torch.ones(shape, dtype=torch.float64))
        offered = torch.full((len(self._incentives),), _OFFER, dtype=torch.float64)
        self.register_buffer("offered", offered)
        # What is believed before any experiment, as ``Belief`` lays it out.
        self.believed: torch.Tensor
        belief = torch.tensor(Belief.usual(hyperparameters).values, dtype=torch.float64)
        self.register_buffer("believed", belief)

    def forward(self, incentive_spend: IndexTensor, hour_of_week: IndexTensor) -> IndexTensor:
        """Compute driver-hour/h; dims (region, hour)."""
        size = self._of_region(self.size, incentive_spend)
        pull = self.reply * incentive_spend * self._met(incentive_spend / size)
        own = size * self.reach.at(pull)
        drawn = (own * pull / (own + pull)).sum("incentive")
        room = size * self.ceiling.at(drawn)
        when = self.when.sel(hour_class=hour_classes(hour_of_week))
        usual = self._of_region(self.usual, hour_of_week).sel(hour_of_week=hour_of_week)
        return self._spread(room * drawn / (room + drawn) * (usual * when))

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors as the history left them; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        belief = Belief.of(self.believed.tolist())
        wary, hurdle = belief.form.middle
        level, room = (float(np.exp(mean)) for mean in (belief.reply, belief.room))
        # Regions share what is uncertain: a prior on each alone would sharpen their mean.
        reply = belief.reply_spread**-2 / self.reply.raw.numel()
        reach = belief.room_spread**-2 / self.reach.raw.numel()
        wider = prior.ceiling_spread / prior.reach_spread
        ceiling = (wider * belief.room_spread) ** -2 / self.ceiling.raw.numel()
        when = prior.when_spread**-2 / len(self._regions)
        return (
            Ridge(self.reply, level, reply, unconstrained=True),
            PartialPooling(self.reply, REGION, scale=prior.region_spread),
            PartialPooling(self.reply, INCENTIVE, scale=prior.type_spread),
            Ridge(self.reach, room * prior.reach, reach, unconstrained=True),
            PartialPooling(self.reach, INCENTIVE, scale=prior.type_spread),
            Ridge(self.ceiling, room * prior.ceiling, ceiling, unconstrained=True),
            PartialPooling(self.ceiling, REGION, scale=prior.region_spread),
            Ridge(self.wary, wary, belief.form.odds_spread**-2, unconstrained=True),
            Ridge(self.hurdle, hurdle, belief.form.hurdle_spread**-2, unconstrained=True),
            Ridge(self.when, 1.0, when, unconstrained=True),
            PartialPooling(self.when, REGION, scale=prior.region_spread),
            Ridge(self.stint, toward=2.5, weight=0.7**-2),
            Ridge(self.rest, toward=0.15, weight=0.1**-2),
        )

    def warm_start(self, history: Panel) -> None:
        """Take usual driver hours by region and hour of the week, and offers, from the history."""
        if "driver_hours" not in history or "hour_of_week" not in history:
            return
        observed = history["driver_hours"].detach()
        recent = observed.index("hour") > observed.index("hour").max() - _RECENT
        observed = observed.isel(hour=np.flatnonzero(recent))
        regions, hours = observed.index("region"), observed.index("hour")
        clock = history["hour_of_week"].reindex(region=regions, hour=hours)
        week = clock.values("region", "hour").numpy().astype(np.int64)
        usual = _means_of_week(observed.values("region", "hour").numpy(), week)
        # A region that nobody observed has no mean; one where nobody drove has no shares.
        known = np.flatnonzero((usual > 0).any(axis=1))
        if not len(known):
            return
        usual = usual[known]
        size = np.nanmean(usual, axis=1)
        share = np.where(np.isfinite(usual), usual / size[:, None], 1.0)
        found = regions[known].get_indexer(self._regions)
        # Position -1, a region without history, is the mean at the end.
        self.size.copy_(torch.as_tensor(np.append(size, size.mean())[found]))
        self.usual.copy_(torch.as_tensor(np.vstack([share, share.mean(axis=0)])[found]))
        if "incentive_spend" in history:
            self._take_offers(history["incentive_spend"].detach())
            self._take_belief(history)

    def _take_offers(self, spend: IndexTensor) -> None:
        """What was offered of each type where anything was, all regions and hours together."""
        spend = spend.sel(region=[r for r in spend.index("region") if r in self._regions])
        if not len(spend.index("region")):
            return
        paid = spend.values("incentive", "region", "hour").numpy()
        size = self._of_region(self.size, spend).tensor.numpy()[:, None]
        paid = np.where(paid > 0, paid / size, np.nan)
        known = np.isfinite(paid).any(axis=(1, 2))
        if not known.any():
            return
        usual = np.nanmean(paid[known], axis=(1, 2))
        found = spend.index("incentive")[known].get_indexer(self._incentives)
        # Position -1, a type that was never offered, is the mean at the end.
        self.offered.copy_(torch.as_tensor(np.append(usual, usual.mean())[found]))

    def _take_belief(self, history: Panel) -> None:
        """What the history left of beliefs: how it answers is in ``_form``."""
        observed = history["driver_hours"].detach()
        spend = history["incentive_spend"].detach()
        regions = [r for r in observed.index("region") if r in spend.index("region")]
        # Of a large market, some of the regions.
        step = -(-len(regions) // _ASKED_REGIONS)
        regions = sorted(regions, key=lambda r: str(r))[:: max(step, 1)]
        hours = observed.index("hour").intersection(spend.index("hour"))[-_ASKED_WEEKS * _WEEK :]
        if not regions or not len(hours):
            return
        asked = {
            name: history[name].detach().reindex(region=regions, hour=hours)
            for name in ("driver_hours", "incentive_spend", "hour_of_week", "sessions")
            if name in history
        }
        values = {
            name: asked[name].values("region", "hour").numpy()
            for name in ("driver_hours", "hour_of_week", "sessions")
            if name in asked
        }
        past = Past(values["driver_hours"], values["hour_of_week"], values.get("sessions"))
        plain = IncentiveResponse(
            tuple(self._incentives), tuple(self._regions), self.hyperparameters
        )
        for own, known in zip(plain.buffers(), self.buffers(), strict=True):
            own.copy_(known)

        prior = self.hyperparameters

        def bought(
            wary: float, hurdle: float, *, room: float = 1.0, reply: float = 1.0
        ) -> NDArray[np.float64]:
            plain.wary.assign(wary)
            plain.hurdle.assign(hurdle)
            plain.reach.assign(room * prior.reach)
            plain.ceiling.assign(room * prior.ceiling)
            plain.reply.assign(reply * prior.reply)
            with torch.no_grad():
                found: IndexTensor = plain(asked["incentive_spend"], asked["hour_of_week"])
            hours: NDArray[np.float64] = found.values("region", "hour").numpy()
            return hours

        belief = learned(prior, past, bought)
        self.believed.copy_(torch.tensor(belief.values, dtype=torch.float64))
        # Start from the middle of what is believed.
        wary, hurdle = belief.form.middle
        self.wary.assign(wary)
        self.hurdle.assign(hurdle)
        self.reply.assign(float(np.exp(belief.reply)))
        self.reach.assign(float(np.exp(belief.room)) * prior.reach)
        self.ceiling.assign(float(np.exp(belief.room)) * prior.ceiling)

    def _met(self, offer: IndexTensor) -> IndexTensor:
        """Share of drivers for whom an offer is worth an answer; dims of ``offer``."""
        types = offer.index("incentive")
        found = torch.as_tensor(self._incentives.get_indexer(types))
        padded = torch.cat([self.offered, self.offered.mean(dim=0, keepdim=True)])[found]
        hurdle = IndexTensor(padded, {"incentive": types}) * self.hurdle.value()
        wary = self.wary.value()
        high = offer.square()
        return 1.0 - wary + wary * (high / (high + hurdle.square()))

    def _of_region(self, values: torch.Tensor, like: IndexTensor) -> IndexTensor:
        """A buffer by region on the regions of ``like``; a new region gets the mean."""
        index = like.index("region")
        found = torch.as_tensor(self._regions.get_indexer(index))
        # Position -1, an unseen region, is the mean at the end.
        padded = torch.cat([values, values.mean(dim=0, keepdim=True)])[found]
        if values.ndim == 1:
            return IndexTensor(padded, {"region": index})
        return IndexTensor(padded, {"region": index, "hour_of_week": range(_WEEK)})

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
    """Class of each local hour: 0 from 4:00, 1 from 10:00, 2 from 16:00, 3 from 22:00.

    Quarters of the day that begin when most shifts do.
    """
    return hour_of_week.map(lambda hours: (hours - 4) % 24 // 6)


def _means_of_week(
    observed: NDArray[np.float64], hour_of_week: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean of each region by hour of the week, (region, 168); NaN where nothing was observed."""
    means = np.full((len(observed), _WEEK), np.nan)
    for row, (values, hours) in enumerate(zip(observed, hour_of_week, strict=True)):
        seen = np.isfinite(values)
        count = np.bincount(hours[seen], minlength=_WEEK)
        total = np.bincount(hours[seen], values[seen], minlength=_WEEK)
        means[row, count > 0] = total[count > 0] / count[count > 0]
    return means


__all__ = ["CLASSES", "HOUR_CLASS", "IncentiveHyperparameters", "IncentiveResponse", "hour_classes"]
