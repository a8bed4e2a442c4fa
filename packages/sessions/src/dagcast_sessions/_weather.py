"""What the weather adds to organic sessions or takes away.

    weather = organic * expm1(cold * chill + heat * warmth + rain * wet)

    chill  = degrees below 14 degC, warmth = degrees above 24 degC, both with a rounded corner
    wet    = log1p(precipitation / 1 mm/h): the first drops matter most

Evidence: weather is not chosen by anyone, so its effect can be read off the history.
Left out: differences between regions (a history of months holds too few storms for them), storms
that stop traffic altogether, wind, and snow on the ground.
"""

from typing import final

from dagcast_core import IndexTensor, LossTerm, Model, Ridge
from dagcast_sessions.contract import WEATHER

_COLD_BELOW = 14.0
_HOT_ABOVE = 24.0
# Degrees over which a corner is rounded.
_CORNER = 2.0


@final
class WeatherSessions(Model):
    """Predicts ``weather_sessions``; see the module docstring for the form."""

    contract = WEATHER

    def __init__(self) -> None:
        super().__init__()
        # Logs per degree, logs per degree, logs per log1p(mm/h).
        self.cold = self.parameter(start=0.005)
        self.heat = self.parameter(start=0.005)
        self.rain = self.parameter(start=0.05)

    def forward(
        self,
        organic_sessions: IndexTensor,
        temperature: IndexTensor,
        precipitation: IndexTensor,
    ) -> IndexTensor:
        """Compute session/h; dims as ``organic_sessions``."""
        chill = _CORNER * ((_COLD_BELOW - temperature) / _CORNER).softplus()
        warmth = _CORNER * ((temperature - _HOT_ABOVE) / _CORNER).softplus()
        wet = precipitation.clamp(min=0.0).log1p()
        shift = self.cold * chill + self.heat * warmth + self.rain * wet
        # Bounded: an extrapolated heat wave must not multiply demand.
        shift = 1.5 * (shift / 1.5).tanh()
        return organic_sessions * shift.expm1()

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors; fitness to observed sessions is a term of the total."""
        return (
            Ridge(self.cold, toward=0.0, weight=0.02**-2),
            Ridge(self.heat, toward=0.0, weight=0.02**-2),
            Ridge(self.rain, toward=0.05, weight=0.15**-2),
        )
