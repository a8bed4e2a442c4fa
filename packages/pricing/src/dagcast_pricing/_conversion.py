"""How many sessions become rides wanted: a logit in log price and ETA.

    quote_appeal = -price[region] * log(base_fare * (1 + prime_time) / usual_price)
                   -waiting[region] * usual_eta * log(eta / usual_eta)
    conversion   = sigmoid(base[region] + habit[region, hour_of_week] + quote_appeal)

The elasticity of requests to price is ``-price * (1 - conversion)``. ``usual_price`` and
``usual_eta`` are means of the history: at them the appeal is 0, and there ``waiting`` is log odds
per minute. The logarithm is no law of riders but of means: where drivers run out, a few quotes in
minutes without any raise the mean ETA of an hour without bound and cost only the few rides behind
them, so a line through minutes overstates what long mean ETAs do.

Evidence: experiments on price, and on what moves ETA. The history may move only what is usual
(``base``, ``habit``). Prices answer demand: hours with a surcharge differ from others in who opens
the app, and the history would turn the sign. And the mean ETA of an hour is raised by a few quotes
in minutes without a driver, which cost a few rides only: fitted to history, ``waiting`` comes out a
third too small. Priors: elasticities of requests from -0.25 at once to -0.54 within six hours
(Cohen, Hahn, Hall, Levitt & Metcalfe 2016 give the order of magnitude); for waiting, from 0.03 per
minute (19.38 USD/h, Goldszmidt et al. 2020, at a 15 USD fare) to what impatience adds.
Left out: riders who wait for the surcharge to end, and the memory of past prices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    Panel,
    PartialPooling,
    Ridge,
    Smoothness,
    align,
)
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_pricing.contract import APPEAL_CONTRACT, CONVERSION_CONTRACT, REGION

# A fare of zero has no logarithm; nobody is quoted less than a cent.
_CENT = 0.01
# Minutes that keep the logarithm of an ETA, and its slope, finite at 0.
_SHORT = 0.25


@dataclass(frozen=True)
class AppealHyperparameters:
    """Priors of the riders' response; ``range`` is where a search may look.

    Args:
        price: log odds of riding lost per log of price.
        price_spread: uncertainty of it, in logs.
        waiting: log odds of riding lost per minute of ETA.
        waiting_spread: uncertainty of it, in logs.
    """

    price: float = field(default=0.7, metadata={"range": (0.3, 3.0), "unit": "1"})
    price_spread: float = field(default=0.6, metadata={"range": (0.1, 1.0), "unit": "1"})

    waiting: float = field(default=0.12, metadata={"range": (0.02, 0.5), "unit": "1/min"})
    waiting_spread: float = field(default=0.8, metadata={"range": (0.1, 1.5), "unit": "1"})


_DEFAULT = AppealHyperparameters()


@final
class QuoteAppeal(Model):
    """Predicts ``quote_appeal``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
        hyperparameters: priors.
    """

    contract = APPEAL_CONTRACT

    def __init__(
        self, regions: Sequence[str], hyperparameters: AppealHyperparameters = _DEFAULT
    ) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Log odds per log price; log odds per minute.
        self.price = self.parameter(
            REGION, labels=regions, start=hyperparameters.price, transform="exp"
        )
        self.waiting = self.parameter(
            REGION, labels=regions, start=hyperparameters.waiting, transform="exp"
        )
        # USD/ride and minutes at which the appeal is 0.
        self.usual_price: torch.Tensor
        self.usual_eta: torch.Tensor
        self.register_buffer("usual_price", torch.tensor(15.0, dtype=torch.float64))
        self.register_buffer("usual_eta", torch.tensor(5.0, dtype=torch.float64))

    def forward(
        self, prime_time: IndexTensor, eta: IndexTensor, base_fare: IndexTensor
    ) -> IndexTensor:
        """Compute log odds; dims (region, hour)."""
        paid = base_fare.clamp(min=_CENT) * (1.0 + prime_time.clamp(min=0.0))
        dearer = paid.log() - self.usual_price.log()
        usual = self.usual_eta + _SHORT
        longer = usual * ((eta.clamp(min=0.0) + _SHORT) / usual).log()
        return -(self.price * dearer) - self.waiting * longer

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        return (
            # Regions share what is uncertain: a prior on each alone would sharpen their mean.
            Ridge(
                self.price,
                prior.price,
                prior.price_spread**-2 / self.price.raw.numel(),
                unconstrained=True,
            ),
            PartialPooling(self.price, REGION, scale=0.1),
            Ridge(
                self.waiting,
                prior.waiting,
                prior.waiting_spread**-2 / self.waiting.raw.numel(),
                unconstrained=True,
            ),
            PartialPooling(self.waiting, REGION, scale=0.15),
        )

    def warm_start(self, history: Panel) -> None:
        """Take the usual price and ETA from the history."""
        if "eta" in history:
            _keep_mean(self.usual_eta, history["eta"].detach())
        if "base_fare" in history:
            paid = history["base_fare"].detach()
            if "prime_time" in history:
                paid = paid * (1.0 + history["prime_time"].detach())
            _keep_mean(self.usual_price, paid)


@final
class Conversion(Model):
    """Predicts ``conversion``; see the module docstring for the form.

    Args:
        regions: labels along ``region``; others get the mean over these.
    """

    contract = CONVERSION_CONTRACT

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        by_hour = {"region": regions, "hour_of_week": range(168)}
        # Log odds.
        self.base = self.parameter(REGION, labels=regions, start=0.4)
        self.habit = self.parameter(REGION, HOUR_OF_WEEK, labels=by_hour, start=0.0)

    def forward(self, quote_appeal: IndexTensor, hour_of_week: IndexTensor) -> IndexTensor:
        """Compute rides wanted per session; dims (region, hour)."""
        habit = self.habit.sel(hour_of_week=hour_of_week)
        centre = self.habit.at(hour_of_week).mean("hour_of_week")
        usual = habit - centre + self.base
        return (usual + quote_appeal).sigmoid()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; fitness to observed rides is a term of the rides."""
        return (
            Ridge(self.base, toward=0.4, weight=1.0),
            PartialPooling(self.base, REGION, scale=0.5),
            Ridge(self.habit, toward=0.0, weight=1.0),
            PartialPooling(self.habit, REGION, scale=0.1),
            Smoothness(self.habit, HOUR_OF_WEEK, weight=0.1**-2, periodic=True),
        )

    def warm_start(self, history: Panel) -> None:
        """Take the share of sessions that ride from the history."""
        if "rides" not in history or "sessions" not in history:
            return
        rides, sessions = align(
            history["rides"].detach(), history["sessions"].detach(), join="inner"
        )
        share = rides.sum("hour", skipna=True) / sessions.sum("hour", skipna=True)
        odds = torch.logit(share.values("region").clamp(0.02, 0.98)).numpy()
        seen = np.flatnonzero(np.isfinite(odds))
        if len(seen):
            found = rides.index("region")[seen].get_indexer(self.base.indexes["region"])
            # Position -1, a region without history, is the mean at the end.
            self.base.assign(np.append(odds[seen], odds[seen].mean())[found])


def _keep_mean(buffer: torch.Tensor, observed: IndexTensor) -> None:
    values = observed.numpy()
    if np.isfinite(values).any() and np.nanmean(values) > 0:
        buffer.fill_(float(np.nanmean(values)))
