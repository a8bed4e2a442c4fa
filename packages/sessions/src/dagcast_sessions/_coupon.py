"""Sessions that rider coupons add: concave in spend per organic session.

    coupon = reply * spend / (1 + reply * spend / (most * organic))

``reply[region]`` is session per USD at the first dollar; ``most[region]`` is the largest share of
organic sessions that coupons can add. Zero spend adds nothing, and the slope there is finite.

Evidence: experiments on coupon spend. Campaigns are timed by people who foresee demand, so the
history may not move these two: the fitness term on sessions does not reach them.
Left out: sessions borrowed from the following day.
"""

from collections.abc import Sequence
from typing import final

from dagcast_core import IndexTensor, LossTerm, Model, PartialPooling, Ridge
from dagcast_sessions.contract import COUPON, REGION

# A region that is asleep has no sessions and no coupons; 0/0 has to be 0.
_TINY = 1e-9
# Prior centres: session per USD, share of organic sessions.
_REPLY = 0.25
_MOST = 0.5


@final
class CouponSessions(Model):
    """Predicts ``coupon_sessions``; see the module docstring for the form.

    Args:
        regions: labels along ``region``.
    """

    contract = COUPON

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        # Session per USD; share of organic sessions.
        self.reply = self.parameter(REGION, labels=regions, start=_REPLY, transform="exp")
        self.most = self.parameter(REGION, labels=regions, start=_MOST, transform="exp")

    def forward(self, organic_sessions: IndexTensor, coupon_spend: IndexTensor) -> IndexTensor:
        """Compute session/h; dims as ``organic_sessions``."""
        first = self.reply.at(organic_sessions) * coupon_spend
        ceiling = self.most * organic_sessions
        return ceiling * first / (ceiling + first + _TINY)

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Priors: one more session for 2 to 8 USD, and up to 25-100 % more sessions in all."""
        # Regions share what is uncertain: a prior on each alone would sharpen their mean.
        shared = 0.7**-2 / self.reply.raw.numel()
        return (
            Ridge(self.reply, _REPLY, weight=shared, unconstrained=True),
            Ridge(self.most, _MOST, weight=shared, unconstrained=True),
            PartialPooling(self.reply, REGION, scale=0.2),
            PartialPooling(self.most, REGION, scale=0.2),
        )
