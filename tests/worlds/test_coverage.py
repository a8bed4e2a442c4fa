"""The coverage routine, fed intervals that are right, too narrow, too wide and shifted."""

import math

import numpy as np
import pytest
from _coverage import coverage, faults
from scipy.stats import norm

BAND = {"at_least": 0.87, "at_most": 0.93}
Z = norm.ppf(0.95)


def _worlds(width=1.0, move=0.0, worlds=12, cells=400):
    """Intervals about figures whose error has standard deviation 1, ``width`` of what they need."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(worlds):
        figure = rng.normal(size=cells) * 5
        truth = figure + rng.normal(size=cells) + move
        half = Z * width
        found.append(coverage(truth, figure, figure - half, figure + half, 0.9))
    return found


def test_intervals_that_hold_what_they_promise_have_no_fault():
    assert faults(_worlds(), **BAND) == ()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 0.6}, ("too narrow",)),
        ({"width": 1.5}, ("too wide",)),
        ({"move": 0.9}, ("too narrow", "shifted")),
        ({"move": -0.9}, ("too narrow", "shifted")),
        ({"width": 2.0, "move": 0.9}, ("too wide", "shifted")),
    ],
)
def test_each_fault_is_named(wrong, words):
    assert faults(_worlds(**wrong), **BAND) == words


def test_few_intervals_prove_no_shift():
    one = [coverage([0.9], [0.0], [-Z], [Z], 0.9)]
    assert faults(one, at_least=0.8, at_most=1.0) == ()
    assert faults(one * 2, at_least=0.8, at_most=1.0) == ("shifted",)


def test_shares_and_shift_are_counted():
    found = coverage([0.0, 3.0, -9.0, math.nan], 0.0, -2.0, 2.0, 2 * norm.cdf(1) - 1)
    assert (found.inside, found.below, found.above, found.count) == (
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        3,
    )
    # At the level of one standard deviation the half width is one: -6 / 2 over three cells.
    assert found.shift == pytest.approx(-6 / 2 / 3)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="0 intervals to compare"):
        coverage([math.nan], [0.0], [0.0], [1.0], 0.9)
    with pytest.raises(ValueError, match="1 of them end before they begin"):
        coverage([0.0], [0.0], [1.0], [0.0], 0.9)
