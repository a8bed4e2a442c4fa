"""Exact tests: every assignment that might have been drawn, counted."""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from dagcast_core.estimate import EstimationError, fixed_effects_difference, randomisation_test


def test_permutations_of_units_are_those_of_an_independent_implementation():
    rng = np.random.default_rng(3)
    y = rng.normal(size=9)
    treated = np.array([1, 0, 0, 1, 1, 0, 0, 1, 0])
    found = randomisation_test(y, treated, np.arange(9))
    # Two-sided here is |difference|; scipy doubles the smaller tail unless the statistic is even.
    other = permutation_test(
        (y[treated == 1], y[treated == 0]),
        lambda a, b: abs(a.mean() - b.mean()),
        alternative="greater",
        n_resamples=np.inf,
    )
    assert (found.exact, found.assignments) == (True, 126)
    assert found.p_value == pytest.approx(other.pvalue, abs=1e-12)


def test_pairs_are_turned_one_by_one():
    """Against a count by hand over all flips, with the estimator itself as the statistic."""
    rng = np.random.default_rng(5)
    pairs = np.repeat(np.arange(6), 2)
    first = rng.random(6) < 0.5
    treated = np.stack([first, ~first], axis=1).ravel().astype(float)
    units, region = np.arange(12), np.repeat([0, 1], 6)
    rows = np.repeat(np.arange(12), 3)
    y = rng.normal(size=36) + 0.8 * treated[rows]

    def statistic(arm):
        return fixed_effects_difference(y, arm[rows], groups=(region[rows],)).estimate

    own, far = statistic(treated), 0
    for flips in itertools.product((False, True), repeat=6):
        turned = np.where(np.array(flips)[pairs], 1 - treated, treated)
        far += abs(statistic(turned)) >= abs(own) * (1 - 1e-9)
    found = randomisation_test(
        y, treated[rows], units[rows], pairs=pairs[rows], groups=(region[rows],)
    )
    assert (found.exact, found.assignments) == (True, 64)
    assert found.p_value == far / 64


def test_strata_keep_how_many_were_treated_in_each():
    y = np.array([1.0, 2.0, 9.0, 3.0, 4.0, 5.0])
    found = randomisation_test(y, [0, 0, 1, 0, 1, 1], range(6), strata=list("aaabbb"))
    assert (found.exact, found.assignments) == (True, 9)


def test_no_effect_is_found_as_seldom_as_the_level_says():
    rng = np.random.default_rng(11)
    levels = []
    for _ in range(200):
        treated = rng.permutation(np.repeat([0, 1], 5))
        levels.append(randomisation_test(rng.standard_t(2, size=10), treated, range(10)).p_value)
    # Of 252 assignments at most 12 are within 5 %; two errors of a share of 0.05 are 0.03.
    assert np.mean(np.array(levels) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_too_many_assignments_are_drawn_and_never_give_zero():
    y = np.concatenate([np.zeros(20), np.full(20, 10.0)]) + np.linspace(0, 1, 40)
    found = randomisation_test(y, np.repeat([0, 1], 20), range(40), most=500)
    assert (found.exact, found.assignments) == (False, 501)
    assert found.p_value == 1 / 501
    again = randomisation_test(y, np.repeat([0, 1], 20), range(40), most=500)
    assert found == again


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"treated": [0, 1, 0, 1], "units": [0, 0, 1, 2]}, "unit 0 is in both arms"),
        ({"treated": [1, 1, 1, 1], "units": range(4)}, "all 4 units belong to one arm"),
        ({"treated": [0, 1, 0, 1], "units": range(4), "pairs": [0, 0, 0, 1]}, "a pair has 3"),
        ({"treated": [1, 1, 0, 0], "units": range(4), "pairs": [0, 0, 1, 1]}, "in one arm"),
        ({"treated": [0, 1, 0, 1], "units": [0, 1, 0, 1], "strata": [0, 0, 1, 1]}, "several"),
        ({"treated": [0, 1, 0, 1], "units": range(4), "groups": ([0, 1, 0, 1],)}, "no contrast"),
    ],
)
def test_impossible_assignments_are_named(given, words):
    given = dict(given)
    with pytest.raises(EstimationError, match=words):
        randomisation_test([1.0, 2.0, 3.0, 4.0], given.pop("treated"), given.pop("units"), **given)
