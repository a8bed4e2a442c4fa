"""The driver-hours identity against closed forms and independent computations."""

import numpy as np
import pytest
import torch

from dagcast_eta._identity import cleared_idle, idle_hours, most_rides, served_rides

torch.set_num_threads(1)


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_idle_hours_solve_the_cubic_at_exponent_one_half() -> None:
    """With exponent 1/2 the identity is a cubic in sqrt(idle); its largest root is the answer."""
    rides, scale = 100.0, 0.6
    for room in (35.0, 60.0, 200.0, 5000.0):
        # y^3 - room * y + rides * scale = 0 with y = sqrt(idle)
        roots = np.roots([1.0, 0.0, -room, rides * scale])
        expected = max(root.real for root in roots if abs(root.imag) < 1e-9) ** 2
        idle = idle_hours(_tensor(room), _tensor(rides), _tensor(scale), _tensor(0.5))
        assert idle.item() == pytest.approx(expected, rel=1e-11)


def test_idle_hours_solve_the_quadratic_at_exponent_one() -> None:
    """With exponent 1 the identity is quadratic."""
    room, load = 50.0, 400.0
    expected = (room + (room**2 - 4 * load) ** 0.5) / 2
    idle = idle_hours(_tensor(room), _tensor(load), _tensor(1.0), _tensor(1.0))
    assert idle.item() == pytest.approx(expected, rel=1e-12)


def test_most_rides_solve_the_quadratic_at_exponent_one() -> None:
    """With exponent 1 the fold is at idle^2 = rides * scale, so 2 idle + trip idle^2/scale = L."""
    supply, trip, scale = 30.0, 0.25, 0.6
    idle = (-2 + (4 + 4 * trip / scale * supply) ** 0.5) / (2 * trip / scale)
    most = most_rides(_tensor(supply), _tensor(trip), _tensor(scale), _tensor(1.0))
    assert most.item() == pytest.approx(idle**2 / scale, rel=1e-12)


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.5, 1.0, 2.0])
def test_identity_holds_to_rounding_in_plenty_and_in_shortage(exponent: float) -> None:
    """The rides served, from a thousandth to a thousand times the most, balance the hours."""
    generator = torch.Generator().manual_seed(4)
    draw = torch.rand(4, 2000, generator=generator, dtype=torch.float64)
    supply, scale = 10 ** (4 * draw[0] - 1), 10 ** (2 * draw[1] - 1.5)
    trip, power = 0.1 + draw[2], torch.full_like(draw[0], exponent)
    most = most_rides(supply, trip, scale, power)
    rides = served_rides(most * 10 ** (6 * draw[3] - 3), most)
    idle = idle_hours(supply - rides * trip, rides, scale, power)
    back = idle + rides * (scale * idle**-power + trip)
    assert ((back - supply).abs() / supply).max() < 1e-10
    fold = (power * rides * scale) ** (1 / (1 + power))
    assert (idle > fold).all(), "the wild-goose branch was returned"


def test_one_ride_more_than_the_most_has_no_solution() -> None:
    """``most_rides`` is the largest number for which the convex side dips to the room."""
    supply, trip, scale, power = (_tensor(x) for x in (40.0, 0.25, 0.6, 0.5))
    most = most_rides(supply, trip, scale, power)
    idle = torch.linspace(0.01, 40, 400_000, dtype=torch.float64)

    def dips(rides: torch.Tensor) -> bool:
        return bool((idle + rides * (scale * idle**-power + trip) <= supply).any())

    assert dips(most * 0.9999)
    assert not dips(most * 1.0001)


def test_elasticity_matches_the_closed_form() -> None:
    """d ln pickup / d ln room is -g (room / idle) / (1 - g * chase / idle)."""
    rides, scale, exponent = _tensor(80.0), _tensor(0.5), _tensor(0.5)
    for value in (40.0, 80.0, 300.0):
        room = _tensor(value).requires_grad_()
        idle = idle_hours(room, rides, scale, exponent)
        pickup = scale * idle**-exponent
        (slope,) = torch.autograd.grad(pickup.log().sum(), room)
        elasticity = slope * room
        expected = -exponent * (room / idle) / (1 - exponent * rides * pickup / idle)
        assert elasticity.item() == pytest.approx(expected.item(), rel=1e-10)


def _cleared(
    supply: torch.Tensor,
    wanted: torch.Tensor,
    scale: torch.Tensor,
    power: torch.Tensor,
    calm: torch.Tensor,
    trip: float = 0.25,
) -> torch.Tensor:
    around = torch.full_like(supply, trip)
    most = most_rides(supply, around, scale, power)
    return cleared_idle(supply, wanted, around, scale, power, calm, most)


def test_riders_who_do_not_answer_leave_the_identity_as_it_is() -> None:
    supply, wanted, scale, power, calm = (_tensor(x) for x in (40.0, 60.0, 0.6, 0.5, 0.0))
    served = served_rides(wanted, most_rides(supply, _tensor(0.25), scale, power))
    expected = idle_hours(supply - 0.25 * served, served, scale, power)
    assert _cleared(supply, wanted, scale, power, calm).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("wanted", [20.0, 60.0, 100.0, 140.0])
