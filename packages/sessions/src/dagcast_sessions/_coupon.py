"""Sessions that rider coupons add: concave in spend per organic session.

    coupon = reply * spend / (1 + reply * spend / (most * organic))

``reply[region]`` is session per USD at the first dollar; ``most[region]`` is the largest share of
organic sessions that coupons can add. Zero spend adds nothing, and the slope there is finite.

Evidence: experiments on coupon spend. Campaigns are timed by people who foresee demand, so the
history may not move these two: the fitness term on sessions does not reach them.
Left out: sessions borrowed from the following day.
"""

from typing import final

from dagcast_core import IndexTensor, LossTerm, Model, PartialPooling, Ridge
from dagcast_core.dims import REGION
from dagcast_sessions.contract import COUPON

# A region that is asleep has no sessions and no coupons; 0/0 has to be 0.
_TINY = 1e-9


@final
class CouponSessions(Model):
    """Predicts ``coupon_sessions``; see the module docstring for the form.

    Args:
        regions: labels along ``region``.
    """

    contract = COUPON

    def __init__(self, regions: tuple[str, ...]) -> None:
        super().__init__()
        # Session per USD; share of organic sessions.
        self.reply = self.parameter(REGION, labels=regions, start=0.15, transform="exp")
        self.most = self.parameter(REGION, labels=regions, start=0.4, transform="exp")

    def forward(self, organic_sessions: IndexTensor, coupon_spend: IndexTensor) -> IndexTensor:
        """Compute session/h; dims as ``organic_sessions``."""
        first = self.reply.at(organic_sessions) * coupon_spend
        ceiling = self.most * organic_sessions
        return ceiling * first / (ceiling + first + _TINY)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors: one more session for 4 to 12 USD, and up to 25-65 % more sessions in all."""
        return (
            Ridge(self.reply, toward=0.15, weight=0.5**-2, unconstrained=True),
            Ridge(self.most, toward=0.4, weight=0.5**-2, unconstrained=True),
            PartialPooling(self.reply, REGION, scale=0.2),
            PartialPooling(self.most, REGION, scale=0.2),
        )
