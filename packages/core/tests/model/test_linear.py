"""Minimiser, structured matrices and the Fisher information against dense computations."""

import math

import numpy as np
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR, HOUR_OF_WEEK
from dagcast_core.model import (
    Model,
    ModelCollection,
    OptimizerSpec,
    PartialPooling,
    Poisson,
    Ridge,
    Smoothness,
    fit,
)
from dagcast_core.model._arrow import factorised
from dagcast_core.model._fitting import prepared
from dagcast_core.model._flat import FlatParameters
from dagcast_core.model._optimizer import minimise
from dagcast_core.model._precision import VAGUE, precision_of

REGION = Dim("region")


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


def arrow_and_dense(blocks=3, inner=4, shared=2, seed=0):
    rng = np.random.default_rng(seed)
    size = blocks * inner + shared
    dense = np.zeros((size, size))
    for block in range(blocks):
        columns = [*range(block * inner, (block + 1) * inner), *range(blocks * inner, size)]
        root = rng.normal(size=(inner + shared, inner + shared))
        dense[np.ix_(columns, columns)] += root @ root.T + 0.1 * np.eye(inner + shared)
    dense = torch.tensor(dense)
    local = torch.stack(
        [dense[b * inner : (b + 1) * inner, b * inner : (b + 1) * inner] for b in range(blocks)]
    )
    border = dense[: blocks * inner, blocks * inner :].reshape(blocks, inner, shared)
    corner = dense[blocks * inner :, blocks * inner :]
    return factorised(local.clone(), border.clone(), corner.clone()), dense


@pytest.mark.parametrize("shared", [0, 2])
def test_arrow_solves_multiplies_and_inverts_like_the_dense_matrix(shared):
    arrow, dense = arrow_and_dense(shared=shared)
    vector = torch.randn(len(dense), 1, generator=torch.Generator().manual_seed(1)).double()
    parts = vector[:12].reshape(3, 4, 1), vector[12:]
    local, common = arrow.solve(*parts)
    solved = torch.cat([local.reshape(12, 1), common])
    np.testing.assert_allclose(solved, torch.linalg.solve(dense, vector), rtol=1e-9)
    local, common = arrow.times(*parts)
    multiplied = torch.cat([local.reshape(12, 1), common])
    np.testing.assert_allclose(multiplied, dense @ vector, rtol=1e-9, atol=1e-12)
    local, common = arrow.variances()
    diagonal = torch.linalg.inv(dense).diagonal()
    np.testing.assert_allclose(torch.cat([local.reshape(-1), common]), diagonal, rtol=1e-9)


def test_arrow_samples_have_its_inverse_as_covariance():
    arrow, dense = arrow_and_dense()
    local, shared = arrow.sample(200_000, torch.Generator().manual_seed(0))
    drawn = torch.cat([local.reshape(12, -1), shared])
    covariance = torch.linalg.inv(dense)
    scale = covariance.diagonal().sqrt()
    error = (torch.cov(drawn) - covariance) / scale.unsqueeze(0) / scale.unsqueeze(1)
    assert float(error.abs().max()) < 0.02


def test_directions_without_curvature_are_lifted():
    flat = torch.zeros((1, 2, 2), dtype=torch.float64)
    arrow = factorised(flat, torch.zeros((1, 2, 0)).double(), torch.zeros((0, 0)).double())
    assert torch.isfinite(arrow.variances()[0]).all()


WEEK_HOUR = Quantity("hour_of_week", (REGION, HOUR), "1", dtype="int64")
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0.0, None))


class Seasons(Model):
    """Poisson with a log link, where observed and expected information are the same."""

    contract = Contract("seasons", inputs=(WEEK_HOUR,), outputs=(SESSIONS,))

    def __init__(self, regions, centred, own):
        super().__init__()
        self.centred, self.own = centred, own
        self.level = self.parameter(REGION, labels=regions, start=4.0)
        labels = {"region": regions, "hour_of_week": range(168)}
        dims = (REGION, HOUR_OF_WEEK) if own else (HOUR_OF_WEEK,)
        self.profile = self.parameter(*dims, labels=labels)
        self.shape = self.parameter(start=0.1)

    def forward(self, hour_of_week):
        season = self.profile.sel(hour_of_week=hour_of_week)
        if self.centred:
            season = season - self.profile.at(hour_of_week).mean("hour_of_week")
        day = (hour_of_week.double() * (2 * math.pi / 24)).sin()
        return (self.level + season + self.shape * day).exp()

    def loss_terms(self):
        priors = (
            PartialPooling(self.level, REGION, scale=0.5),
            Smoothness(self.profile, HOUR_OF_WEEK, weight=20.0, periodic=True),
            Ridge(self.profile, weight=2.0),
            Ridge(self.shape, toward=0.1, weight=5.0),
        )
        pooled = (PartialPooling(self.profile, REGION, scale=0.3),) if self.own else ()
        return (Poisson(SESSIONS, half_life=500.0), *priors, *pooled)


def dense_hessian(unit):
    at = unit.flat.read()
    sizes = unit.flat.sizes

    with torch.enable_grad():
        slope = torch.autograd.grad(unit.loss(), unit.flat.parameters, create_graph=True)
        flat = torch.cat([part.reshape(-1) for part in slope])
        rows = []
        for value in flat:
            row = torch.autograd.grad(value, unit.flat.parameters, retain_graph=True)
            rows.append(torch.cat([part.reshape(-1) for part in row]))
    assert sum(sizes) == at.numel()
    return torch.stack(rows)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_precision_is_the_dense_hessian(kit, centred, own):
    regions = ("SFO", "LAX")
    history = kit.market(weeks=2, regions=regions)
    model = Seasons(regions, centred, own)
    fit(model, history)
    (unit,), _ = prepared(ModelCollection([model]), history, ())
    precision = precision_of(unit)
    dense = dense_hessian(unit) + torch.eye(unit.flat.size, dtype=torch.float64) / VAGUE**2
    probe = torch.randn(unit.flat.size, generator=torch.Generator().manual_seed(2)).double()
    np.testing.assert_allclose(precision.times(probe), dense @ probe, rtol=1e-5, atol=1e-5)
    expected = torch.linalg.inv(dense).diagonal()
    np.testing.assert_allclose(precision.variances(), expected, rtol=1e-4, atol=1e-8)
    # A profile costs four products and not 168: two forward passes each, and some for the rest.
    assert precision.forwards < 30
    assert precision.mismatch < 1e-6


def test_regions_that_influence_each_other_are_noticed(kit):
    class Spill(Model):
        contract = Contract("spill", inputs=(WEEK_HOUR,), outputs=(SESSIONS,))

        def __init__(self):
            super().__init__()
            self.level = self.parameter(REGION, labels=kit.REGIONS, start=4.0)

        def forward(self, hour_of_week):
            own = self.level.at(hour_of_week)
            return (own + 0.5 * own.mean(REGION) + 0.0 * hour_of_week).exp()

        def loss_terms(self):
            return (Poisson(SESSIONS),)

    (unit,), _ = prepared(ModelCollection([Spill()]), kit.market(weeks=1), ())
    assert precision_of(unit).mismatch > 0.1
