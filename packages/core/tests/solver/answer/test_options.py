"""Settings of the solver."""

import pytest

from dagcast_core.decide import DecisionError, Options


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"time_limit": 0.0}, "time_limit is 0.0; it is a number above 0, in seconds"),
        ({"time_limit": -1.0}, "time_limit is -1.0"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"gap": float("nan")}, "gap is nan; it is a number of at least 0"),
        ({"violation": -1e-6}, "violation is -1e-06"),
        ({"elastic": 0.0}, "elastic is 0.0"),
        ({"iterations": 0}, "iterations is 0; it is a whole number of at least 1"),
        ({"refresh": 0}, "refresh is 0"),
        ({"seed": "x"}, "seed is 'x'; it is a whole number"),
        ({"curvature": "bfgs"}, "it is 'hessian' or 'secant'"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(DecisionError, match=message):
        Options(**setting)
