"""Projections with chains and nets, against a conic solver."""

import cvxpy as cp
import numpy as np
import pytest
import torch

from dagcast_core.decide import Chains, LinearSet, RowLayer, project
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
    counted.evaluate(z.numpy(), metric.numpy(), np.array([0.3]), True)
    weight = counted.hessian.entries(counted.form.gram).sum()
    _, more = counted.evaluate(z.numpy(), metric.numpy(), np.array([0.3 + step]), False)
    _, less = counted.evaluate(z.numpy(), metric.numpy(), np.array([0.3 - step]), False)
    assert (less - more)[0] / (2 * step) == pytest.approx(weight, abs=1e-4)
    assert programme.solve(z, metric, linear_limits(linear)).residual == 0.0


def test_long_chain_of_hourly_links_is_exact(random_set):
    linear = random_set(11, regions=2, steps=60, budgets=False, chains=True)
    z, metric = draw(11, linear.size)
    ours = project(torch.tensor(z), torch.tensor(metric), linear).x
    np.testing.assert_allclose(ours.numpy(), conic(z, metric, linear), atol=2e-5)


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
