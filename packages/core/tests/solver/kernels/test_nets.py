"""The compiled step of one net."""

import numpy as np
import pytest

from dagcast_core.solver.kernels._net import solve_net
from dagcast_core.solver.kernels._net_segments import Net, guess_net


def draw(seed, n):
    g = np.random.default_rng(1000 + seed)
    return g.normal(size=n) * 3 + 1, np.exp(g.normal(size=n) * 1.5)


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
