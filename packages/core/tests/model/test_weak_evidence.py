"""Weak evidence is used as weak: few clusters, shared luck, and what the form cannot say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from dagcast_core.contract import ExperimentSet
from dagcast_core.model import Deviation, Widening, conflicts_among, effect_of, fit
from dagcast_core.model._dispersion import Dispersion
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._shared_errors import (
    covariance_of,
    errors_of,
    freedoms_of,
    trusted_share,
)
from dagcast_core.model._space import Expectation, uncoupled, with_factors
from dagcast_core.model._student import Scale


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("freedom", [1.5, 2.0, 4.0, 12.0])
@pytest.mark.parametrize("apart", [1.0, 2.5, 6.0])
def test_mixed_over_scales_an_error_is_students_t(freedom, apart):
    found = Deviation(0.25, 0.0, freedom)
    expected = 2 * stats.t.sf(apart / 0.5, freedom)
    assert found.chance(apart) == pytest.approx(expected, rel=0.02)
    assert found.z(-apart) == pytest.approx(-stats.norm.isf(expected / 2), rel=0.02)
    assert found.reach == pytest.approx(0.5 * stats.t.ppf(0.975, freedom), rel=0.02)


def test_known_variance_is_not_scaled():
    normal = Deviation(0.09, 0.16, math.inf)
    assert normal.z(1.0) == pytest.approx(2.0, rel=1e-6)
    # Mostly known: hardly heavier tails; a wrong answer would be that of t with 2 degrees.
    mostly = Deviation(1e-6, 0.25, 2.0)
    assert mostly.z(1.0) == pytest.approx(2.0, rel=1e-2)
    assert Deviation(0.25, 0.0, 2.0).z(1.0) < 1.5


def test_scale_that_was_seen_is_bayes():
    """Conjugate: chi-squared over f, after one residual r, has mean (f + 1) / (f + r^2)."""
    freedom, residual = 3.0, 4.0
    usual = Scale.of(freedom)
    logs = 0.5 * usual.values.log() - 0.5 * usual.values * residual**2
    assert float(usual.mean) == pytest.approx(1.0, rel=0.02)
    seen = float(usual.seen(logs).mean)
    assert seen == pytest.approx((freedom + 1) / (freedom + residual**2), rel=0.02)


def trial(kit, errors, matrix, freedom, group="trial"):
    members = tuple(
        replace(
            kit.spend_experiment(f"part-{i}", standard_error=error, group=group),
            degrees_of_freedom=freedom,
        )
        for i, error in enumerate(errors)
    )
    return ExperimentSet(members, {group: matrix})


def correlated(errors, level):
    scaled = [[level * a * b for b in errors] for a in errors]
    for i, error in enumerate(errors):
        scaled[i][i] = error**2
    return tuple(map(tuple, scaled))


@pytest.mark.parametrize(("freedom", "expected"), [(2.0, 0.5), (1e6, 0.99), (None, 0.99)])
def test_correlations_from_few_clusters_are_not_believed(kit, freedom, expected):
    errors = (0.3, 1.0, 0.5)
    measured = trial(kit, errors, correlated(errors, 0.99), freedom)
    found = errors_of(measured).numpy()
    spread = np.sqrt(np.diag(found))
    np.testing.assert_allclose(spread, errors)
    assert found[0, 1] / (spread[0] * spread[1]) == pytest.approx(expected, abs=1e-3)
    # Between them it is a share of both, and the matrix stays usable.
    some = errors_of(trial(kit, errors, correlated(errors, 0.99), 8.0)).numpy()
    share = trusted_share(8.0, 3)
    level = some[0, 1] / math.sqrt(some[0, 0] * some[1, 1])
    assert share == pytest.approx(0.6)
    assert level == pytest.approx(share * 0.99 + (1 - share) * (share * 0.99 + (1 - share) * 0.5))
    assert np.linalg.eigvalsh(some).min() > 0


def test_standard_errors_of_few_clusters_learn_from_trials_of_their_kind(kit):
    items = [
        replace(kit.spend_experiment(name, standard_error=error), degrees_of_freedom=freedom)
        for name, error, freedom in (("lucky", 0.05, 2.0), ("usual", 0.5, 6.0), ("many", 0.4, 60.0))
    ]
    measured = ExperimentSet(tuple(items))
    variances = errors_of(measured).diagonal()
    usual = (6.0 * 0.25 + 30.0 * 0.16) / 36.0
    assert float(variances[0]) == pytest.approx((2 * usual + 2 * 0.0025) / 4)
    assert freedoms_of(measured)[0] == pytest.approx(4.0)
    # Many clusters need no help, another outcome is no help, twice the cells halve a variance.
    assert float(variances[2]) == pytest.approx(0.16)
    alone = ExperimentSet((items[0], replace(items[1], outcome="eta")))
    assert float(errors_of(alone)[0, 0]) == pytest.approx(0.0025)
    longer = replace(items[0].cells, end="2025-02-09T23:00:00+00:00")
    stretched = ExperimentSet((replace(items[0], cells=longer), items[1]))
    cells = [item.cells for item in stretched]
    days = [int(c.end[8:10]) + 31 * (c.end[5:7] == "02") - int(c.start[8:10]) + 1 for c in cells]
    expected = (2 * 0.25 * days[1] / days[0] + 2 * 0.0025) / 4
    assert float(errors_of(stretched)[0, 0]) == pytest.approx(expected)


def test_a_low_reading_never_pushes_an_effect_up():
    """Peelle's pertinent puzzle: errors 1 and 6.8 correlated by 0.99 give a negative weight."""
    covariance = tensor([[1.0, 0.99 * 6.8], [0.99 * 6.8, 6.8**2]])
    prior = torch.full((2, 2), 100.0, dtype=torch.float64) + 1e-9 * torch.eye(2)
    expected = Expectation(tensor([0.0 - 10.0, 0.0 - 3.97]), prior)
    raw = float(expected.after(covariance)[1] + 3.97)
    alone = float(expected.after(covariance, [0])[1] + 3.97)
    assert alone == pytest.approx(10 * 100 / 101, rel=1e-4)
    assert raw > alone  # the puzzle, as it stands without a guard
    kept = with_factors(covariance, uncoupled(expected, covariance))
    assert 3.97 < float(expected.after(kept)[1] + 3.97) < alone


