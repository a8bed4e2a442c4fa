"""Predictions beside the range of what was observed."""

import math

import numpy as np
import pytest
from hourly_series import HOURS, series

from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.evaluate import range_check

ETA = Quantity("eta", dims=(Dim("region"), HOUR), unit="min", bounds=(0.0, None))
SEEN = np.linspace(2.0, 16.9, 24)


def check(predicted, observed=SEEN):
    return range_check(ETA, series(predicted, name="eta"), series(observed, name="eta"))


def test_value_beyond_anything_observed_is_out_of_the_world():
    """As a fit that converged with waits of up to 1,845 minutes where at most 16.9 were seen."""
    wild = SEEN.copy()
    wild[5] = 1845.0
    found = check(wild)
    assert (found.passed, found.beyond, found.cells) == (False, 1, 24)
    assert (found.high, found.observed_high, found.unit) == (1845.0, 16.9, "min")


@pytest.mark.parametrize(
    ("value", "passed"),
    [(16.9, True), (30.0, True), (32.0, False), (-12.0, True), (-14.0, False), (math.nan, False)],
)
def test_room_on_either_side_is_the_range_itself(value, passed):
    some = SEEN.copy()
    some[0] = value
    assert check(some).passed is passed


def test_error_is_in_the_unit_and_leaves_out_what_nobody_saw():
    holes = SEEN.copy()
    holes[3] = math.nan
    found = check(SEEN + 0.5, holes)
    assert found.error == pytest.approx(0.5)
    assert found.typical == pytest.approx(np.nanmean(holes))


def test_range_of_one_value_has_room_by_its_size():
    flat = np.full(24, 4.0)
    assert check(flat * 1.5, flat).passed
    assert not check(flat * 2.5, flat).passed


def test_nothing_observed_refuses_nothing():
    found = check(SEEN, np.full(24, math.nan))
    assert found.passed
    assert math.isnan(found.error)


def test_observations_outside_the_window_widen_the_range():
    """A forecast of one day is judged by all that was ever seen."""
    one = series([40.0, 41.0], HOURS[:2], name="eta")
    long = series(np.linspace(2.0, 45.0, 24), name="eta")
    assert range_check(ETA, one, long).passed
