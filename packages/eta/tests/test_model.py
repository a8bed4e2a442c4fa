"""The ETA models against closed forms and against histories made by their own identity."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, Panel
from dagcast_eta import PickupStretch, StretchedEta

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def model() -> PickupStretch:
    model = PickupStretch(REGIONS)
    model.usual_pickup.copy_(torch.tensor([4.0, 5.0, 6.0]))
    model.fixed.assign(0.2)
    return model


def _usual_idle(pickup: float, trip: float = 15.0) -> float:
    """Idle drivers at 50 sessions and 20 driver hours, by hand."""
    idle = 20.0 - 0.6 * 50.0 * (pickup + trip) / 60.0
    return 0.5 * (idle + (idle**2 + 2.0**2) ** 0.5)


def test_stretch_closes_the_driver_hours_identity_after_riders_answered(
    model: PickupStretch, constant: Constant
) -> None:
    """Idle hours recovered from the stretch, with pickups and trips, add up to the supply."""
    stretch = model(constant("sessions", 60.0), constant("driver_hours", 24.0))
    for region, usual in (("SFO", 4.0), ("LAX", 5.0), ("CHI", 6.0)):
        longer = stretch.sel(region=region).tensor[0].item()
        idle = _usual_idle(usual) * ((longer - 0.2) / 0.8) ** -2
        rides = (0.6 * 60.0 + 0.05) * np.exp(-0.5 * (longer - 1.0))
        spent = idle + rides * (usual * longer + 15.0) / 60.0
        # The bend that guards the fold takes a few rides in a thousand away.
        assert spent == pytest.approx(24.05, rel=0.01)


def test_stretch_is_one_at_the_usual_balance(model: PickupStretch, constant: Constant) -> None:
    stretch = model(constant("sessions", 50.0), constant("driver_hours", 20.0))
    assert stretch.numpy() == pytest.approx(np.ones(stretch.shape), abs=0.02)


def test_elasticity_to_driver_hours_steepens_as_idle_hours_run_out(
    model: PickupStretch, constant: Constant
) -> None:
    elasticities = []
    for supply in (60.0, 30.0, 20.0):
        hours = constant("driver_hours", supply).tensor.clone().requires_grad_()
        like = constant("driver_hours", 0.0)
        stretch = model(constant("sessions", 50.0), like.with_tensor(hours))
        near = stretch.tensor[0, 0] - 0.2
        (slope,) = torch.autograd.grad(near.log(), hours)
        elasticities.append(float(slope[0, 0]) * supply)
        if supply == 60.0:
            idle = _usual_idle(4.0) * (near.item() / 0.8) ** -2
            longer = near.item() + 0.2
            rides = 30.05 * np.exp(-0.5 * (longer - 1.0))
            chase = rides * 4.0 * near.item() / 60.0 / idle
            softer = 1 - 0.5 * chase * (1 - 0.5 * (4.0 * longer + 15.0) / 4.0)
            closed = -0.5 * (supply / idle) / softer
            assert elasticities[0] == pytest.approx(closed, rel=0.01)
    assert elasticities[0] > elasticities[1] > elasticities[2]


def test_more_riders_and_fewer_drivers_lengthen_the_pickup_even_beyond_the_fold(
    model: PickupStretch, constant: Constant
) -> None:
    like = constant("x", 0.0)
    hours = torch.linspace(0.0, 80.0, like.shape[1], dtype=torch.float64)
    hours = hours.expand(3, -1).clone().requires_grad_()
    riders = torch.full_like(hours, 60.0).detach().requires_grad_()
    stretch = model(like.with_tensor(riders), like.with_tensor(hours))
    by_hours, by_riders = torch.autograd.grad(stretch.tensor.sum(), (hours, riders))
    assert torch.isfinite(stretch.tensor).all()
    assert (by_hours < 0).all()
    assert (by_riders > 0).all()


def test_trips_thought_too_long_still_leave_somebody_idle(
    model: PickupStretch, constant: Constant
) -> None:
    """The usual hours could not carry the usual rides; the stretch stays finite and keeps signs."""
    model.trip_time.assign(60.0)
    few, more = (
        model(constant("sessions", 50.0), constant("driver_hours", supply))
        for supply in (20.0, 22.0)
    )
    assert torch.isfinite(few.tensor).all()
    assert (few.tensor > more.tensor).all()


def test_traffic_slows_pickups(hour_of_week: IndexTensor, constant: Constant) -> None:
    level = StretchedEta(REGIONS)
    profile = np.zeros(168)
    profile[80:90] = 0.3
    level.traffic.assign(profile)
    eta = level(constant("pickup_stretch", 1.5), hour_of_week).detach()
    slow = eta.tensor[hour_of_week.tensor == 85]
    usual = eta.tensor[hour_of_week.tensor == 10]
    assert slow.numpy() / usual.min().item() == pytest.approx(np.exp(0.3))
    centre = profile.mean()
    assert usual.numpy() == pytest.approx(5.0 * 1.5 * np.exp(-centre))


def test_a_region_asleep_has_a_finite_stretch(model: PickupStretch, constant: Constant) -> None:
    stretch = model(constant("sessions", 0.0), constant("driver_hours", 0.0))
    assert torch.isfinite(stretch.tensor).all()


def test_warm_start_reads_the_units_off_the_history(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    rng = np.random.default_rng(0)
    drawn = {
        name: IndexTensor(rng.uniform(low, high, hour_of_week.shape), hour_of_week.indexes, name)
        for name, low, high in (("sessions", 20, 60), ("driver_hours", 40, 80), ("eta", 3, 7))
    }
    history = Panel({**drawn, "rides": drawn["sessions"] * 0.4})
    fresh = PickupStretch((*REGIONS, "SEA"))
    fresh.warm_start(history)
    assert fresh.share.tolist() == pytest.approx([0.4] * 4)
    medians = np.median(drawn["driver_hours"].numpy(), axis=1)
    assert fresh.usual_hours[:3].tolist() == pytest.approx(medians)
    # A region without history starts at the mean over the others.
    assert fresh.usual_hours[3].item() == pytest.approx(np.exp(np.log(medians).mean()))
    level = StretchedEta((*REGIONS, "SEA"))
    level.warm_start(history.assign(pickup_stretch=constant("pickup_stretch", 2.0)))
    halves = np.median(drawn["eta"].numpy(), axis=1) / 2
    assert level.usual.value().numpy()[:3] == pytest.approx(halves)


def test_labels_are_matched_not_positions(model: PickupStretch, hour_of_week: IndexTensor) -> None:
    rng = np.random.default_rng(0)
    sessions = IndexTensor(rng.uniform(20, 60, hour_of_week.shape), hour_of_week.indexes)
    hours = IndexTensor(rng.uniform(15, 40, hour_of_week.shape), hour_of_week.indexes)
    order = rng.permutation(hour_of_week.shape[1])
    plain = model(sessions, hours)
    shuffled = hours.isel(hour=order, region=[2, 1, 0]).transpose("hour", "region")
    again = model(sessions.isel(region=[1, 0, 2]), shuffled)
    again = again.reindex(region=plain.index("region"), hour=plain.index("hour"))
    assert torch.allclose(again.values("region", "hour"), plain.values("region", "hour"))
