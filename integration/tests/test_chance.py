"""Chance is drawn from past errors, and intervals that hold it hold what happens."""

import numpy as np
import pytest

from dagcast.plans import Chance, ErrorHistory, errors_of
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR

RIDES = Quantity(
    "rides",
    (Dim("region"), HOUR),
    "ride/h",
    aggregation={"region": "sum", "hour": "sum"},
    bounds=(0, None),
)
PROFIT = Quantity("profit", (Dim("region"), HOUR), "USD/h", aggregation={"hour": "sum"})
ROWS, HOURS = 6, 168


def world(seed, weeks, market=0.05, region=0.08, hourly=1.5):
    """Forecasts, and weeks that come out otherwise: together, by region, and hour by hour."""
    generator = np.random.default_rng(seed)
    base = 20 * np.exp(np.sin(np.arange(HOURS) / 24 * 2 * np.pi))
    expected = np.broadcast_to(base * np.linspace(0.5, 2.0, ROWS)[:, None], (weeks, ROWS, HOURS))
    level = 1 + market * generator.standard_normal((weeks, 1, 1))
    level = level + region * generator.standard_normal((weeks, ROWS, 1))
    slow = np.zeros((weeks, ROWS, HOURS))
    shock = generator.standard_normal((weeks, ROWS, HOURS))
    for hour in range(1, HOURS):
        slow[..., hour] = 0.8 * slow[..., hour - 1] + 0.6 * shock[..., hour]
    noise = hourly * np.sqrt(expected) * slow
    return expected * level + noise - noise.mean(-1, keepdims=True), expected.copy()


def drawn(chance, expected, count=400, seed=0):
    return np.stack(
        [expected + chance.added("rides", expected, d) for d in chance.draws(count, seed)]
    )


def covered(truth, draws, level=0.9):
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.fixture(scope="module")
def coverage():
    """Share of cells, region-weeks and market-weeks inside 90 %, over worlds of their own."""
    cells, regions, markets = [], [], []
    for seed in range(40):
        actual, expected = world(seed, 13)
        # The fit has seen its own weeks: their levels are explained away.
        own = actual[:12] / (actual[:12].sum(-1) / expected[:12].sum(-1))[..., None]
        errors = errors_of(RIDES, (own, expected[:12]), (actual[:8], expected[:8]))
        draws = drawn(Chance({"rides": errors}, 8), expected[12], seed=seed)
        cells.append(covered(actual[12], draws))
        regions.append(covered(actual[12].sum(-1), draws.sum(-1)))
        markets.append(covered(actual[12].sum(), draws.sum((-2, -1))))
    return np.mean(cells), np.mean(regions), np.mean(markets)


def test_intervals_hold_at_cells_region_weeks_and_market_weeks(coverage):
    cells, regions, markets = coverage
    assert 0.86 < cells < 0.95
    assert 0.84 < regions < 0.96
    assert 0.80 < markets <= 1.0


def test_without_forecasts_of_past_weeks_levels_look_surer_than_they_are():
    """What the page warns of where the models were not backtested."""
    actual, expected = world(0, 12)
    own = actual / (actual.sum(-1) / expected.sum(-1))[..., None]
    blind = Chance({"rides": errors_of(RIDES, (own, expected), None)}, 0)
    told = Chance({"rides": errors_of(RIDES, (own, expected), (actual, expected))}, 12)
    spread = [drawn(c, expected[0]).sum((-2, -1)).std() for c in (blind, told)]
    assert spread[0] < 0.2 * spread[1]


def test_a_drift_that_the_fit_levels_out_is_a_surprise_without_a_backtest():
    """Weeks that fall by a hundredth each: on average explained, and the next one is not."""
    _, expected = world(0, 9)
    drift = 1 + 0.01 * np.arange(-4, 5)[:, None, None]
    errors = errors_of(RIDES, (expected * drift, expected), None)
    # Against the four weeks before it, a week is off by 1 to 2.5 hundredths.
    assert np.abs(errors.weeks).max() == pytest.approx(0.025, rel=0.01)
    assert (errors.weeks < 0).all()


def test_chance_has_mean_zero_and_rows_err_together():
    actual, expected = world(3, 12, market=0.2, region=0.01)
    errors = errors_of(RIDES, (actual, expected), (actual, expected))
    draws = drawn(Chance({"rides": errors}, 12), expected[0], count=4000) - expected[0]
    weeks = draws.sum(-1) / expected[0].sum(-1)
    assert np.abs(weeks.mean(0)).max() < 0.02
    assert np.corrcoef(weeks.T)[0, 1] > 0.9


def test_noise_that_is_larger_out_of_sample_is_drawn_larger():
    quiet, expected = world(1, 12, hourly=1.0)
    loud, _ = world(2, 6, hourly=2.0)
    errors = errors_of(RIDES, (quiet, expected), (loud, expected[:6]))
    few = np.sqrt(13 / 11)
    assert errors.inflation == pytest.approx(2.0 * few, rel=0.1)
    # Less than in sample is luck: nothing is drawn smaller.
    found = errors_of(RIDES, (loud, expected[:6]), (quiet, expected)).inflation
    assert found == pytest.approx(np.sqrt(7 / 5))


def test_values_of_either_sign_scatter_by_themselves():
    generator = np.random.default_rng(0)
    expected = np.broadcast_to(np.linspace(-10, 10, HOURS), (5, 2, HOURS)).copy()
    actual = expected + generator.standard_normal(expected.shape)
    errors = errors_of(PROFIT, (actual, expected), None)
    assert errors.power == 0.0
    added = [
        Chance({"profit": errors}, 0).added("profit", expected[0], d)
        for d in Chance({"profit": errors}, 0).draws(50, 0)
    ]
    assert np.std(added) == pytest.approx(np.sqrt(6 / 4), rel=0.1)


def test_a_new_region_errs_like_another_and_what_nobody_observed_does_not_err():
    actual, expected = world(4, 6)
    actual[:, 2] = np.nan
    errors = errors_of(RIDES, (actual, expected), (actual, expected))
    np.testing.assert_array_equal(errors.noise[:, 2], errors.noise[:, 3])
    np.testing.assert_array_equal(errors.weeks[:, 2], errors.weeks[:, 3])
    assert errors_of(RIDES, (actual * np.nan, expected), None) is None
    level = np.ones((ROWS, HOURS))
    draw = Chance({"rides": errors}, 6).draws(1, 0)[0]
    assert not Chance({}, 0).added("latent", level, draw).any()


def test_a_horizon_shorter_than_a_week_takes_the_first_hours():
    errors = ErrorHistory(np.zeros((1, 1)), np.arange(6.0).reshape(1, 1, 6), 0.0, 1.0)
    chance = Chance({"rides": errors}, 1)
    found = chance.added("rides", np.ones((1, 3)), chance.draws(1, 0)[0])
    np.testing.assert_array_equal(found, [[0.0, 1.0, 2.0]])
