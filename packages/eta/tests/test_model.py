"""The ETA model against closed forms and against histories made by its own identity."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, Panel
from dagcast_eta import EtaFromIdleHours

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def model() -> EtaFromIdleHours:
    model = EtaFromIdleHours(REGIONS)
    # Minutes at one idle driver, less the fixed part: 10, 20 and 30.
    model.usual.assign([5.0, 10.0, 15.0])
    model.usual_idle.fill_(6.25)
    model.fixed.assign(0.2)
    return model


def test_pickup_closes_the_driver_hours_identity(
    model: EtaFromIdleHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    """Idle hours recovered from the ETA, with pickups and trips, add up to the supply."""
    eta = model(constant("sessions", 60.0), constant("driver_hours", 40.0), hour_of_week)
    for region, usual in (("SFO", 5.0), ("LAX", 10.0), ("CHI", 15.0)):
        minutes = eta.sel(region=region).tensor[0].item()
        idle = 6.25 * ((minutes / usual - 0.2) / 0.8) ** -2
        rides = 0.6 * 60.0 + 0.05
        spent = idle + rides * (minutes + 15.0) / 60.0
        # The bend that guards the fold takes a few rides in a thousand away.
        assert spent == pytest.approx(40.05, rel=0.01)


def test_elasticity_to_driver_hours_steepens_as_idle_hours_run_out(
    model: EtaFromIdleHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    elasticities = []
    for supply in (80.0, 40.0, 25.0):
        hours = constant("driver_hours", supply).tensor.clone().requires_grad_()
        like = constant("driver_hours", 0.0)
        eta = model(constant("sessions", 60.0), like.with_tensor(hours), hour_of_week)
        near = eta.tensor[0, 0] - 1.0
        (slope,) = torch.autograd.grad(near.log(), hours)
        elasticities.append(float(slope[0, 0]) * supply)
        if supply == 80.0:
            idle = (10.0 / near.item()) ** 2
            chase = 36.0 * near.item() / 60
            closed = -0.5 * (supply / idle) / (1 - 0.5 * chase / idle)
            assert elasticities[0] == pytest.approx(closed, rel=0.01)
    assert elasticities[0] > elasticities[1] > elasticities[2]


def test_more_riders_and_fewer_drivers_lengthen_the_eta_even_beyond_the_fold(
    model: EtaFromIdleHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    hours = torch.linspace(0.0, 120.0, hour_of_week.shape[1], dtype=torch.float64)
    hours = hours.expand(3, -1).clone().requires_grad_()
    riders = torch.full_like(hours, 60.0).detach().requires_grad_()
    like = constant("x", 0.0)
    eta = model(like.with_tensor(riders), like.with_tensor(hours), hour_of_week * 0)
    by_hours, by_riders = torch.autograd.grad(eta.tensor.sum(), (hours, riders))
    assert torch.isfinite(eta.tensor).all()
    assert (by_hours < 0).all()
    assert (by_riders > 0).all()


def test_traffic_slows_pickups(
    model: EtaFromIdleHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    profile = np.zeros(168)
    profile[80:90] = 0.3
    model.traffic.assign(profile)
    eta = model(constant("sessions", 40.0), constant("driver_hours", 60.0), hour_of_week)
    slow = eta.tensor[hour_of_week.tensor == 85]
    usual = eta.tensor[hour_of_week.tensor == 10]
    assert slow.min() > usual.min()


def test_a_region_asleep_has_a_finite_eta(
    model: EtaFromIdleHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    eta = model(constant("sessions", 0.0), constant("driver_hours", 0.0), hour_of_week)
    assert torch.isfinite(eta.tensor).all()


def test_warm_start_reproduces_a_history_made_by_the_identity(
    model: EtaFromIdleHours, hour_of_week: IndexTensor
) -> None:
    rng = np.random.default_rng(0)
    sessions = IndexTensor(rng.uniform(20, 60, hour_of_week.shape), hour_of_week.indexes)
    hours = IndexTensor(rng.uniform(40, 80, hour_of_week.shape), hour_of_week.indexes)
    history = {"sessions": sessions, "driver_hours": hours, "rides": sessions * 0.4}
    fresh = EtaFromIdleHours((*REGIONS, "SEA"))
    with torch.no_grad():
        model.share.fill_(0.4)
        eta = model(sessions, hours, hour_of_week)
        fresh.warm_start(Panel({**history, "eta": eta}))
        again = fresh(sessions, hours, hour_of_week)
    assert ((again / eta).log().tensor.abs() < 0.05).all()
    assert fresh.share.tolist() == pytest.approx([0.4] * 4)
    # A region without history starts at the mean over the others.
    start = fresh.usual.value().tensor.detach()
    assert start[3].item() == pytest.approx(start[:3].log().mean().exp().item())


def test_labels_are_matched_not_positions(
    model: EtaFromIdleHours, hour_of_week: IndexTensor
) -> None:
    rng = np.random.default_rng(0)
    sessions = IndexTensor(rng.uniform(20, 60, hour_of_week.shape), hour_of_week.indexes)
    hours = IndexTensor(rng.uniform(40, 80, hour_of_week.shape), hour_of_week.indexes)
    order = rng.permutation(hour_of_week.shape[1])
    plain = model(sessions, hours, hour_of_week)
    shuffled = hours.isel(hour=order, region=[2, 1, 0]).transpose("hour", "region")
    again = model(sessions, shuffled, hour_of_week.isel(region=[1, 0, 2]))
    again = again.reindex(region=plain.index("region"), hour=plain.index("hour"))
    assert torch.allclose(again.values("region", "hour"), plain.values("region", "hour"))
