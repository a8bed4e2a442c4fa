"""Error and power of trials that are yet to be run, against trials that were."""

import numpy as np
import pytest
from scipy.stats import t

from dagcast_core.estimate import (
    EstimationError,
    SwitchbackPlan,
    fixed_effects_difference,
    planned_switchback,
)

PLAN = SwitchbackPlan(window=24, windows=12, washout=4)


def market(generator: np.random.Generator, hours: int, labels: int = 4) -> np.ndarray:
    """Levels of labels, a day they share, and noise that lasts for some hours."""
    noise = generator.normal(size=(labels, hours + 50))
    for at in range(1, noise.shape[1]):
        noise[:, at] += 0.8 * noise[:, at - 1]
    day = 5 * np.sin(2 * np.pi * np.arange(hours) / 24)
    return 20.0 * np.arange(1, labels + 1)[:, None] + day + noise[:, 50:]


def run(generator: np.random.Generator, effect: float, plan: SwitchbackPlan) -> bool:
    """Whether a trial that was really run, on fresh hours, tells its effect from none."""
    values = market(generator, plan.hours)
    arm = plan.assigned(len(values), generator)
    values += effect * np.repeat(arm, plan.window, axis=1)
    y = values.reshape(len(values), plan.windows, plan.window)[:, :, plan.washout :].mean(axis=2)
    row, window = np.divmod(np.arange(y.size), plan.windows)
    found = fixed_effects_difference(
        y.ravel(),
        arm.ravel().astype(float),
        groups=(row,) if plan.together else (row, window),
        clusters=window // 2 + (0 if plan.together else 100 * row),
    )
    return abs(found.estimate) > t.ppf(0.975, found.degrees_of_freedom) * found.standard_error


def test_power_from_a_history_is_that_of_trials_that_are_run():
    generator = np.random.default_rng(1)
    planned = planned_switchback(market(generator, 24 * 600), PLAN, draws=1200)
    effect = planned.least_effect(0.8)
    share = np.mean([run(generator, effect, PLAN) for _ in range(1200)])
    # 2 points, and the chance of 1,200 trials.
    assert planned.power(effect) == pytest.approx(share, abs=0.02 + 0.02)
    assert planned.power(0.0) == pytest.approx(0.05, abs=0.02)
    assert planned.power(-effect) == pytest.approx(0.8, abs=0.03)
    assert planned.clusters == 24


def test_error_is_that_of_the_closed_form_for_noise_without_memory():
    values = np.random.default_rng(2).normal(size=(6, 24 * 400))
    planned = planned_switchback(values, SwitchbackPlan(24, 10), draws=600)
    # Differences within labels and windows; each window a mean of 24 hours.
    expected = np.sqrt(4 / (6 * 10) * (1 / 24) * (6 / 5))
    assert planned.standard_error == pytest.approx(expected, rel=0.1)
    assert np.median(planned.errors) == pytest.approx(planned.standard_error, rel=0.1)


def test_all_labels_at_once_are_as_many_coins_as_pairs_and_find_less():
    values = market(np.random.default_rng(3), 24 * 200)
    alone = planned_switchback(values, PLAN, draws=200)
    at_once = SwitchbackPlan(24, 12, 4, together=True)
    assert np.ptp(at_once.assigned(4, np.random.default_rng(0)).astype(int), axis=0).max() == 0
    together = planned_switchback(values, at_once, draws=200)
    assert together.clusters == 6
    assert together.least_effect() > alone.least_effect()


def test_hours_that_nobody_observed_do_not_count():
    values = market(np.random.default_rng(4), 24 * 60)
    gaps = values.copy()
    gaps[:, ::5] = np.nan
    whole, holed = (planned_switchback(x, PLAN, draws=100) for x in (values, gaps))
    assert holed.standard_error == pytest.approx(whole.standard_error, rel=0.3)
    with pytest.raises(EstimationError, match="would say nothing"):
        planned_switchback(np.full_like(values, np.nan), PLAN, draws=20)


def test_a_constant_history_finds_anything_and_noise_does_not():
    generator = np.random.default_rng(5)
    values = market(generator, 24 * 60)
    loud = planned_switchback(10 * values, PLAN, draws=100)
    quiet = planned_switchback(values, PLAN, draws=100)
    assert loud.least_effect() == pytest.approx(10 * quiet.least_effect(), rel=1e-6)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: SwitchbackPlan(24, 3), "windows in pairs"),
        (lambda: SwitchbackPlan(24, 2), "windows in pairs"),
        (lambda: SwitchbackPlan(8, 6, washout=8), "longer than their washout"),
        (lambda: planned_switchback(np.ones((2, 100)), PLAN), "does not fit a history"),
        (
            lambda: planned_switchback(np.ones((2, 200)), SwitchbackPlan(24, 4, together=True)),
            "three pairs",
        ),
    ],
)
def test_what_is_no_trial_is_refused_in_words(made, words):
    with pytest.raises(EstimationError, match=words):
        made()
