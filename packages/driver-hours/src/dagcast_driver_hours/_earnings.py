"""How driver hours answer to earnings, in the short and in the long run.

    earnings_pull = earnings_swing ** short_run * earnings_level ** long_run

``earnings_swing`` is what an hour is expected to pay, per hour online, over what that hour of the
week has paid of late; ``earnings_level`` is what hours have paid of late over what is usual. Both
are made from hours at least a week old: earnings depend on driver hours, a loop within the hour is
no DAG, and with a lag of a week the loop does not close within a week's plan either, so that a
solver meets none. Either may be absent; then earnings are as usual, and the pull is 1.

Evidence: priors, and experiments on earnings. Drivers who may choose move about 1.2 % of their
hours to an hour that pays 1 % more (Angrist, Caldwell & Hall 2021, doi:10.1257/app.20190173). What
lasts moves them less: where fares rose for good, hours rose and utilisation fell until an hour paid
what it had paid before, within some eight weeks (Hall, Horton & Knoepfle 2023, "Ride-sharing
markets re-equilibrate"). The history does not move either: good weeks pay well and bring drivers
for reasons of their own.
Left out: where the hours of a swing come from (other hours of the same driver), and differences
between regions.
"""

from dataclasses import dataclass, field
from typing import final

from dagcast_core import IndexTensor, LossTerm, Model, Ridge
from dagcast_driver_hours.contract import EARNINGS_CONTRACT

# An hour that paid nothing of late still has a logarithm.
_LEAST = 0.05


@dataclass(frozen=True)
class EarningsHyperparameters:
    """Priors of the two elasticities; ``range`` is where a search may look.

    Args:
        short_run: elasticity of hours to a passing change of earnings.
        short_spread: uncertainty of it, in logs.
        long_run: elasticity of hours to a lasting change.
        long_spread: uncertainty of it, in logs.
    """

    short_run: float = field(default=1.2, metadata={"range": (0.1, 3.0), "unit": "1"})
    short_spread: float = field(default=0.5, metadata={"range": (0.1, 1.5), "unit": "1"})
    long_run: float = field(default=0.4, metadata={"range": (0.05, 2.0), "unit": "1"})
    long_spread: float = field(default=0.8, metadata={"range": (0.1, 1.5), "unit": "1"})


_DEFAULT = EarningsHyperparameters()


@final
class EarningsResponse(Model):
    """Predicts ``earnings_pull``; see the module docstring for the form.

    Args:
        hyperparameters: priors.
    """

    contract = EARNINGS_CONTRACT

    def __init__(self, hyperparameters: EarningsHyperparameters = _DEFAULT) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Elasticities.
        self.short_run = self.parameter(start=hyperparameters.short_run, transform="exp")
        self.long_run = self.parameter(start=hyperparameters.long_run, transform="exp")

    def forward(
        self, hour_of_week: IndexTensor, earnings_swing: IndexTensor, earnings_level: IndexTensor
    ) -> IndexTensor:
        """Compute the pull, 1 at usual earnings; dims (region, hour)."""
        passing = self.short_run.value() * earnings_swing.clamp(min=_LEAST).log()
        lasting = self.long_run.value() * earnings_level.clamp(min=_LEAST).log()
        # Earnings that are absent have no dims: the calendar says which hours are asked for.
        return (hour_of_week.double() * 0.0 + passing + lasting).exp()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; the experiments given to the fit do the rest."""
        prior = self.hyperparameters
        return (
            Ridge(self.short_run, prior.short_run, prior.short_spread**-2, unconstrained=True),
            Ridge(self.long_run, prior.long_run, prior.long_spread**-2, unconstrained=True),
        )


__all__ = ["EarningsHyperparameters", "EarningsResponse"]
