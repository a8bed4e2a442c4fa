"""Units and the order of cells change nothing."""

import pytest
import torch

from dagcast_core.decide import Options, solve_smooth

TIGHT = Options(gap=3e-7, violation=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e4, 1e7])
def test_unit_of_money_does_not_matter(concave_problem, scale):
    plain = solve_smooth(concave_problem(2), TIGHT)
    scaled = solve_smooth(concave_problem(2, scale=scale), TIGHT)
    assert scaled.status == plain.status == "optimal"
    torch.testing.assert_close(scaled.x / scale, plain.x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        scaled.budget_prices * scale, plain.budget_prices, rtol=1e-5, atol=1e-7
    )


def test_order_of_cells_does_not_matter(concave_problem):
    plain = solve_smooth(concave_problem(4), TIGHT)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    permuted = solve_smooth(concave_problem(4, order=order), TIGHT)
    torch.testing.assert_close(permuted.x, plain.x[order], rtol=0, atol=1e-6)
