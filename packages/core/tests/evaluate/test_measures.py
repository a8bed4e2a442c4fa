"""Error measures against closed forms and direct counts."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
import torch
from hourly_series import HOURS, series

from dagcast_core.evaluate import coverage, crps, mase, seasonal_scale, summarise
from dagcast_core.tensor import AlignmentError, IndexTensor


def test_mase_is_the_error_over_the_seasonal_error_of_the_training_part():
    """Against the definition, written out in plain Python."""
    rng = np.random.default_rng(0)
    train = rng.normal(size=20)
    ahead = pd.date_range(HOURS[20], periods=4, freq="h")
    truth, guess = rng.normal(size=4), rng.normal(size=4)
    scale = statistics.fmean(abs(train[i] - train[i - 3]) for i in range(3, 20))
    expected = statistics.fmean(abs(a - b) for a, b in zip(truth, guess, strict=True)) / scale
    found = mase(series(guess, ahead), series(truth, ahead), train=series(train), season=3)
    assert found.dims == ("region",)
    assert found.tolist() == pytest.approx([expected])


def test_mase_of_a_worse_forecast_is_larger():
    """The measure is fed a wrong answer once."""
    truth, train = series([1.0, 2, 3, 4]), series(np.arange(20) % 5)
    good = mase(series([1.0, 2, 3, 5]), truth, train=train, season=3)
    bad = mase(series([9.0, 9, 9, 9]), truth, train=train, season=3)
    assert bad.tolist()[0] > good.tolist()[0] > 0


def test_mase_refuses_other_hours():
    """A shorter window would flatter the model."""
    with pytest.raises(AlignmentError, match="labels differ along 'hour'"):
        mase(series([1.0, 2]), series([1.0, 2, 3]), train=series(np.arange(9.0)), season=2)


def test_mase_leaves_out_missing_cells():
    """NaN marks what was not observed; it neither counts nor spreads."""
    train = series(np.arange(10.0))
    found = mase(series([1.0, 5.0]), series([2.0, math.nan]), train=train, season=2)
    assert found.tolist() == pytest.approx([0.5])


def test_mase_refuses_a_forecast_with_holes():
    """A model may not skip the hours it finds hard."""
    with pytest.raises(ValueError, match="not finite"):
        mase(series([math.nan]), series([1.0]), train=series(np.arange(9.0)), season=2)


def test_scale_needs_more_than_a_season():
    """A shorter training part has no seasonal error."""
    with pytest.raises(ValueError, match="3 steps, a season has 3"):
        seasonal_scale(series([1.0, 2, 3]), season=3)


def test_summary_excludes_and_counts_zero_scales():
    """A constant series has no scale; it is left out of both summaries and counted."""
    errors = torch.tensor([[2.0, 4.0], [1.0, 1.0], [5.0, math.nan]])
    found = summarise(errors, torch.tensor([2.0, 0.0, 1.0]))
    assert (found.series, found.excluded) == (2, 1)
    assert found.ratio == pytest.approx((6 + 5) / (4 + 1))
    assert found.mean == pytest.approx((1.5 + 5) / 2)


def test_crps_of_a_normal_ensemble_agrees_with_its_closed_form():
    """Source of the closed form: Gneiting & Raftery (2007), doi:10.1198/016214506000001437."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(40_000, 1, generator=generator, dtype=torch.float64)
    value = 0.7
    density = math.exp(-(value**2) / 2) / math.sqrt(2 * math.pi)
    distribution = (1 + math.erf(value / math.sqrt(2))) / 2
    expected = value * (2 * distribution - 1) + 2 * density - 1 / math.sqrt(math.pi)
    samples = IndexTensor(draws, {"draw": range(40_000), "region": ["SFO"]}, "rides")
    actual = IndexTensor([value], {"region": ["SFO"]}, "rides")
    assert crps(samples, actual).tolist()[0] == pytest.approx(expected, abs=0.01)


def test_crps_agrees_with_the_sum_over_pairs():
    """The sorted form against the definition."""
    values = [0.3, -1.0, 2.5, 0.3]
    samples = IndexTensor([[v] for v in values], {"draw": range(4), "region": ["SFO"]}, "x")
    pairs = sum(abs(a - b) for a in values for b in values) / (2 * 4 * 3)
    expected = statistics.fmean(abs(v - 1.0) for v in values) - pairs
    actual = IndexTensor([1.0], {"region": ["SFO"]}, "x")
    assert crps(samples, actual).tolist() == pytest.approx([expected])


def test_coverage_counts_observed_cells():
    """Three observed cells, two of them inside."""
    low, high = series([0.0, 0, 0, 0]), series([1.0, 1, 1, 1])
    assert coverage(low, high, series([0.5, 1.0, 2.0, math.nan])) == pytest.approx(2 / 3)


DAY = pd.date_range("2025-01-06", periods=240, freq="h", tz="UTC")


def without(places, values, hours=DAY):
    """A series that lacks labels."""
    kept = [i for i in range(len(hours)) if i not in places]
    return series(np.asarray(values, dtype=float)[kept], hours[kept])


@pytest.mark.parametrize("places", [{50}, {0}, {50, 51, 52}, {17, 99, 230}, set(range(30, 60))])
def test_scale_pairs_cells_by_label_where_labels_are_absent(places):
    """A series that repeats every day has no seasonal error, whatever is missing of it."""
    gapped = without(places, np.arange(240) % 24)
    assert seasonal_scale(gapped, season=24).tolist() == [0.0]
    filled = np.where(np.isin(np.arange(240), list(places)), np.nan, np.arange(240.0) ** 1.5)
    assert seasonal_scale(without(places, np.arange(240.0) ** 1.5), season=24).tolist() == (
        pytest.approx(seasonal_scale(series(filled, DAY), season=24).tolist())
    )


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e9])
def test_scale_of_rounding_is_none(size):
    """A sine of one day repeats itself up to the last bits of its numbers."""
    wave = size * (np.sin(np.arange(240) / 24 * 2 * np.pi) * 1e3 + 0.1)
    assert seasonal_scale(series(wave, DAY), season=24).tolist() == [0.0]
    real = wave + size * 1e-3 * np.random.default_rng(0).normal(size=240)
    assert seasonal_scale(series(real, DAY), season=24).tolist()[0] > 0


@pytest.mark.parametrize("season", [0, -1, 1.5, True])
def test_season_is_a_number_of_steps(season):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        seasonal_scale(series(np.arange(9.0)), season=season)


def test_scale_refuses_labels_off_the_grid_and_out_of_order():
    hours = DAY[:9].append(DAY[9:10] + pd.Timedelta(minutes=30))
    with pytest.raises(ValueError, match="not a multiple of one step"):
        seasonal_scale(series(np.arange(10.0), hours), season=2)
    with pytest.raises(ValueError, match="sort_labels"):
        seasonal_scale(series(np.arange(9.0), DAY[:9][::-1]), season=2)
