"""Where the bound of the gap does not hold, one point says so."""

import pytest
import torch

from dagcast_core.solver import LinearSet, SmoothProblem, is_supported

NONE = torch.zeros(0, dtype=torch.float64)
SPEND, FARE = slice(0, 80), slice(80, 100)


def problem(bend):
    """Eighty cells with strong decreasing returns, and twenty that bend a little."""

    def evaluate(x):
        spend, fare = x[SPEND], x[FARE]
        return (spend - 5.0 * spend.square()).sum() + (fare + bend * fare.square()).sum(), NONE

    one = torch.ones(100, dtype=torch.float64)
    return SmoothProblem(evaluate, LinearSet(0.0 * one, one))


@pytest.mark.parametrize("bend", [0.2, -0.2])
def test_one_lever_that_bends_upwards_is_seen_beside_one_that_bends_down(bend):
    best = torch.full((100,), 0.1, dtype=torch.float64)
    best[FARE] = 1.0
    for seed in range(3):
        supported = is_supported(problem(bend), best, NONE, seed, (SPEND, FARE))
        assert supported == (bend < 0)
