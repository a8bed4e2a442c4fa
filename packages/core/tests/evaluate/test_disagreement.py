"""Trials of different weeks that cannot all be right."""

import numpy as np
import pytest

from dagcast_core.evaluate import TrialRatio, disagreements

PATH = ("spend", "rides")


def trials(*ratios, error=0.1, path=PATH, weeks=None):
    weeks = range(1, len(ratios) + 1) if weeks is None else weeks
    return [
        TrialRatio(f"t{i}", path, f"2026-01-{7 * week:02d}", ratio, error)
        for i, (ratio, week) in enumerate(zip(ratios, weeks, strict=True))
    ]


def test_trials_far_apart_disagree_and_the_extremes_are_named():
    (found,) = disagreements(trials(1.0, 0.4, 1.6))
    assert [item.ratio for item in found.extremes] == [0.4, 1.6]
    assert (found.path, found.chance < 0.01) == (PATH, True)


@pytest.mark.parametrize(
    "given",
    [
        trials(1.0, 1.1, 0.95),
        trials(0.2, 1.8, error=2.0),
        trials(0.2, 1.8, weeks=(1, 1)),
        trials(1.0),
        trials(0.2, float("nan")),
        [*trials(0.2), *trials(1.8, path=("fare", "rides"))],
    ],
)
def test_nothing_is_said_where_errors_week_or_path_explain_it(given):
    assert disagreements(given) == ()


def test_trials_that_agree_are_called_contrary_as_rarely_as_asked():
    rng = np.random.default_rng(0)
    wrong = sum(bool(disagreements(trials(*rng.normal(1.0, 0.1, 4)))) for _ in range(1000))
    assert 2 <= wrong <= 22
