"""Intervals of means."""

import math

import pytest

from dagcast_core.evaluate import mean_interval


def test_interval_of_a_mean_is_students():
    # Mean 2, standard deviation 1, three values: 2 -+ 4.3027 / sqrt(3).
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, -0.48414, 4.48414), abs=1e-4)
    assert mean_interval([5.0]) == (5.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="needs values"):
        mean_interval([])
    with pytest.raises(ValueError, match="level between 0 and 1"):
        mean_interval([1.0], level=95)
