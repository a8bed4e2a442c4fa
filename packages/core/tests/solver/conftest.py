"""Flat problems."""

import numpy as np
import pytest
import torch

from dagcast_core.decide import Chains, LinearSet, OutcomeRows, RowFamily, RowLayer, SmoothProblem

torch.set_num_threads(1)


def _random_set(seed, regions=4, steps=6, budgets=True, chains=False):
    """Bounds, nested budgets by region and in total, and chains along the steps of a region."""
    g = np.random.default_rng(seed)
    n = regions * steps
    lower = -0.2 * g.random(n)
    upper = g.random(n) * 4 + 0.5
    layers = ()
    if budgets:
        limit = g.random(regions) * 6 + 0.3
        group = torch.arange(regions).repeat_interleave(steps)
        layers = (
            RowLayer(group, torch.tensor(g.random(n) + 0.5), torch.tensor(limit)),
            RowLayer(
                torch.zeros(n, dtype=torch.int64),
                torch.ones(n, dtype=torch.float64),
                torch.tensor([0.5 * limit.sum()]),
            ),
        )
    links = None
    if chains:
        order = torch.arange(n).view(regions, steps)
        links = Chains(order, torch.tensor(g.random((regions, steps)) + 0.05))
    return LinearSet(torch.tensor(lower), torch.tensor(upper), layers, links)


def _concave_problem(seed, cells=24, regions=3, scale=1.0, floor=True, order=None):
    """Saturating response by region, a budget by region and in total, a convex row per region.

    Args:
        scale: unit of money; spend, bounds and budgets are multiplied by it.
        order: permutation of the cells.
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)

    group = torch.arange(regions).repeat_interleave(cells // regions)
    worth, half = uniform(1.0, 5.0, cells), uniform(2.0, 6.0, cells)
    need = uniform(0.5, 2.0, cells)
    budget = uniform(4.0, 9.0, regions)
    slack = uniform(1.02, 1.1, regions)
    if order is not None:
        group, worth, half, need = group[order], worth[order], half[order], need[order]
    half, budget = half * scale, budget * scale

    def by_region(values):
        return torch.zeros(regions, dtype=values.dtype).index_add(0, group, values)

    def evaluate(x):
        answer = x / (x + half)
        objective = (worth * answer).sum()
        rows = by_region(need * torch.exp(-2.0 * answer))
        if floor:
            rows = torch.cat([rows, (objective - 0.02 * x.sum() / scale).reshape(1)])
        return objective, rows

    share = (budget / torch.bincount(group, minlength=regions))[group] * 0.8
    witness = share * (need / need.mean())
    witness = torch.minimum(witness, 10.0 * torch.full_like(half, scale))
    spent = by_region(witness)
    witness = witness * torch.minimum(torch.ones_like(budget), 0.8 * budget / spent)[group]
    _, at = evaluate(witness)
    limit = at.clone()
    limit[:regions] *= slack
    if floor:
        limit[regions] *= 0.98
    sign = torch.ones(limit.numel(), dtype=torch.float64)
    if floor:
        sign[regions] = -1.0
    families = [RowFamily(torch.arange(regions), group)]
    if floor:
        families.append(RowFamily(torch.tensor([regions]), torch.full_like(group, regions)))
    linear = LinearSet(
        torch.zeros(cells, dtype=torch.float64),
        torch.full((cells,), 10.0 * scale, dtype=torch.float64),
        (
            RowLayer(group, torch.ones(cells, dtype=torch.float64), budget),
            RowLayer(
                torch.zeros(cells, dtype=torch.int64),
                torch.ones(cells, dtype=torch.float64),
                0.85 * budget.sum().reshape(1),
            ),
        ),
    )
    rows = OutcomeRows(limit, sign, limit.abs(), tuple(families))
    return SmoothProblem(evaluate, linear, rows, concave=True)


@pytest.fixture
def random_set():
    """Draws linear sets."""
    return _random_set


@pytest.fixture
def concave_problem():
    """Draws concave problems."""
    return _concave_problem
