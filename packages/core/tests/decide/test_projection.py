"""Projections and chain steps, against a conic solver."""

import cvxpy as cp
import numpy as np
import pytest
import torch

from dagcast_core.decide import Chains, EmptySetError, LinearSet, RowLayer, project
from dagcast_core.solver.kernels._net import solve_net
from dagcast_core.solver.kernels._net_segments import Net, guess_net
from dagcast_core.solver.separable._programme import SeparableProgramme
from dagcast_core.solver.separable._projection import linear_limits, linear_programme


def conic(z, metric, linear):
    x = cp.Variable(len(z))
    keep = [x >= linear.lower.numpy(), x <= linear.upper.numpy()]
    for layer in linear.budgets:
        for row in range(layer.limit.numel()):
            weight = (layer.group.numpy() == row) * layer.coefficient.numpy()
            keep.append(weight @ x <= float(layer.limit[row]))
    for chains in linear.all_chains:
        order, limit = chains.order.numpy(), chains.limit.numpy()
        change = x[order[:, 1:].ravel()] - x[order[:, :-1].ravel()]
        keep.append(cp.abs(change) <= limit[:, 1:].ravel())
    goal = cp.Minimize(0.5 * cp.sum(cp.multiply(metric, cp.square(x - z))))
    cp.Problem(goal, keep).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
    )
    return x.value


def draw(seed, n):
    g = np.random.default_rng(1000 + seed)
    return g.normal(size=n) * 3 + 1, np.exp(g.normal(size=n) * 1.5)