def test_every_experiment_draws_its_effect_to_itself():
    rng = np.random.default_rng(5)
    guarded = 0
    for _ in range(200):
        count = int(rng.integers(2, 7))
        shape = rng.normal(size=(count, int(rng.integers(1, 4))))
        prior = tensor(shape @ shape.T * 4 + 1e-6 * np.eye(count))
        mixing = rng.normal(size=(count, count)) + 3 * rng.normal(size=(count, 1))
        covariance = tensor(mixing @ mixing.T * 0.3 + 0.01 * np.eye(count))
        expected = Expectation(tensor(rng.normal(scale=3, size=count)), prior)
        factors = uncoupled(expected, covariance)
        guarded += bool((factors < 1).any())
        kept = with_factors(covariance, factors)
        together = expected.after(kept)
        for place in range(count):
            others = [i for i in range(count) if i != place]
            without = float(expected.after(kept, others)[place])
            moved = float(together[place]) - without
            assert moved * without <= 1e-6 * float(covariance[place, place])
    assert guarded > 20  # the guard had something to do


@pytest.mark.again
def test_dispersion_is_learned_from_what_others_foresee(kit, history):
    """Twelve trials of one effect of 8 scatter by a tenth or by six tenths of it."""
    rng = np.random.default_rng(1)
    deviates = rng.normal(size=12)
    levels = {}
    for true in (0.1, 0.6):
        items = tuple(
            kit.spend_experiment(f"trial-{i}", estimate=8 * (1 + true * z), standard_error=0.2)
            for i, z in enumerate(deviates)
        )
        evidence = Evidence(kit.collection(), history, ExperimentSet(items), Widening(), {})
        spread = torch.full((12, 12), 9.0, dtype=torch.float64)
        evidence.settle(Expectation(8.0 - evidence.estimates, spread))
        levels[true] = evidence.dispersion.level
    # The belief before counts a little beside twelve trials.
    scattered = float(deviates.std(ddof=1))
    assert levels[0.1] == pytest.approx(0.1 * scattered, rel=0.3)
    assert levels[0.6] == pytest.approx(0.6 * scattered, rel=0.3)
    assert Dispersion.usual(0.07).level == pytest.approx(0.07 * math.exp(0.75**2), rel=0.02)
    assert Dispersion.usual(0.0).level == 0.0


@pytest.mark.again
def test_an_estimate_too_far_off_is_wide_and_not_a_form(kit, history):
    """Nine trials of many clusters agree on 8; one of two clusters says 20 and claims 0.1."""
    sure = [
        kit.spend_experiment(f"trial-{i}", estimate=8 + 0.2 * (-1) ** i, standard_error=0.2)
        for i in range(9)
    ]
    odd = replace(
        kit.spend_experiment("odd", estimate=20.0, standard_error=0.1, incentive="guarantee"),
        degrees_of_freedom=1.5,
        design="geo",
    )
    measured = ExperimentSet((*sure, odd))
    evidence = Evidence(kit.collection(), history, measured, Widening(), {})
    spread = torch.full((10, 10), 9.0, dtype=torch.float64)
    evidence.settle(Expectation(8.0 - evidence.estimates, spread))
    assert evidence.dispersion.level < 0.2
    assert float(evidence.covariance[9, 9]) > 1.0  # and not 0.1 squared
    together = Expectation(8.0 - evidence.estimates, spread).after(evidence.covariance)
    assert float(evidence.estimates[0] + together[0]) == pytest.approx(8.0, abs=0.5)


@pytest.mark.again
@pytest.mark.parametrize("name", ["part-0", "part-1", "part-2", "alone"])
def test_adding_a_trial_moves_its_own_effect_towards_its_estimate(kit, history, name):
    errors = (0.3, 2.0, 0.8)
    group = trial(kit, errors, correlated(errors, 0.99), 2.0)
    estimates = (6.0, 1.0, 9.0)
    members = [
        replace(item, estimate=estimate)
        for item, estimate in zip(group.experiments, estimates, strict=True)
    ]
    alone = replace(
        kit.spend_experiment("alone", estimate=4.0, standard_error=1.0), degrees_of_freedom=3.0
    )
    measured = ExperimentSet((*members, alone), group.covariances)
    effects = {}
    for used in (measured.without(name), measured):
        model = kit.collection()
        fit(model, history, used)
        effects[len(used)] = float(effect_of(model, history, measured[name]).detach())
    before, after = effects[3], effects[4]
    assert (after - before) * (measured[name].estimate - before) >= -1e-4


def test_conflicts_count_degrees_of_freedom(kit):
    first = kit.spend_experiment("first", estimate=4.0, standard_error=0.3)
    second = kit.spend_experiment("second", estimate=1.0, standard_error=0.4)
    assert conflicts_among(ExperimentSet((first, second)))
    few = [replace(item, degrees_of_freedom=1.0) for item in (first, second)]
    assert conflicts_among(ExperimentSet(tuple(few))) == ()
    np.testing.assert_allclose(covariance_of(ExperimentSet(tuple(few))).diagonal(), [0.09, 0.16])
