"""Where the bound of the gap does not hold, one point says so; where it holds, none does."""

import itertools

import pytest
import torch

from dagcast_core.solver import Chains, LinearSet, RowLayer, SmoothProblem, is_supported

NONE = torch.zeros(0, dtype=torch.float64)
ONE = torch.ones(100, dtype=torch.float64)
SPEND, FARE = slice(0, 80), slice(80, 100)


def problem(slope, bend, **limits):
    """Eighty cells with strong decreasing returns, and twenty that bend a little."""

    def evaluate(x):
        spend, fare = x[SPEND], x[FARE]
        return (spend - 5.0 * spend.square()).sum() + (slope * fare + bend * fare.square()).sum(), (
            NONE
        )

    return SmoothProblem(evaluate, LinearSet(0.0 * ONE, ONE, **limits))


def best(fare):
    x = 0.1 * ONE
    x[FARE] = fare
    return x


def supported(asked, x, prices=None):
    return {is_supported(asked, x, NONE, seed, (SPEND, FARE), prices) for seed in range(3)}


@pytest.mark.parametrize("bend", [0.2, -0.2])
def test_a_lever_at_the_end_where_it_belongs_is_bounded_however_it_bends(bend):
    assert supported(problem(1.0, bend), best(1.0)) == {True}


def test_a_lever_that_bends_upwards_is_seen_beside_one_that_bends_down():
    """In the middle of its range nothing is gained by a small step, and much by a large one."""
    assert supported(problem(-0.2, 0.2), best(0.5)) == {False}


def test_the_wrong_end_is_seen():
    """At zero a small step loses; at one there is 0.1 to gain."""
    assert supported(problem(-0.1, 0.2), best(0.0)) == {False}


def test_one_cell_at_the_wrong_end_is_seen_among_twenty():
    slope = torch.full((20,), -0.3, dtype=torch.float64)
    assert supported(problem(slope, 0.2), best(0.0)) == {True}
    slope[7] = -0.1
    assert supported(problem(slope, 0.2), best(0.0)) == {False}


def test_cells_that_a_ramp_ties_are_bounded_by_their_slope_alone():
    order = torch.arange(80, 100)[None]
    chains = Chains(order, torch.full(order.shape, 0.5, dtype=torch.float64))
    assert supported(problem(1.0, 0.2, chains=chains), best(1.0)) == {False}
    assert supported(problem(1.0, -0.2, chains=chains), best(1.0)) == {True}


def _threshold(x):
    """Worth nothing at first: 4 x^2 - 3 x^3 up to 8/9, in sum at most 256/243 of a cell."""
    return (4.0 * x.square() - 3.0 * x**3).sum(), NONE


@pytest.mark.parametrize(("limit", "claimed"), [(2.0 * 2 / 3, True), (1.0, False)])
def test_thresholds_under_a_budget_are_bounded_where_the_money_fills_whole_cells(limit, claimed):
    """Two of four cells bought at their cheapest, 2/3 each, or one and a half: a gap of duality."""
    cells = torch.ones(4, dtype=torch.float64)
    budget = RowLayer(torch.zeros(4, dtype=torch.int64), cells, limit * cells[:1])
    asked = SmoothProblem(_threshold, LinearSet(0.0 * cells, cells, (budget,)))
    share = limit / 2.0
    x = torch.tensor([share, share, 0.0, 0.0], dtype=torch.float64)
    price = (8.0 * x - 9.0 * x.square())[:1]
    assert supported(asked, x, price) == {claimed}
    grid = torch.linspace(0.0, 1.0, 31, dtype=torch.float64)
    bought = [
        _threshold(torch.stack(point))[0]
        for point in itertools.combinations_with_replacement(grid, 4)
        if sum(point) <= limit + 1e-9
    ]
    truly = float(max(bought)) <= float(_threshold(x)[0]) + 1e-9
    # A bound that is claimed must be true; one that is not claimed may be.
    assert truly or not claimed
