"""Where the bound of the gap does not hold, one point says so; where it holds, none does."""

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


def supported(asked, x):
    return {is_supported(asked, x, NONE, seed, (SPEND, FARE)) for seed in range(3)}


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
    slope = torch.full((20,), -0.5, dtype=torch.float64)
    assert supported(problem(slope, 0.2), best(0.0)) == {True}
    slope[7] = -0.1
    assert supported(problem(slope, 0.2), best(0.0)) == {False}


def opposite(u, v):
    """One end each, and both at the other are worth more."""
    return 2.2 * u * (1.0 - v) - 1.2 * u - 0.9 * (1.0 - v)


def one_pair(u, v):
    """Of twenty pairs one is worth more at its other ends, together."""
    worth = torch.ones(20, dtype=torch.float64)
    worth[3] = 2.2
    return worth * u * v - 1.05 * u - 1.05 * v


def bent(u, v):
    """As the first, and each bends upwards by itself."""
    return opposite(u, v) + 1.1 * (u * u - u) + 1.1 * (v * v - v)


@pytest.mark.parametrize(("form", "second"), [(opposite, 1.0), (one_pair, 0.0), (bent, 1.0)])
@pytest.mark.parametrize("levers", [1, 2])
def test_ends_that_are_better_together_are_seen(form, second, levers):
    one = torch.ones(40, dtype=torch.float64)
    x = torch.cat([0.0 * one[:20], second * one[20:]])
    better = torch.cat([1.0 - x[:20], 1.0 - x[20:]])
    if form is one_pair:
        better = x.clone()
        better[[3, 23]] = 1.0

    def evaluate(y):
        return form(y[:20], y[20:]).sum(), NONE

    assert float(evaluate(better)[0]) > float(evaluate(x)[0]) + 0.05
    parts = (slice(0, 20), slice(20, 40)) if levers == 2 else (slice(0, 40),)
    asked = SmoothProblem(evaluate, LinearSet(0.0 * one, one))
    assert {is_supported(asked, x, NONE, seed, parts) for seed in range(3)} == {False}


def test_cells_that_a_ramp_ties_are_bounded_by_their_slope_alone():
    order = torch.arange(80, 100)[None]
    chains = Chains(order, torch.full(order.shape, 0.5, dtype=torch.float64))
    assert supported(problem(1.0, 0.2, chains=chains), best(1.0)) == {False}
    assert supported(problem(1.0, -0.2, chains=chains), best(1.0)) == {True}


def test_cells_that_a_budget_holds_are_bounded_by_their_slope_alone():
    """Two thirds of a cell are worth most for their money: money for two cells leaves nothing to
    gain here, but where that is so cannot be seen from points."""
    cells = torch.ones(4, dtype=torch.float64)
    budget = RowLayer(torch.zeros(4, dtype=torch.int64), cells, 4.0 / 3.0 * cells[:1])

    def threshold(x):
        return (4.0 * x.square() - 3.0 * x**3).sum(), NONE

    asked = SmoothProblem(threshold, LinearSet(0.0 * cells, cells, (budget,)))
    x = torch.tensor([2.0, 2.0, 0.0, 0.0], dtype=torch.float64) / 3.0
    assert not is_supported(asked, x, NONE, 0)


@pytest.mark.parametrize("worth", [0.9, 1.1])
def test_a_threshold_without_a_budget_is_not_claimed(worth):
    """At nothing a small step loses 0.1 of each cell; further on the slope turns, and back."""

    def evaluate(x):
        return (worth * x.square() / (x.square() + 0.25) - x).sum() * 0.1, NONE

    one = torch.ones(20, dtype=torch.float64)
    asked = SmoothProblem(evaluate, LinearSet(0.0 * one, one))
    best = max(float(evaluate(level * one)[0]) for level in torch.linspace(0, 1, 101))
    assert (best > 1e-9) == (worth > 1.0)
    assert not is_supported(asked, 0.0 * one, NONE, 0)
