"""Bounds and cells that people set."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import DecisionError, Fixed, solve


def test_fixed_cells_outside_bounds_are_named(problem):
    spend = problem.context["spend"]
    fixed = spend.isel(hour=slice(0, 1)).with_tensor(torch.full((2, 3, 1), 99.0).double())
    with pytest.raises(DecisionError, match=r"spend\[boost, A, 2026-03-02 00:00\] = 99"):
        solve(replace(problem, constraints=[Fixed("spend", fixed)]))


def test_cells_fixed_to_two_values_are_named(problem):
    spend = problem.context["spend"].isel(hour=slice(0, 1))
    twice = [
        Fixed("spend", spend.with_tensor(torch.full((2, 3, 1), value).double()))
        for value in (9.0, 7.0)
    ]
    with pytest.raises(DecisionError, match=r"spend\[boost, A, .*\] is set twice, to 9 and to 7"):
        solve(replace(problem, constraints=twice))
    assert solve(replace(problem, constraints=twice[:1] * 2)).status == "optimal"
