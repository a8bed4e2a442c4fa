"""Sessions per region and hour: organic, weather and coupon parts and their sum.

    sessions = organic_sessions + weather_sessions + coupon_sessions

The parts are models of their own, wired by name into one collection, so that each can be swapped.
The sum is what is observed: its fitness term moves the organic and the weather part, and leaves
the coupon part to experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from dagcast_core import (
    IndexTensor,
    LossTerm,
    Model,
    ModelCollection,
    NegativeBinomial,
    Panel,
    Ridge,
    since_opening,
)
from dagcast_sessions._coupon import CouponSessions
from dagcast_sessions._organic import OrganicHyperparameters, OrganicSessions
from dagcast_sessions._weather import WeatherSessions
from dagcast_sessions.contract import SESSIONS, TOTAL


@dataclass(frozen=True)
class TotalHyperparameters:
    """Choices of the sum; ``range`` is where a search may look.

    Args:
        half_life: hours after which an hour of history counts half.
        independence: weight of an hour; below 1 because neighbouring hours share their shocks.
    """

    half_life: float = field(default=840.0, metadata={"range": (336.0, 2688.0), "unit": "h"})
    independence: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})


_DEFAULT = TotalHyperparameters()


@final
class SessionsTotal(Model):
    """Predicts ``sessions``, the sum of its parts.

    Args:
        hyperparameters: how the history is weighed.
    """

    contract = TOTAL

    def __init__(self, hyperparameters: TotalHyperparameters = _DEFAULT) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        # Variance is mean + mean^2 / concentration: shocks of about 12 % per hour at the start.
        self.concentration = self.parameter(start=60.0, transform="exp")

    def forward(
        self,
        organic_sessions: IndexTensor,
        weather_sessions: IndexTensor,
        coupon_sessions: IndexTensor,
    ) -> IndexTensor:
        """Compute session/h; dims (region, hour)."""
        return (organic_sessions + weather_sessions + coupon_sessions).clamp(min=0.0)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Counts with more spread than Poisson; coupon effects are not learned from history."""
        return (
            NegativeBinomial(
                SESSIONS,
                weight=self.hyperparameters.independence,
                half_life=self.hyperparameters.half_life,
                weights=_since_opening,
                concentration=self.concentration,
                through=("organic_sessions", "weather_sessions"),
            ),
            Ridge(self.concentration, toward=60.0, weight=1.0, unconstrained=True),
        )


def _since_opening(history: Panel) -> IndexTensor:
    return since_opening(history["sessions"])


def sessions_collection(regions: Sequence[str]) -> ModelCollection:
    """Build the four models of the sessions team as one.

    Args:
        regions: labels along ``region``; others get pooled values.
    """
    regions = tuple(regions)
    return ModelCollection(
        [
            OrganicSessions(regions),
            WeatherSessions(),
            CouponSessions(regions),
            SessionsTotal(),
        ],
        name="sessions",
    )


__all__ = [
    "CouponSessions",
    "OrganicHyperparameters",
    "OrganicSessions",
    "SessionsTotal",
    "TotalHyperparameters",
    "WeatherSessions",
    "sessions_collection",
]
