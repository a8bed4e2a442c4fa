"""Benchmarks repeat what was observed."""

import math

import numpy as np
import pandas as pd
import pytest
from hourly_series import HOURS, series

from dagcast_core.evaluate import hour_of_week_mean, seasonal_naive


def test_seasonal_naive_repeats_the_last_season():
    """Also past one season ahead, and through missing cells."""
    history = series([1.0, 2, 3, 4, 5, math.nan])
    ahead = pd.date_range(HOURS[6], periods=5, freq="h")
    assert seasonal_naive(history, ahead, season=3).tolist() == [[4.0, 5.0, 3.0, 4.0, 5.0]]


def test_hour_of_week_mean_averages_what_was_observed():
    """A missing cell counts in neither sum nor number."""
    history = series([1.0, 2, 3, 4, math.nan, 6])
    ahead = pd.date_range(HOURS[6], periods=3, freq="h")
    found = hour_of_week_mean(history, ahead, seasons=2, season=3)
    assert found.tolist() == [[2.5, 2.0, 4.5]]


def test_benchmarks_refuse_a_horizon_that_does_not_follow():
    """A gap would shift the season."""
    with pytest.raises(ValueError, match="so it should start at"):
        seasonal_naive(series(np.arange(6.0)), HOURS[10:12], season=3)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_absent_label_counts_as_a_missing_cell(place):
    """Later hours do not move up into its place."""
    kept = [i for i in range(9) if i != place]
    gapped = series(np.arange(9.0)[kept] % 3, HOURS[kept])
    if place == 8:
        ahead = pd.date_range(HOURS[8], periods=3, freq="h")
        assert seasonal_naive(gapped, ahead, season=3).tolist() == [[2.0, 0.0, 1.0]]
        return
    ahead = pd.date_range(HOURS[9], periods=3, freq="h")
    assert hour_of_week_mean(gapped, ahead, seasons=2, season=3).tolist() == [[0.0, 1.0, 2.0]]
    assert seasonal_naive(gapped, ahead, season=3).tolist() == [[0.0, 1.0, 2.0]]


@pytest.mark.parametrize(("season", "seasons"), [(0, 1), (-1, 1), (3, 0), (3, -2)])
def test_benchmarks_refuse_no_season(season, seasons):
    ahead = pd.date_range(HOURS[9], periods=3, freq="h")
    with pytest.raises(ValueError, match="whole number of at least 1"):
        hour_of_week_mean(series(np.arange(9.0)), ahead, seasons=seasons, season=season)
