"""Structured matrices against dense ones."""

import numpy as np
import pytest
import torch

from dagcast_core.model._arrow import factorised


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
