"""Prime time, appeal, conversion, rides and money against closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, Panel
from dagcast_pricing import Conversion, MarketLoad, Money, PrimeTime, QuoteAppeal, Rides
from dagcast_pricing.model import RidesHyperparameters

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


def test_load_is_sessions_per_driver_hour_where_hours_are_usual(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = MarketLoad(REGIONS)
    usual = constant("driver_hours", 40.0)
    model.warm_start(Panel({"driver_hours": usual, "hour_of_week": hour_of_week}))
    riders = constant("sessions", 90.0)
    load = model(riders, usual, hour_of_week)
    assert load.tensor[1, 5].item() == pytest.approx(math.log(90.0 / 40.0), abs=0.02)
    # Each log of driver hours beyond the usual takes `relief` away, one of sessions adds 1.
    more = model(riders, usual * 1.5, hour_of_week) - load
    assert more.tensor[1, 5].item() == pytest.approx(-1.2 * math.log(1.5), rel=3e-3)
    busier = model(riders * 1.5, usual, hour_of_week) - load
    assert busier.tensor[1, 5].item() == pytest.approx(math.log(1.5), rel=3e-3)


def test_usual_driver_hours_are_of_the_region_and_the_hour_of_the_week(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = MarketLoad((*REGIONS, "SEA"))
    size = torch.tensor([20.0, 40.0, 80.0]).double().unsqueeze(1)
    night = hour_of_week.tensor % 24 < 6
    supply = constant("driver_hours", 1.0).with_tensor(torch.where(night, 0.5 * size, size))
    model.warm_start(Panel({"driver_hours": supply, "hour_of_week": hour_of_week}))
    # At the usual hours, day and night, relief has nothing to say.
    riders = constant("sessions", 60.0)
    model.relief.assign(1.0)
    plain = model(riders, supply, hour_of_week)
    model.relief.assign(1.6)
    assert (model(riders, supply, hour_of_week) - plain).tensor.abs().max() < 0.03
    # A region without history, known to the model or not, counts as the mean of the others.
    usual = model.usual.exp()
    assert usual[3, 12].item() == pytest.approx(40.0, rel=0.03)
    new = {"region": ["SEA", "NYC"], "hour": hour_of_week.index("hour")[:3]}
    calendar = IndexTensor([[12, 13, 14]] * 2, new, "hour_of_week")
    drivers = IndexTensor([[40.0] * 3] * 2, new, "driver_hours")
    load = model(drivers * 2.0, drivers, calendar)
    assert torch.allclose(load.tensor, torch.tensor(math.log(2.0)).double(), atol=0.03)


def test_load_stands_as_it_was_where_no_driver_hour_was_observed(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = MarketLoad(REGIONS)
    before = model.usual.clone()
    unseen = constant("driver_hours", math.nan)
    model.warm_start(Panel({"driver_hours": unseen, "hour_of_week": hour_of_week}))
    model.warm_start(Panel({"hour_of_week": hour_of_week}))
    assert torch.equal(model.usual, before)


def test_prime_time_vanishes_in_slack_hours_and_rises_with_log_load(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = PrimeTime(REGIONS)
    model.rise.assign(0.5)
    model.threshold.assign(1.0)
    model.bend.assign(0.1)
    slack = model(constant("market_load", math.log(0.5)), hour_of_week)
    assert slack.tensor.min() >= 0
    assert slack.tensor.max() < 1e-6
    tight = model(constant("market_load", 3.0), hour_of_week)
    assert tight.tensor[0, 0].item() == pytest.approx(0.5 * (3.0 - 1.0), abs=1e-3)


def test_elasticity_of_conversion_to_price_is_minus_price_times_one_less_conversion(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    appeal, conversion = QuoteAppeal(REGIONS), Conversion(REGIONS)
    appeal.price.assign(1.35)
    conversion.base.assign(0.3)

    def rides_per_session(fare: float) -> float:
        log_odds = appeal(
            constant("prime_time", 0.2), constant("eta", 5.0), constant("base_fare", fare)
        )
        return conversion(log_odds, hour_of_week).tensor[0, 0].item()

    step = 1e-5
    slope = math.log(rides_per_session(15 * (1 + step)) / rides_per_session(15 * (1 - step)))
    share = rides_per_session(15.0)
    assert slope / (2 * step) == pytest.approx(-1.35 * (1 - share), rel=1e-6)


def test_usual_quote_has_no_appeal_of_its_own(constant: Constant) -> None:
    model = QuoteAppeal(REGIONS)
    history = {
        "prime_time": constant("prime_time", 0.25),
        "eta": constant("eta", 4.0),
        "base_fare": constant("base_fare", 12.0),
    }
    model.warm_start(Panel(history))
    assert model(**history).tensor.abs().max() < 1e-12
    dearer = model(**{**history, "base_fare": history["base_fare"] * 2.0})
    assert dearer.tensor[0, 0].item() == pytest.approx(-0.7 * math.log(2.0))
    usual = 4.25  # The history's, and the quarter of a minute that keeps 0 in range.
    for times in (1.001, 2.0, 3.0):
        slower = model(**{**history, "eta": history["eta"] * times})
        expected = -0.12 * usual * math.log((4.0 * times + 0.25) / usual)
        assert slower.tensor[0, 0].item() == pytest.approx(expected)
    # At the usual ETA, ``waiting`` is log odds per minute.
    slower = model(**{**history, "eta": history["eta"] + 1e-4})
    assert slower.tensor[0, 0].item() == pytest.approx(-0.12e-4, rel=1e-4)
    nobody_waits = model(**{**history, "eta": history["eta"] * 0.0})
    assert 0 < nobody_waits.tensor[0, 0].item() < 3.0


def test_conversion_starts_at_the_observed_share(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = Conversion((*REGIONS, "SEA"))
    history = {"sessions": constant("sessions", 50.0), "rides": constant("rides", 20.0)}
    model.warm_start(Panel(history))
    usual = model(constant("quote_appeal", 0.0), hour_of_week)
    assert usual.tensor[2, 3].item() == pytest.approx(0.4)
    assert model.base.value().sel(region="SEA").item() == pytest.approx(math.log(0.4 / 0.6))


def test_rides_never_exceed_sessions_wanted_or_what_drivers_serve() -> None:
    model = Rides(REGIONS)
    model.turns.assign(2.0)
    rng = np.random.default_rng(0)
    indexes = {"region": REGIONS, "hour": range(500)}
    sessions = IndexTensor(rng.gamma(0.5, 80.0, (3, 500)), indexes)
    share = IndexTensor(rng.uniform(0, 1, (3, 500)), indexes)
    drivers = IndexTensor(rng.gamma(0.5, 40.0, (3, 500)), indexes)
    rides = model(sessions, share, drivers).tensor
    assert (rides >= 0).all()
    assert (rides <= sessions.tensor).all()
    assert (rides <= (sessions * share).tensor).all()
    assert (rides <= (2.0 * drivers.tensor + 1e-6) * (1 + 1e-12)).all()


def test_what_a_driver_hour_holds_is_read_off_the_busiest_hours(constant: Constant) -> None:
    model = Rides((*REGIONS, "SEA"))
    history = {"rides": constant("rides", 40.0), "driver_hours": constant("driver_hours", 20.0)}
    quiet = history["driver_hours"].tensor.clone()
    quiet[1, 5:] = 4.0  # Too few drivers to say anything.
    history["driver_hours"] = history["driver_hours"].with_tensor(quiet)
    model.warm_start(Panel(history))
    turns = model.turns.value()
    for region in (*REGIONS, "SEA"):
        assert turns.sel(region=region).item() == pytest.approx(2.2)
    assert not model.turns.raw.requires_grad
    learning = Rides(REGIONS, RidesHyperparameters(turns_learned=True))
    learning.warm_start(Panel(history))
    assert learning.turns.raw.requires_grad
    assert learning.turns.value().tensor[0].item() == pytest.approx(3.0)


def test_rides_are_those_wanted_where_drivers_abound(constant: Constant) -> None:
    rides = Rides(REGIONS)(
        constant("sessions", 30.0), constant("conversion", 0.6), constant("driver_hours", 100.0)
    )
    assert rides.tensor[0, 0].item() == pytest.approx(18.0, rel=1e-4)


def test_no_sessions_and_no_drivers_give_no_rides_and_finite_gradients(constant: Constant) -> None:
    like = constant("x", 0.0)
    sessions = torch.zeros_like(like.tensor).requires_grad_()
    drivers = torch.zeros_like(like.tensor).requires_grad_()
    rides = Rides(REGIONS)(
        like.with_tensor(sessions), constant("conversion", 0.6), like.with_tensor(drivers)
    )
    assert (rides.tensor == 0).all()
    for gradient in torch.autograd.grad(rides.tensor.sum(), (sessions, drivers)):
        assert torch.isfinite(gradient).all()


def test_profit_is_what_is_left_of_revenue(constant: Constant) -> None:
    model = Money(REGIONS)
    model.fare.assign(0.98)
    model.share.assign(0.6)
    model.prime_share.assign(0.5)
    hours = constant("x", 0.0).index("hour")
    spend = IndexTensor(
        np.full((2, 3, len(hours)), 7.0),
        {"incentive": ("guarantee", "boost"), "region": REGIONS, "hour": hours},
        "incentive_spend",
    )
    out = model(
        constant("rides", 10.0),
        constant("prime_time", 0.2),
        constant("base_fare", 15.0),
        spend,
        constant("coupon_spend", 3.0),
    )
    cell = {name: tensor.tensor[1, 5].item() for name, tensor in out.items()}
    assert cell["revenue"] == pytest.approx(10 * 15 * 1.2 * 0.98)
    assert cell["driver_pay"] == pytest.approx(10 * 15 * (0.6 + 0.5 * 0.2))
    assert cell["profit"] == pytest.approx(cell["revenue"] - cell["driver_pay"] - 14.0 - 3.0)


def test_money_needs_no_spend(constant: Constant) -> None:
    out = Money(REGIONS).predict(
        Panel({q: constant(q, 1.0) for q in ("rides", "prime_time", "base_fare")})
    )
    left = out["revenue"].tensor - out["driver_pay"].tensor
    assert torch.equal(out["profit"].tensor, left)


def test_gradients_of_the_chain_match_finite_differences(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    few = {"hour": list(range(4)), "region": [0, 1]}
    load, prime, appeal = MarketLoad(REGIONS), PrimeTime(REGIONS), QuoteAppeal(REGIONS)
    conversion, rides = Conversion(REGIONS), Rides(REGIONS)
    like, calendar = constant("x", 0.0).isel(few), hour_of_week.isel(few)

    def chain(sessions: torch.Tensor, drivers: torch.Tensor, eta: torch.Tensor) -> torch.Tensor:
        riders, supply, minutes = (like.with_tensor(t) for t in (sessions, drivers, eta))
        surcharge = prime(load(riders, supply, calendar), calendar)
        share = conversion(appeal(surcharge, minutes, like + 15.0), calendar)
        return rides(riders, share, supply).tensor

    generator = torch.Generator().manual_seed(0)
    arguments = tuple(
        (low + high * torch.rand(like.shape, generator=generator).double()).requires_grad_()
        for low, high in ((20, 60), (5, 20), (2, 8))
    )
    assert torch.autograd.gradcheck(chain, arguments)
    assert torch.autograd.gradgradcheck(chain, arguments, atol=1e-4)