@pytest.mark.parametrize("calm", [2.0, 8.0, 20.0])
def test_cleared_idle_hours_agree_with_a_search_over_rides(wanted: float, calm: float) -> None:
    """Bisect the rides that come at the pickup that they cause, which is a root of a cubic."""
    supply, scale, trip, most = 40.0, 0.6, 0.25, None
    most = most_rides(*(_tensor(x) for x in (supply, trip, scale, 0.5))).item()

    def idle_at(rides: float) -> float:
        served = served_rides(_tensor(rides), _tensor(most)).item()
        roots = np.roots([1.0, 0.0, -(supply - served * trip), served * scale])
        return max(root.real for root in roots if abs(root.imag) < 1e-9) ** 2

    low, high = 0.0, wanted
    for _ in range(60):
        rides = 0.5 * (low + high)
        come = wanted * np.exp(-calm * scale * idle_at(rides) ** -0.5)
        low, high = (rides, high) if come > rides else (low, rides)
    found = _cleared(*(_tensor(x) for x in (supply, wanted, scale, 0.5, calm)))
    assert found.item() == pytest.approx(idle_at(low), rel=1e-9)


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("calm", [0.0, 1.0, 5.0, 20.0])
def test_cleared_hours_balance_in_plenty_and_in_shortage(exponent: float, calm: float) -> None:
    """From a thousandth to a thousand times the riders who can be served, on the stable branch."""
    generator = torch.Generator().manual_seed(4)
    draw = torch.rand(4, 2000, generator=generator, dtype=torch.float64)
    supply, scale = 10 ** (4 * draw[0] - 1), 10 ** (2 * draw[1] - 1.5)
    trip, power = 0.1 + draw[2], torch.full_like(draw[0], exponent)
    most = most_rides(supply, trip, scale, power)
    wanted = most * 10 ** (6 * draw[3] - 3)
    calms = torch.full_like(power, calm)
    idle = cleared_idle(supply, wanted, trip, scale, power, calms, most)
    pickup = scale * idle**-power
    served = served_rides(wanted * torch.exp(-calms * pickup), most)
    back = idle + served * (pickup + trip)
    assert ((back - supply).abs() / supply).max() < 1e-8
    fold = (power * served * scale) ** (1 / (1 + power))
    assert (idle > fold).all(), "the wild-goose branch was returned"


def test_cleared_elasticity_matches_the_closed_form() -> None:
    """-g (L / idle) / (1 - g * chase / idle * (1 - calm * (pickup + trip))): riders who answer

    to waits soften what a driver hour does.
    """
    wanted, scale, power, trip = _tensor(60.0), _tensor(0.6), _tensor(0.5), 0.25
    for calm in (0.0, 3.0, 8.0):
        supply = _tensor(60.0).requires_grad_()
        idle = _cleared(supply, wanted, scale, power, _tensor(calm), trip)
        pickup = scale * idle**-power
        (slope,) = torch.autograd.grad(pickup.log().sum(), supply)
        chase = wanted * torch.exp(-calm * pickup) * pickup
        softer = 1 - 0.5 * chase / idle * (1 - calm * (pickup + trip))
        expected = -0.5 * (supply / idle) / softer
        assert (slope * supply).item() == pytest.approx(expected.item(), rel=0.02)


def _pickup(
    supply: torch.Tensor,
    rides: torch.Tensor,
    scale: torch.Tensor,
    power: torch.Tensor,
    calm: torch.Tensor,
) -> torch.Tensor:
    return scale * _cleared(supply, rides, scale, power, calm) ** -power


def test_derivatives_of_first_and_second_order_match_finite_differences() -> None:
    """Decisions use gradients and Hessian-vector products of the whole map."""
    arguments = tuple(
        tensor.requires_grad_()
        for tensor in (
            _tensor(20.0, 45.0, 60.0, 300.0),
            _tensor(100.0, 100.0, 100.0, 100.0),
            _tensor(0.5, 0.6, 0.4, 0.6),
            _tensor(0.5, 0.4, 0.6, 0.5),
            _tensor(6.0, 3.0, 1.0, 10.0),
        )
    )
    assert torch.autograd.gradcheck(_pickup, arguments, eps=1e-5, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(_pickup, arguments, eps=1e-5, atol=1e-5, rtol=1e-4)


def test_pickup_falls_with_supply_and_rises_with_rides() -> None:
    """Signs hold through the bend and far beyond it."""
    supply = torch.linspace(10, 500, 400, dtype=torch.float64).requires_grad_()
    rides = torch.full_like(supply, 100.0).detach().requires_grad_()
    pickup = _pickup(supply, rides, _tensor(0.6), _tensor(0.5), _tensor(6.0))
    by_supply, by_rides = torch.autograd.grad(pickup.sum(), (supply, rides))
    assert (by_supply < 0).all()
    assert (by_rides > 0).all()


def test_rides_far_below_the_most_are_all_served() -> None:
    """The bend takes nothing from slack hours."""
    assert served_rides(_tensor(50.0), _tensor(100.0)).item() == pytest.approx(50.0, rel=1e-3)
    assert served_rides(_tensor(1e6), _tensor(100.0)).item() == pytest.approx(97.0, rel=1e-6)
