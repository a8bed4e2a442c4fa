"""Measures of the values of many draws."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from dagcast_core.decide.compile._tail import Tail


@pytest.mark.parametrize("tail", [0.1, 0.25, 0.33, 1.0])
@pytest.mark.parametrize("draws", [10, 17, 32])
def test_tail_mean_is_the_linear_programme_that_defines_it(draws, tail):
    values = torch.randn(draws, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    measure = Tail("cvar", tail, torch.full((3,), 1e-3, dtype=torch.float64))
    for column, found in enumerate(measure.exact(values).tolist()):
        programme = linprog(
            values[:, column].numpy(),
            A_eq=np.ones((1, draws)),
            b_eq=[1.0],
            bounds=[(0.0, 1.0 / (tail * draws))] * draws,
        )
        assert found == pytest.approx(programme.fun, abs=1e-9)


@pytest.mark.parametrize("width", [1e-6, 0.1, 1.0])
def test_smooth_tail_mean_is_below_the_true_one_and_its_linearisation_above(width):
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        values = torch.randn(17, 4, dtype=torch.float64, generator=generator)
        measure = Tail("cvar", 0.25, torch.full((4,), width, dtype=torch.float64))
        assert bool((measure.smooth(values) <= measure.exact(values) + 1e-9).all())
        assert bool((measure.weighted(values) >= measure.exact(values) - 1e-9).all())
        gap = (measure.exact(values) - measure.smooth(values)).max()
        assert float(gap) <= width + 1e-9


def test_smooth_tail_mean_has_the_derivatives_that_it_says():
    measure = Tail("cvar", 0.3, torch.full((2,), 0.7, dtype=torch.float64))
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(12, 2, dtype=torch.float64, generator=generator).requires_grad_(True)
    assert torch.autograd.gradcheck(measure.smooth, (values,))
    assert torch.autograd.gradgradcheck(measure.smooth, (values,))


def test_quantile_is_the_value_that_all_but_the_tail_reach():
    values = torch.arange(20.0, dtype=torch.float64).unsqueeze(1)
    measure = Tail("quantile", 0.1, torch.full((1,), 1e-6, dtype=torch.float64))
    # Two of twenty may be below: the third smallest.
    assert float(measure.exact(values)) == 2.0
    assert 1.0 <= float(measure.smooth(values)) <= 2.0
