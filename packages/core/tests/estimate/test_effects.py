import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

from dagcast_core.estimate import (
    Effect,
    EstimationError,
    difference_in_differences,
    fixed_effects_difference,
    split_ratio,
    wald_elasticity,
)


def _panel(rng, effect, regions=8, windows=20):
    """Pair-randomised windows with region and date effects and noise that differs by region."""
    first = rng.random((regions, windows // 2)) < 0.5
    treated = np.stack([first, ~first], axis=2).reshape(regions, windows).astype(float)
    region = np.repeat(np.arange(regions), windows)
    window = np.tile(np.arange(windows), regions)
    noise = rng.normal(size=(regions, windows)) * np.linspace(0.5, 2.0, regions)[:, None]
    level = 5.0 * rng.normal(size=(regions, 1)) + 3.0 * rng.normal(size=(1, windows))
    outcome = 20 + level + effect * treated + noise
    return outcome.ravel(), treated.ravel(), region, window


def _as_normal(z, effect):
    """The normal deviate that is as unlikely under Student's t."""
    return np.sign(z) * norm.isf(student_t.sf(abs(z), effect.degrees_of_freedom))


@pytest.mark.again
def test_the_switchback_estimator_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    z = []
    for _ in range(300):
        y, d, region, window = _panel(rng, 1.5)
        effect = fixed_effects_difference(
            y, d, groups=(region, window), clusters=region * 100 + window // 2
        )
        z.append(_as_normal((effect.estimate - 1.5) / effect.standard_error, effect))
    # Two standard errors of a share of 0.95 among 300 are 0.025.
    assert 0.92 < np.mean(np.abs(z) < 1.96) < 0.98
    assert abs(np.mean(z)) < 0.15
    assert 0.88 < np.std(z) < 1.12


def test_few_clusters_are_covered_as_well():
    rng = np.random.default_rng(8)
    z, exact = [], []
    for _ in range(300):
        y, d, region, window = _panel(rng, 1.5, regions=8, windows=6)
        effect = fixed_effects_difference(
            y, d, groups=(region, window), clusters=region * 100 + window // 2
        )
        z.append((effect.estimate - 1.5) / effect.standard_error)
        exact.append(_as_normal(z[-1], effect))
    assert 0.92 < np.mean(np.abs(exact) < 1.96) <= 1.0
    # Taken as normal they would promise more.
    assert np.mean(np.abs(z) < 1.96) < np.mean(np.abs(exact) < 1.96)


def test_ignoring_date_effects_would_be_wrong_by_far():
    """Feeds the estimator a wrong specification once, so that the coverage test can fail."""
    rng = np.random.default_rng(1)
    y, d, region, window = _panel(rng, 1.5)
    full = fixed_effects_difference(y, d, groups=(region, window))
    bare = fixed_effects_difference(y, d)
    assert bare.standard_error > 3 * full.standard_error


def test_without_groups_it_is_the_difference_of_means_with_unequal_variances():
    rng = np.random.default_rng(2)
    y, d = rng.normal(size=40), (np.arange(40) % 3 == 0).astype(float)
    effect = fixed_effects_difference(y, d)
    a, b = y[d == 1], y[d == 0]
    assert effect.estimate == pytest.approx(a.mean() - b.mean())
    # CR2 with clusters of one is HC2, which is Welch's variance here. Satterthwaite's degrees of
    # freedom under equal variances have a closed form too.
    welch = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    n, m = len(a), len(b)
    freedom = (1 / n + 1 / m) ** 2 / (1 / (n**2 * (n - 1)) + 1 / (m**2 * (m - 1)))
    assert effect.standard_error == pytest.approx(welch)
    assert effect.degrees_of_freedom == pytest.approx(freedom)
    assert effect.treatment - effect.control == pytest.approx(effect.estimate)


def test_clusters_widen_the_error_of_repeated_observations():
    rng = np.random.default_rng(3)
    y, d = rng.normal(size=60), rng.permutation(np.arange(60) % 2).astype(float)
    once = fixed_effects_difference(y, d)
    doubled = fixed_effects_difference(
        np.repeat(y, 2), np.repeat(d, 2), clusters=np.repeat(np.arange(60), 2)
    )
    assert doubled.standard_error == pytest.approx(once.standard_error, rel=0.02)
    naive = fixed_effects_difference(np.repeat(y, 2), np.repeat(d, 2))
    assert naive.standard_error < 0.75 * once.standard_error


@pytest.mark.parametrize(
    ("outcome", "treated", "groups", "message"),
    [
        ([1.0, 2.0], [1, 1], (), "belong to one arm"),
        ([1.0, np.nan], [0, 1], (), "must be finite"),
        ([1.0, 2.0, 3.0], [0, 1, 1], (["a", "b", "b"],), "no contrast is left"),
        ([1.0, 2.0], [0, 0.5], (), "treatment 0 or 1"),
    ],
)
def test_cells_that_identify_nothing_are_refused(outcome, treated, groups, message):
    with pytest.raises(EstimationError, match=message):
        fixed_effects_difference(outcome, treated, groups=groups)


def test_difference_in_differences_takes_out_level_and_trend():
    before = np.array([10.0, 20.0, 30.0, 40.0])
    treated = np.array([0, 1, 0, 1])
    after = before + 3.0 + 2.0 * treated + np.array([0.1, -0.1, -0.1, 0.1])
    effect = difference_in_differences(before, after, treated)
    assert effect.estimate == pytest.approx(2.0)
    changes = after - before
    expected = sum(changes[treated == arm].var(ddof=1) / 2 for arm in (0, 1))
    assert effect.standard_error == pytest.approx(np.sqrt(expected))
    assert effect.degrees_of_freedom == 1.0


def test_a_geo_test_of_one_region_has_no_error_and_is_refused():
    with pytest.raises(EstimationError, match="two regions in each arm; got 1 treated"):
        difference_in_differences([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1, 0, 0])


def test_a_split_recovers_the_ratio_and_its_error():
    rng = np.random.default_rng(4)
    z = []
    for _ in range(200):
        sessions = rng.poisson(40, size=(60, 2)) + 1
        rate = 0.5 * np.array([1.0, 0.9])
        rides = rng.binomial(sessions, rate)
        clusters = np.repeat(np.arange(60), 2)
        log_ratio, influence = split_ratio(
            rides.ravel(), sessions.ravel(), np.tile([0, 1], 60), clusters
        )
        z.append((log_ratio - np.log(0.9)) / np.sqrt(influence @ influence))
    assert 0.91 < np.mean(np.abs(z) < 1.96) < 0.985
    assert abs(np.mean(z)) < 0.2


def test_a_split_without_success_is_refused():
    with pytest.raises(EstimationError, match="no sessions or no rides"):
        split_ratio([0.0, 1.0], [5.0, 5.0], [0, 1], [1, 1])


def test_a_wald_elasticity_is_the_ratio_with_its_delta_error():
    lever = Effect(2.0, 0.1, 9.0, 11.0, np.array([0.06, -0.08]), 2, 9.0)
    outcome = Effect(-0.5, 0.1, 4.25, 3.75, np.array([0.08, 0.06]), 2, 9.0)
    elasticity, influence = wald_elasticity(outcome, lever)
    error = np.sqrt(influence @ influence)
    assert elasticity == pytest.approx(np.log(3.75 / 4.25) / np.log(11 / 9))
    # The delta method by finite differences of the same formula, cluster by cluster.
    total = 0.0
    for y, x in zip(outcome.influence, lever.influence, strict=True):
        step = 1e-6
        moved = Effect(
            -0.5, 0.1, 4.25 - y * step / 2, 3.75 + y * step / 2, outcome.influence, 2, 9.0
        )
        pushed = Effect(2.0, 0.1, 9.0 - x * step / 2, 11.0 + x * step / 2, lever.influence, 2, 9.0)
        total += ((wald_elasticity(moved, pushed)[0] - elasticity) / step) ** 2
    assert error == pytest.approx(np.sqrt(total), rel=1e-4)


def test_a_lever_that_did_not_move_is_refused():
    still = Effect(0.0, 0.01, 3.0, 3.0, np.array([0.01]), 1, 9.0)
    with pytest.raises(EstimationError, match="did not move"):
        wald_elasticity(still, still)


def test_an_elasticity_of_a_negative_mean_is_refused():
    good = Effect(1.0, 0.1, 1.0, 2.0, np.array([0.1]), 1, 9.0)
    with pytest.raises(EstimationError, match="positive means"):
        wald_elasticity(Effect(1.0, 0.1, -0.5, 0.5, np.array([0.1]), 1, 9.0), good)


def test_windows_of_different_trials_do_not_make_an_elasticity():
    a = Effect(1.0, 0.1, 1.0, 2.0, np.array([0.1]), 1, 9.0)
    b = Effect(1.0, 0.1, 1.0, 2.0, np.array([0.1, 0.0]), 2, 9.0)
    with pytest.raises(EstimationError, match="1 clusters and lever 2"):
        wald_elasticity(a, b)


def test_products_of_influences_are_the_covariance_of_two_estimates():
    rng = np.random.default_rng(11)
    estimates, promised = [], []
    for _ in range(300):
        region, window = np.divmod(np.arange(12 * 10), 10)
        first = rng.random((12, 5)) < 0.5
        d = np.stack([first, ~first], axis=2).reshape(-1).astype(float)
        shared = rng.normal(size=120)
        outcomes = (shared + rng.normal(size=120), 2 * shared + rng.normal(size=120))
        groups, clusters = (region, window), region * 100 + window // 2
        one, two = (
            fixed_effects_difference(y, d, groups=groups, clusters=clusters) for y in outcomes
        )
        estimates.append((one.estimate, two.estimate))
        promised.append(one.influence @ two.influence)
    found = np.cov(np.array(estimates).T)[0, 1]
    assert found == pytest.approx(np.mean(promised), rel=0.2)
