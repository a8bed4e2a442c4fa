"""The minimiser finds minima, and says so where it does not."""

import numpy as np
import pytest
import torch

from dagcast_core.model import OptimizerSpec
from dagcast_core.model._flat import FlatParameters
from dagcast_core.model._optimizer import minimise


def identity(vector):
    return vector


def rosenbrock(size=6):
    point = torch.nn.Parameter(torch.full((size,), -1.0, dtype=torch.float64))

    def loss():
        a, b = point[:-1], point[1:]
        return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum()

    return point, loss


def test_minimiser_finds_the_end_of_a_curved_valley():
    point, loss = rosenbrock()
    found = minimise(loss, FlatParameters([point]), OptimizerSpec(tolerance=1e-9), identity)
    assert found.converged
    np.testing.assert_allclose(point.detach().numpy(), 1.0, atol=1e-4)


def test_minimiser_needs_one_step_with_the_true_curvature():
    rng = np.random.default_rng(0)
    root = torch.tensor(rng.normal(size=(8, 8)))
    hessian = root @ root.mT + torch.eye(8, dtype=torch.float64)
    point = torch.nn.Parameter(torch.tensor(rng.normal(size=8)))
    found = minimise(
        lambda: 0.5 * point @ hessian @ point,
        FlatParameters([point]),
        OptimizerSpec(),
        lambda vector: torch.linalg.solve(hessian, vector),
    )
    assert found.converged
    assert found.iterations <= 2
    assert found.expected_gain < 1e-12


def test_minimiser_that_runs_out_of_iterations_says_so():
    point, loss = rosenbrock(40)
    found = minimise(loss, FlatParameters([point]), OptimizerSpec(max_iterations=3), identity)
    assert not found.converged
    assert found.message == "stopped after 3 iterations"
    assert found.loss < found.loss_start


def test_minimiser_turns_back_where_the_loss_is_no_number():
    point = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    # A first step of length 1 along the gradient would leave the domain of the logarithm.
    found = minimise(
        lambda: (20 * point - 20 * point.log()).sum(),
        FlatParameters([point]),
        OptimizerSpec(tolerance=1e-8),
        identity,
    )
    assert point.item() == pytest.approx(1.0, abs=1e-4)
    assert found.converged


def test_start_that_is_no_number_is_refused():
    point = torch.nn.Parameter(torch.tensor([-1.0], dtype=torch.float64))
    with pytest.raises(FloatingPointError):
        minimise(lambda: point.log().sum(), FlatParameters([point]), OptimizerSpec(), identity)
