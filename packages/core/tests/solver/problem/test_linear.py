"""Linear sets that hold no point."""

import pytest
import torch

from dagcast_core.decide import Chains, EmptySetError, LinearSet, RowLayer


def test_bounds_that_cross_along_a_ramp_are_named():
    order = torch.arange(3).view(1, 3)
    linear = LinearSet(
        torch.tensor([0.0, 5.0, 0.0], dtype=torch.float64),
        torch.tensor([1.0, 9.0, 9.0], dtype=torch.float64),
        (),
        Chains(order, torch.full((1, 3), 2.0, dtype=torch.float64)),
    )
    with pytest.raises(EmptySetError, match="bounds contradict") as caught:
        linear.tightened()
    assert (0,) in caught.value.places or (1,) in caught.value.places


def test_budget_below_the_lower_bounds_is_named_with_its_excess():
    linear = LinearSet(
        torch.ones(4, dtype=torch.float64),
        2 * torch.ones(4, dtype=torch.float64),
        (
            RowLayer(
                torch.tensor([0, 0, 1, 1]),
                torch.ones(4, dtype=torch.float64),
                torch.tensor([3.0, 1.5], dtype=torch.float64),
            ),
        ),
    )
    with pytest.raises(EmptySetError) as caught:
        linear.tightened()
    assert caught.value.places == ((0, 1),)
    assert caught.value.excess == pytest.approx((0.5,))


def test_bounds_that_two_ramps_together_cannot_join_are_named():
    """Each ramp alone can; the way over both is shorter."""
    cells = torch.arange(8).view(1, 8)
    lower = torch.zeros(8, dtype=torch.float64)
    upper = torch.full((8,), 50.0, dtype=torch.float64)
    lower[7], upper[0] = 18.0, 0.0
    hourly = Chains(cells, torch.full((1, 8), 5.0, dtype=torch.float64))
    order = torch.tensor([[0, 3, 6], [1, 4, 7], [2, 5, -1]])
    threes = Chains(order, torch.full((3, 3), 6.0, dtype=torch.float64))
    for chains in (hourly, threes):
        LinearSet(lower, upper, (), chains).tightened()
    with pytest.raises(EmptySetError):
        LinearSet(lower, upper, (), hourly, (threes,)).tightened()
