"""Weather part, coupon part and their sum against closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor
from dagcast_sessions import CouponSessions, SessionsTotal, WeatherSessions

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def coupons() -> CouponSessions:
    model = CouponSessions(REGIONS)
    model.reply.assign(0.1)
    model.most.assign(0.5)
    return model


def test_no_coupons_add_no_sessions_and_the_first_dollar_adds_the_reply(
    coupons: CouponSessions, constant: Constant
) -> None:
    spend = constant("coupon_spend", 0.0).tensor.clone().requires_grad_()
    organic = constant("organic_sessions", 40.0)
    added = coupons(organic_sessions=organic, coupon_spend=organic.with_tensor(spend))
    assert (added.tensor == 0).all()
    (slope,) = torch.autograd.grad(added.tensor.sum(), spend)
    assert torch.allclose(slope, torch.full_like(slope, 0.1), rtol=1e-9)


def test_coupon_sessions_are_concave_and_stay_below_the_most(
    coupons: CouponSessions, constant: Constant
) -> None:
    organic = constant("organic_sessions", 40.0)
    dollars = (0.0, 100.0, 200.0, 1e9)
    added = [coupons(organic, constant("coupon_spend", d)).tensor[0, 0].item() for d in dollars]
    assert added[1] == pytest.approx(20 * 10 / (20 + 10))
    assert added[2] - added[1] < added[1] - added[0]
    assert added[3] == pytest.approx(20.0, rel=1e-6)


def test_a_region_asleep_has_no_coupon_sessions(
    coupons: CouponSessions, constant: Constant
) -> None:
    nothing = coupons(constant("organic_sessions", 0.0), constant("coupon_spend", 0.0))
    assert (nothing.tensor == 0).all()


def test_weather_is_a_factor_of_organic_sessions(constant: Constant) -> None:
    model = WeatherSessions()
    model.cold.assign(0.0)
    model.heat.assign(0.0)
    model.rain.assign(0.2)
    organic = constant("organic_sessions", 50.0)
    wet = model(organic, constant("temperature", 18.0), constant("precipitation", 3.0))
    shift = 1.5 * math.tanh(0.2 * math.log1p(3.0) / 1.5)
    assert wet.tensor[1, 7].item() == pytest.approx(50 * math.expm1(shift), rel=1e-12)


def test_mild_and_dry_weather_changes_almost_nothing(constant: Constant) -> None:
    model = WeatherSessions()
    mild = model(
        constant("organic_sessions", 50.0),
        constant("temperature", 19.0),
        constant("precipitation", 0.0),
    )
    assert mild.tensor.abs().max() < 0.1


def test_no_heat_wave_multiplies_demand_without_bound(constant: Constant) -> None:
    model = WeatherSessions()
    model.heat.assign(1.0)
    hot = model(
        constant("organic_sessions", 50.0),
        constant("temperature", 60.0),
        constant("precipitation", 0.0),
    )
    assert hot.tensor.max() <= 50 * math.expm1(1.5) + 1e-9


def test_total_matches_labels_not_positions(constant: Constant) -> None:
    organic = constant("organic_sessions", 0.0)
    organic = organic.with_tensor(torch.arange(organic.numel()).reshape(organic.shape).double())
    order = np.random.default_rng(0).permutation(len(organic.index("hour")))
    shuffled = organic.isel(hour=order, region=[2, 0, 1]).transpose("hour", "region")
    zero = constant("coupon_sessions", 0.0)
    total = SessionsTotal()(organic, shuffled, zero)
    assert torch.equal(total.tensor, 2 * organic.tensor)
