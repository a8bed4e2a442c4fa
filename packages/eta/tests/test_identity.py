"""The driver-hours identity against closed forms and independent computations."""

import pytest
import torch

from dagcast_eta._identity import guarded_room, idle_hours

torch.set_num_threads(1)


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_idle_hours_solve_the_cubic_at_exponent_one_half() -> None:
    """With exponent 1/2 the identity is a cubic in sqrt(idle); its largest root is the answer."""
    import numpy as np

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


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.5, 1.0, 2.0])
def test_identity_holds_to_rounding_even_at_the_fold(exponent: float) -> None:
    """Every guarded room, from deep shortage to plenty, is met to 1e-10."""
    generator = torch.Generator().manual_seed(4)
    rides = 10 ** (4 * torch.rand(2000, generator=generator, dtype=torch.float64) - 1)
    scale = 10 ** (2 * torch.rand(2000, generator=generator, dtype=torch.float64) - 1.5)
    power = torch.full_like(rides, exponent)
    room = rides * (6 * torch.rand(2000, generator=generator, dtype=torch.float64) - 2)
    guarded, shortfall = guarded_room(room, rides, scale, power)
    idle = idle_hours(guarded, rides, scale, power)
    back = idle + rides * scale * idle**-power
    assert torch.isfinite(idle).all()
    assert ((back - guarded).abs() / guarded).max() < 1e-10
    assert (shortfall > 0).all()
    fold = (power * rides * scale) ** (1 / (1 + power))
    assert (idle > fold).all(), "the wild-goose branch was returned"


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


def test_derivatives_of_first_and_second_order_match_finite_differences() -> None:
    """Decisions use gradients and Hessian-vector products of the whole map."""

    def eta(supply: torch.Tensor, rides: torch.Tensor, scale: torch.Tensor, power: torch.Tensor):
        room, shortfall = guarded_room(supply - 0.25 * rides, rides, scale, power)
        return scale * idle_hours(room, rides, scale, power) ** -power * (1 + shortfall)

    arguments = tuple(
        tensor.requires_grad_()
        for tensor in (
            _tensor(20.0, 45.0, 60.0, 300.0),
            _tensor(100.0, 100.0, 100.0, 100.0),
            _tensor(0.5, 0.6, 0.4, 0.6),
            _tensor(0.5, 0.4, 0.6, 0.5),
        )
    )
    assert torch.autograd.gradcheck(eta, arguments, eps=1e-5, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(eta, arguments, eps=1e-5, atol=1e-5, rtol=1e-4)


def test_shortfall_counts_smallest_rooms_missing() -> None:
    """Beyond the fold the shortfall grows by one per smallest room; in slack hours it vanishes."""
    rides, scale, exponent = _tensor(100.0), _tensor(0.6), _tensor(0.5)
    smallest = 1.02 * 3 * (0.5 * 60.0) ** (2 / 3)
    _, plenty = guarded_room(_tensor(20 * smallest), rides, scale, exponent)
    _, none = guarded_room(_tensor(0.0), rides, scale, exponent)
    _, debt = guarded_room(_tensor(-smallest), rides, scale, exponent)
    assert plenty.item() < 1e-3
    assert (debt - none).item() == pytest.approx(1.0, abs=0.01)


def test_pickup_falls_with_supply_everywhere() -> None:
    """No cell is left without a gradient, however short of drivers."""
    supply = torch.linspace(-50, 500, 400, dtype=torch.float64).requires_grad_()
    rides, scale, exponent = _tensor(100.0), _tensor(0.6), _tensor(0.5)
    room, shortfall = guarded_room(supply - 25.0, rides, scale, exponent)
    pickup = scale * idle_hours(room, rides, scale, exponent) ** -exponent * (1 + shortfall)
    (slope,) = torch.autograd.grad(pickup.sum(), supply)
    assert (slope < 0).all()
