"""The bonus response against its closed form."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor, Panel
from dagcast_incentives import IncentiveResponse
from dagcast_incentives.model import hour_classes

REGIONS = ("SFO", "LAX", "CHI")
TYPES = ("guarantee", "boost")
LAGS = 8


@pytest.fixture
def model() -> IncentiveResponse:
    model = IncentiveResponse(TYPES, REGIONS)
    model.reply.assign([[0.2] * 3, [0.4] * 3])
    model.reach.assign([0.3, 0.6])
    model.ceiling.assign(0.5)
    model.when.assign(1.0)
    model.stint.assign(2.0)
    model.rest.assign(0.1)
    # Everybody answers any offer, but for the tests of those who do not.
    model.wary.assign(1e-15)
    model.size.copy_(torch.tensor([100.0, 50.0, 20.0]))
    return model


@pytest.fixture
def spend(hours: pd.DatetimeIndex) -> IndexTensor:
    indexes = {"incentive": TYPES, "region": REGIONS, "hour": hours[:200]}
    return IndexTensor(np.zeros((2, 3, 200)), indexes, "incentive_spend")


@pytest.fixture
def calendar(hour_of_week: IndexTensor, spend: IndexTensor) -> IndexTensor:
    return hour_of_week.sel(hour=spend.index("hour"))


def _saturated(pull: float, most: float) -> float:
    return most * pull / (most + pull)


def _kernel(stint: float = 2.0, rest: float = 0.1) -> np.ndarray:
    stay = np.exp(-np.arange(LAGS + 1) / stint)
    return stay / stay.sum() - np.array([0.0] + [rest / LAGS] * LAGS)


def test_no_spend_adds_nothing(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    assert (model(spend, calendar).tensor == 0).all()


def test_one_bonus_saturates_and_spreads_over_the_hours_after_it(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    usd = spend.tensor.clone()
    usd[1, 0, 50] = 300.0
    out = model(spend.with_tensor(usd), calendar).sel(region="SFO").numpy()
    raw = _saturated(_saturated(0.4 * 300.0, 100.0 * 0.6), 100.0 * 0.5)
    assert np.allclose(out[50 : 50 + LAGS + 1], raw * _kernel(), rtol=1e-12)
    assert (out[:50] == 0).all()
    assert (out[50 + LAGS + 1 :] == 0).all()
    # What is moved is taken from the total: 10 % of the hours bought.
    assert out.sum() == pytest.approx(0.9 * raw)


def test_the_first_dollar_of_each_type_adds_its_reply(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    usd = spend.tensor.clone().requires_grad_()
    total = model(spend.with_tensor(usd), calendar).tensor.sum()
    (slope,) = torch.autograd.grad(total, usd)
    assert slope[0, 1, 20].item() == pytest.approx(0.2 * 0.9, rel=1e-12)
    assert slope[1, 1, 20].item() == pytest.approx(0.4 * 0.9, rel=1e-12)


@pytest.mark.parametrize("usd", [0.1, 5.0, 20.0, 500.0])
def test_wary_drivers_answer_offers_above_a_hurdle(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor, usd: float
) -> None:
    model.wary.assign(0.6)
    model.hurdle.assign(2.0)
    model.offered.copy_(torch.tensor([0.25, 0.1]))
    paid = spend.tensor.clone()
    paid[0, 1, 50] = usd
    found = model(spend.with_tensor(paid), calendar).tensor[1].sum().item()
    offer, hurdle = usd / 50.0, 2.0 * 0.25
    met = 0.4 + 0.6 * offer**2 / (offer**2 + hurdle**2)
    drawn = _saturated(0.2 * usd * met, 50.0 * 0.3)
    assert found == pytest.approx(0.9 * _saturated(drawn, 50.0 * 0.5), rel=1e-12)


def test_usual_offers_are_those_that_were_made(spend: IndexTensor, calendar: IndexTensor) -> None:
    model = IncentiveResponse((*TYPES, "streak"), REGIONS)
    paid = spend.tensor.clone()
    # Half of the hours of one region at 0.4 USD per driver hour, none of another type.
    paid[0, 1, ::2] = 0.4 * 50.0
    hours = np.full((3, 200), 50.0)
    indexes = {"region": REGIONS, "hour": spend.index("hour")}
    observed = IndexTensor(hours, indexes, "driver_hours")
    history = {"incentive_spend": spend.with_tensor(paid), "hour_of_week": calendar}
    model.warm_start(Panel({**history, "driver_hours": observed}))
    assert model.offered.numpy() == pytest.approx([0.4, 0.4, 0.4])
    none = IncentiveResponse(TYPES, REGIONS)
    unpaid = {**history, "incentive_spend": spend, "driver_hours": observed}
    none.warm_start(Panel(unpaid))
    assert none.offered.numpy() == pytest.approx([0.2, 0.2])


def test_a_bonus_wins_a_share_of_those_who_usually_drive_then(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    usual = np.ones((3, 168))
    usual[0, 12], usual[1, 12] = 0.25, 3.0
    model.usual.copy_(torch.as_tensor(usual))
    when = np.ones((3, 4))
    when[:, 1] = 1.5
    model.when.assign(when)
    usd = spend.tensor.clone()
    places = [int((calendar.tensor[row, 24:] == 12).int().argmax()) + 24 for row in range(3)]
    for row, place in enumerate(places):
        usd[0, row, place] = 10.0
    out = model(spend.with_tensor(usd), calendar).sum("hour")
    for row, share in enumerate((0.25, 3.0, 1.0)):
        size = (100.0, 50.0, 20.0)[row]
        drawn = _saturated(_saturated(0.2 * 10.0, size * 0.3), size * 0.5)
        expected = 0.9 * 1.5 * share * drawn
        assert out.tensor[row].item() == pytest.approx(expected, rel=1e-12)


def test_types_substitute_for_one_another_within_the_hour(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    def added(first: float, second: float) -> float:
        usd = spend.tensor.clone()
        usd[0, 2, 10], usd[1, 2, 10] = first, second
        return model(spend.with_tensor(usd), calendar).tensor.sum().item()

    assert added(50.0, 50.0) < added(50.0, 0.0) + added(0.0, 50.0)


def test_equal_types_share_the_money(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    """A second type reaches drivers whom more money for the first does not."""
    model.reply.assign([[0.3] * 3, [0.3] * 3])
    model.reach.assign([0.4, 0.4])

    def added(first: float, second: float) -> float:
        usd = spend.tensor.clone()
        usd[0, 2, 10], usd[1, 2, 10] = first, second
        return model(spend.with_tensor(usd), calendar).tensor.sum().item()

    shared = added(20.0, 20.0)
    assert shared > added(30.0, 10.0) > added(40.0, 0.0)
    assert added(30.0, 10.0) == pytest.approx(added(10.0, 30.0), rel=1e-12)


def test_response_is_concave_in_spend_at_every_cell(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    usd = (spend.tensor + 5.0).requires_grad_()
    total = model(spend.with_tensor(usd), calendar).tensor.sum()
    (slope,) = torch.autograd.grad(total, usd, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), usd)
    assert (slope > 0).all()
    assert (bend < 0).all()


def test_hours_are_matched_by_label_and_gaps_count_as_hours(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    usd = torch.rand(spend.shape, generator=torch.Generator().manual_seed(3)).double() * 50
    whole = model(spend.with_tensor(usd), calendar)
    order = np.random.default_rng(0).permutation(200)
    shuffled = spend.with_tensor(usd).isel(hour=order, region=[2, 0, 1])
    again = model(shuffled.transpose("hour", "region", "incentive"), calendar)
    expected = whole.reindex(hour=again.index("hour"), region=again.index("region"))
    assert torch.allclose(again.values("region", "hour"), expected.values("region", "hour"))

    kept = [h for h in range(200) if h != 100]
    gapped = model(spend.with_tensor(usd).isel(hour=kept), calendar.isel(hour=kept))
    without = usd.clone()
    without[:, :, 100] = 0.0
    reference = model(spend.with_tensor(without), calendar).isel(hour=kept)
    assert torch.allclose(gapped.tensor, reference.tensor)


def test_second_derivatives_match_finite_differences(
    model: IncentiveResponse, spend: IndexTensor, calendar: IndexTensor
) -> None:
    few = spend.isel(hour=list(range(12)), region=[0])

    def total(usd: torch.Tensor) -> torch.Tensor:
        return model(few.with_tensor(usd), calendar.isel(hour=list(range(12)), region=[0])).tensor

    usd = (torch.rand(few.shape, generator=torch.Generator().manual_seed(5)) * 40).double()
    assert torch.autograd.gradcheck(total, usd.requires_grad_())
    assert torch.autograd.gradgradcheck(total, usd)


def test_hour_classes_follow_the_local_week() -> None:
    hours = IndexTensor([4, 9, 10, 24 + 15, 4 * 24 + 16, 21, 22, 24, 3, 167], {"n": range(10)})
    assert hour_classes(hours).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]


def test_warm_start_takes_usual_hours_and_gives_new_regions_the_mean(
    hours: pd.DatetimeIndex, hour_of_week: IndexTensor
) -> None:
    model = IncentiveResponse(TYPES, (*REGIONS, "SEA"))
    # Skewed: of the usual hours the mean counts, not the middle.
    shape = np.exp(np.sin(np.arange(168) * 2 * np.pi / 168))
    shape /= shape.mean()
    level = np.array([[10.0], [20.0], [60.0]])
    observed = level * shape[hour_of_week.numpy()]
    observed[0, 5] = np.nan
    history = IndexTensor(observed, {"region": REGIONS, "hour": hours}, "driver_hours")
    order = [2, 0, 1]
    model.warm_start(
        Panel({"driver_hours": history, "hour_of_week": hour_of_week.isel(region=order)})
    )
    assert model.size.tolist() == pytest.approx([10.0, 20.0, 60.0, 30.0])
    assert np.allclose(model.usual.numpy(), np.tile(shape, (4, 1)), rtol=1e-12)


def test_unseen_region_gets_the_pooled_response(
    model: IncentiveResponse, hours: pd.DatetimeIndex
) -> None:
    indexes = {"incentive": TYPES, "region": ["NEW"], "hour": hours[:3]}
    spend = IndexTensor(np.full((2, 1, 3), 10.0), indexes, "incentive_spend")
    noon = IndexTensor(np.full((1, 3), 12), {"region": ["NEW"], "hour": hours[:3]}, "hour_of_week")
    size = (100 + 50 + 20) / 3
    drawn = _saturated(0.2 * 10.0, size * 0.3) + _saturated(0.4 * 10.0, size * 0.6)
    first = model(spend, noon).tensor[0, 0].item()
    assert first == pytest.approx(_saturated(drawn, size * 0.5) * _kernel()[0], rel=1e-12)
    assert math.isfinite(first)
