"""The dual Newton method of separable programmes."""

import pytest
import torch

from dagcast_core.solver.separable._programme import SeparableProgramme


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
