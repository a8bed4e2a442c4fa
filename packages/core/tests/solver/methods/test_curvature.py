"""Curvature from secants."""

import math

import torch

from dagcast_core.solver.methods.sqp._curvature import secant_update


def test_curvature_is_extrapolated_along_a_step_and_bounded_by_its_length():
    size = torch.ones(3, dtype=torch.float64)
    metric = torch.full((3,), 2.0, dtype=torch.float64)
    # Exponential curvature along a step of a fifth of the size: D(x) = 2 exp(-x).
    step = torch.tensor([0.2, 1e-4, 0.0], dtype=torch.float64)
    change = 2.0 * (1.0 - torch.exp(-step))
    # The second cell hardly moves and is disturbed by a neighbour.
    change[1] = 50.0
    found = secant_update(metric, step, change, size)
    end = 2.0 * math.exp(-0.2)
    mean = float(change[0] / step[0])
    assert end < float(found[0]) < mean
    assert 2.0 < float(found[1]) < 2.2
    assert float(found[2]) == 2.0
