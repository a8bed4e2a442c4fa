"""Revenue, drivers' pay and profit.

    revenue    = rides * base_fare * (1 + prime_time) * fare[region]
    driver_pay = rides * base_fare * (share[region] + prime_share * prime_time)
    profit     = revenue - driver_pay - sum over incentives of incentive_spend - coupon_spend

``fare`` is near 1: it says by how much the trips taken are longer, and their surcharge lower, than
the mean quote. ``share`` is the drivers' share of the base fare, ``prime_share`` of the surcharge.

Evidence: bookkeeping; fitted to observed revenue and pay.
Left out: fixed costs, taxes, tips, and coupons that are not redeemed.
"""

from collections.abc import Mapping, Sequence
from typing import final

from dagcast_core import IndexTensor, LossTerm, Model, PartialPooling, Ridge, SquaredError
from dagcast_pricing.contract import DRIVER_PAY, MONEY_CONTRACT, REGION, REVENUE


@final
class Money(Model):
    """Predicts ``revenue``, ``driver_pay`` and ``profit``; see the module docstring.

    Args:
        regions: labels along ``region``; others get the mean over these.
    """

    contract = MONEY_CONTRACT

    def __init__(self, regions: Sequence[str]) -> None:
        super().__init__()
        # Pure numbers.
        self.fare = self.parameter(REGION, labels=regions, start=1.0, transform="exp")
        self.share = self.parameter(REGION, labels=regions, start=0.65, transform="exp")
        self.prime_share = self.parameter(start=0.65, transform="exp")

    def forward(
        self,
        rides: IndexTensor,
        prime_time: IndexTensor,
        base_fare: IndexTensor,
        incentive_spend: IndexTensor,
        coupon_spend: IndexTensor,
    ) -> Mapping[str, IndexTensor]:
        """Compute USD/h; dims (region, hour)."""
        fares = rides * base_fare
        revenue = fares * (1.0 + prime_time) * self.fare
        pay = fares * (self.prime_share.value() * prime_time + self.share)
        # An absent incentive spend arrives without dims.
        spend = incentive_spend.sum("incentive") if incentive_spend.dims else incentive_spend
        return {
            "revenue": revenue,
            "driver_pay": pay,
            "profit": revenue - pay - spend - coupon_spend,
        }

    def loss_terms(self) -> tuple[LossTerm, ...]:
        """Errors in logs, weighted by rides: a fare is a fare in a large and in a small region."""
        return (
            SquaredError(REVENUE, log=True, weight=0.3, weights="rides", half_life=1344.0),
            SquaredError(DRIVER_PAY, log=True, weight=0.3, weights="rides", half_life=1344.0),
            Ridge(self.fare, 1.0, weight=0.2**-2, unconstrained=True),
            PartialPooling(self.fare, REGION, scale=0.1),
            Ridge(self.share, 0.65, weight=0.3**-2, unconstrained=True),
            PartialPooling(self.share, REGION, scale=0.1),
            Ridge(self.prime_share, 0.65, weight=0.3**-2, unconstrained=True),
        )