@pytest.mark.parametrize("budgets", [True, False])
@pytest.mark.parametrize("chains", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_projection_equals_a_conic_solver(random_set, seed, chains, budgets):
    linear = random_set(seed, budgets=budgets, chains=chains, steps=6 + seed)
    z, metric = draw(seed, linear.size)
    ours = project(torch.tensor(z), torch.tensor(metric), linear)
    np.testing.assert_allclose(ours.x.numpy(), conic(z, metric, linear), atol=2e-5)
    assert linear.worst_violation(ours.x) < 1e-11


def test_projection_in_another_metric_is_another_point(random_set):
    linear = random_set(3)
    z, metric = draw(3, linear.size)
    weighted = project(torch.tensor(z), torch.tensor(metric), linear).x
    plain = project(torch.tensor(z), torch.ones(linear.size, dtype=torch.float64), linear).x
    assert float((weighted - plain).abs().max()) > 0.1


def test_projection_is_idempotent_and_warm_start_agrees(random_set):
    linear = random_set(5, chains=True)
    z, metric = (torch.tensor(v) for v in draw(5, linear.size))
    once = project(z, metric, linear)
    again = project(once.x, metric, linear)
    warm = project(z, metric, linear, start=once.multipliers)
    torch.testing.assert_close(again.x, once.x, atol=1e-9, rtol=0)
    torch.testing.assert_close(warm.x, once.x, atol=1e-9, rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_rows_that_relieve_one_another_take_few_newton_steps(seed):
    """Two totals exceeded at once, of which the tighter one alone brings both back.

    At multipliers of zero a Newton step lowers the other total's multiplier below its bound. Where
    it is only cut off there, the steps come out too long: 9 to 15 of them instead of 5 to 9.
    """
    regions, cells = 30, 24
    n = regions * cells
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    one, region = torch.ones(n, dtype=torch.float64), torch.arange(regions).repeat_interleave(cells)
    weights = (one, one, -0.2 - uniform(n), 1 - 0.1 * uniform(n))
    total = torch.zeros(n, dtype=torch.int64)
    groups = (region, total + regions, region + regions + 1, total + 2 * regions + 1)
    z, metric = uniform(n) * 6 - 1, torch.exp(uniform(n) * 3 - 1)
    programme = SeparableProgramme(0 * one, 3 * one, groups, 2 * regions + 2)
    inside = uniform(n) * z.clamp(0, 3)
    limit = torch.zeros(2 * regions + 2, dtype=torch.float64)
    for layer, (group, weight) in enumerate(zip(groups, weights, strict=True)):
        programme.set_layer(layer, weight)
        limit.index_add_(0, group, weight * inside)
    room = [0.8 + uniform(regions), torch.tensor([1.1]), 0.7 + 0.3 * uniform(regions)]
    limit *= torch.cat([*room, torch.tensor([1.05])])
    solution = programme.solve(z, metric, limit)
    assert solution.residual < 1e-11
    assert solution.iterations <= 9


@pytest.mark.parametrize("seed", range(30))
def test_chain_step_moves_its_segments_as_one(random_set, seed):
    """The weights that the dual Hessian uses are the derivatives of the exact step."""
    linear = random_set(seed, regions=1, steps=7, budgets=False, chains=True)
    z, metric = (torch.tensor(v) for v in draw(seed, 7))
    programme = linear_programme(linear)
    layer = RowLayer(
        torch.zeros(7, dtype=torch.int64), torch.ones(7, dtype=torch.float64), torch.zeros(1)
    )
    rowed = LinearSet(linear.lower, linear.upper, (layer,), linear.chains)
    counted = linear_programme(rowed)
    step = 1e-6
    counted._evaluate(z.numpy(), metric.numpy(), np.array([0.3]), True)
    weight = counted._gram.reshape(-1)[counted._gram_kept].sum()
    _, more = counted._evaluate(z.numpy(), metric.numpy(), np.array([0.3 + step]), False)
    _, less = counted._evaluate(z.numpy(), metric.numpy(), np.array([0.3 - step]), False)
    assert (less - more)[0] / (2 * step) == pytest.approx(weight, abs=1e-4)
    assert programme.solve(z, metric, linear_limits(linear)).residual == 0.0


def test_long_chain_of_hourly_links_is_exact(random_set):
    linear = random_set(11, regions=2, steps=60, budgets=False, chains=True)
    z, metric = draw(11, linear.size)
    ours = project(torch.tensor(z), torch.tensor(metric), linear).x
    np.testing.assert_allclose(ours.numpy(), conic(z, metric, linear), atol=2e-5)


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


def two_ramps(random_set, seed, budgets, days=3, hours=4):
    """Steps of a region tied from hour to hour and from day to day."""
    g = np.random.default_rng(seed)
    linear = random_set(seed, regions=3, steps=days * hours, budgets=budgets)
    cells = torch.arange(linear.size).view(3, days * hours)
    hourly = Chains(cells, torch.tensor(g.random(cells.shape) * 0.5 + 0.3))
    order = cells.view(3, days, hours).transpose(1, 2).reshape(-1, days).contiguous()
    daily = Chains(order, torch.tensor(g.random(order.shape) * 0.3 + 0.2))
    return LinearSet(linear.lower, linear.upper, linear.budgets, hourly, (daily,)).tightened()


@pytest.mark.parametrize("budgets", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_projection_onto_two_ramps_equals_a_conic_solver(random_set, seed, budgets):
    linear = two_ramps(random_set, seed, budgets)
    z, metric = draw(seed, linear.size)
    ours = project(torch.tensor(z), torch.tensor(metric), linear)
    np.testing.assert_allclose(ours.x.numpy(), conic(z, metric, linear), atol=1e-7)
    assert linear.worst_violation(ours.x) < 1e-11
    one = LinearSet(linear.lower, linear.upper, linear.budgets, linear.chains)
    alone = project(torch.tensor(z), torch.tensor(metric), one).x
    assert linear.worst_violation(alone) > 1e-3


@pytest.mark.parametrize(
    ("seed", "days", "hours"), [(74, 5, 8), (84, 3, 4), (89, 4, 9), (96, 3, 9)]
)
def test_nets_of_weak_and_strong_forces_are_exact(random_set, seed, days, hours):
    """Where interior points go on until their matrix is too stiff, or miss a link of no force."""
    linear = two_ramps(random_set, seed, True, days, hours)
    z, metric = draw(seed, linear.size)
    ours = project(torch.tensor(z), torch.tensor(metric), linear).x
    theirs = conic(z, metric, linear)

    def distance(x):
        return 0.5 * float(np.sum(metric * (x - z) ** 2))

    assert linear.worst_violation(ours) < 1e-11
    assert distance(ours.numpy()) == pytest.approx(distance(theirs), rel=1e-9)
    assert distance(theirs + 0.001) != pytest.approx(distance(theirs), rel=1e-9)


def a_net(seed, days, hours):
    """A week of hours, tied from hour to hour and from day to day."""
    g = np.random.default_rng(seed)
    n = days * hours
    links = [(i, i + 1) for i in range(n - 1)] + [(i, i + hours) for i in range(n - hours)]
    left, right = np.array(links).T
    z, metric = draw(seed, n)
    upper = np.where(g.random(n) < 0.2, np.inf, 2 + 3 * g.random(n))
    limit = 0.1 + 0.5 * g.random(len(links))
    return Net(z, metric, np.zeros(n), upper, left, right, limit), hours


def empty_answer(net, width):
    n, links = net.z.size, net.left.size
    most = max(n, links)
    holds = np.zeros(links, dtype=np.int8), np.zeros(n, dtype=np.int8)
    band, segment = np.zeros((most, width + 1)), np.zeros((2, most), dtype=np.int64)
    return np.zeros(n), np.zeros(links), band, np.zeros((37, most)), segment, holds


@pytest.mark.parametrize("seed", range(40))
def test_a_net_solved_from_the_limits_that_held_it_before_is_proved(seed):
    net, width = a_net(seed, 3 + seed % 4, 4 + seed % 7)
    x, pull, band, work, segment, holds = empty_answer(net, width)
    solve_net(net, width, x, band, work, segment, pull, *holds)
    moved = net._replace(z=net.z + 0.02 * np.random.default_rng(seed).normal(size=net.z.size))
    for now in (net, moved):
        guess, forces, band, work, segment, _ = empty_answer(net, width)
        assert guess_net(now, width, guess, band, segment, forces, *holds)
        points, pull, *_ = empty_answer(net, width)
        again = [np.zeros_like(hold) for hold in holds]
        solve_net(now, width, points, band, work, segment, pull, *again)
        np.testing.assert_allclose(guess, points, atol=1e-7)
        for each, exact in ((forces, 1e-7), (pull, 1e-5)):
            rest = now.metric * (guess - now.z)
            np.add.at(rest, now.right, each)
            np.add.at(rest, now.left, -each)
            low, high = guess <= 1e-9, guess >= now.upper - 1e-9
            np.testing.assert_allclose(rest[~low & ~high], 0.0, atol=exact)
            assert np.all(rest[low] > -exact)
            assert np.all(rest[high] < exact)
    narrow = moved._replace(limit=0.9 * moved.limit, upper=0.9 * moved.upper)
    solve_net(narrow, width, x, band, work, segment, pull, *holds)
    assert np.abs(x - guess).max() > 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_net_step_moves_its_segments_as_one(random_set, seed):
    """The dual Hessian is the derivative of the row sums in the multipliers."""
    linear = two_ramps(random_set, seed, budgets=True)
    z, metric = draw(seed, linear.size)
    programme = linear_programme(linear)
    v = np.array([0.3, 0.1, 0.5, 0.2])
    programme.evaluate(z, metric, v, True)
    hessian = np.zeros((4, 4))
    pattern = programme.hessian
    hessian[pattern.row, pattern.col] = pattern.entries(programme.form.gram)
    for row in range(4):
        step = np.zeros(4)
        step[row] = 1e-6
        _, more = programme.evaluate(z, metric, v + step, False)
        _, less = programme.evaluate(z, metric, v - step, False)
        np.testing.assert_allclose((less - more) / 2e-6, hessian[:, row], atol=1e-4)


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
