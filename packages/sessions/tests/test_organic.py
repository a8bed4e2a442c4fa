"""The organic part against its closed form and noise-free history."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor, Panel, calendar_start, since_opening
from dagcast_sessions import OrganicSessions

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def model(hours: pd.DatetimeIndex) -> OrganicSessions:
    model = OrganicSessions(REGIONS)
    model.anchor.fill_((hours[-1] - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(hours=1))
    model.level.assign([1.0, 2.0, 3.0])
    return model


def test_rate_is_the_exponential_of_level_and_centred_profile(
    model: OrganicSessions, hour_of_week: IndexTensor, constant: Constant
) -> None:
    profile = 5.0 + np.sin(np.arange(168) * 2 * np.pi / 168)
    model.profile.assign(np.tile(profile, (3, 1)))
    out = model(
        hour_of_week=hour_of_week,
        holiday=constant("holiday", 0.0),
        local_event=constant("local_event", 0.0),
    )
    assert out.dims == ("region", "hour")
    cell = out.sel(region="LAX", hour=out.index("hour")[40]).item()
    how = hour_of_week.sel(region="LAX", hour=out.index("hour")[40]).item()
    assert cell == pytest.approx(math.exp(2.0 + math.sin(how * 2 * math.pi / 168)), rel=1e-12)


def test_holiday_moves_the_profile_to_the_same_hour_of_a_sunday(
    model: OrganicSessions, hour_of_week: IndexTensor, constant: Constant
) -> None:
    rng = np.random.default_rng(1)
    profile = rng.normal(size=168)
    profile -= profile.mean()
    model.profile.assign(np.tile(profile, (3, 1)))
    model.holiday_shift.assign(-0.2)
    model.holiday_sunday.assign(0.25)
    out = model(
        hour_of_week=hour_of_week,
        holiday=constant("holiday", 1.0),
        local_event=constant("local_event", 0.0),
    )
    tuesday_noon = 24 + 12
    position = int(torch.argmax((hour_of_week.sel(region="SFO").tensor == tuesday_noon).int()))
    mixed = 0.75 * profile[tuesday_noon] + 0.25 * profile[144 + 12]
    expected = math.exp(1.0 + mixed - 0.2)
    assert out.sel(region="SFO").tensor[position].item() == pytest.approx(expected, rel=1e-12)


def test_event_adds_its_share_of_a_typical_hour_whatever_the_hour(
    model: OrganicSessions, hour_of_week: IndexTensor, constant: Constant
) -> None:
    profile = np.random.default_rng(2).normal(size=168)
    model.profile.assign(np.tile(profile, (3, 1)))
    model.event.assign(0.3)
    holiday = constant("holiday", 0.0)
    some = model(hour_of_week, holiday, constant("local_event", 2.0))
    none = model(hour_of_week, holiday, constant("local_event", 0.0))
    added = (some - none).sel(region="CHI").tensor
    assert torch.allclose(added, torch.full_like(added, 0.6 * math.exp(3.0)), rtol=1e-10)


def test_trend_is_linear_in_the_past_and_runs_out_in_the_future(
    model: OrganicSessions, hours: pd.DatetimeIndex
) -> None:
    model.trend.assign(0.1)
    later = pd.date_range(hours[-1] - pd.Timedelta(weeks=2), periods=40 * 168, freq="h")
    how = IndexTensor(np.zeros((1, len(later)), dtype=np.int64), {"region": ["SFO"], "hour": later})
    log = model(how, how.double() * 0.0, how.double() * 0.0).log().tensor[0] - 1.0
    assert log[0].item() == pytest.approx(-0.2, abs=1e-12)
    assert log[2 * 168].item() == pytest.approx(0.0, abs=1e-12)
    assert log[3 * 168].item() == pytest.approx(0.2 * (1 - math.exp(-0.5)), abs=1e-12)
    assert log[-1].item() == pytest.approx(0.2, abs=1e-6)


def test_unseen_region_gets_the_pooled_level_and_profile(
    model: OrganicSessions, hours: pd.DatetimeIndex
) -> None:
    how = IndexTensor(np.zeros((1, 5), dtype=np.int64), {"region": ["NEW"], "hour": hours[-5:]})
    out = model(how, how.double() * 0.0, how.double() * 0.0)
    assert out.tensor[0, -1].item() == pytest.approx(math.exp(2.0), rel=1e-12)


def test_calendar_start_recovers_a_noise_free_history(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    weeks = (np.arange(len(hours)) - len(hours) + 1) / 168
    profile = 0.8 * np.sin(np.arange(168) * 2 * np.pi / 24)
    level, trend = np.array([3.0, 4.0, 5.0]), np.array([0.02, 0.0, -0.03])
    how = hour_of_week.numpy()
    rate = np.exp(level[:, None] + trend[:, None] * weeks + profile[how])
    observed = IndexTensor(rate, hour_of_week.indexes, "sessions")
    start = calendar_start(observed, hour_of_week, half_life=840.0)
    assert np.allclose(start.level, level, atol=0.02)
    assert np.allclose(start.trend, trend, atol=0.004)
    assert np.allclose(start.profile, profile, atol=0.03)


def test_calendar_start_skips_missing_cells_and_empty_regions(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    rate = np.full((3, len(hours)), 20.0)
    rate[0, ::7] = np.nan
    rate[1, :] = np.nan
    start = calendar_start(
        IndexTensor(rate, hour_of_week.indexes, "sessions"), hour_of_week, half_life=840.0
    )
    assert list(start.labels) == ["SFO", "CHI"]
    assert np.allclose(start.level, math.log(20.0), atol=0.02)


def test_warm_start_puts_the_anchor_at_the_end_of_the_history(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    model = OrganicSessions((*REGIONS, "SEA"))
    rate = IndexTensor(np.full((3, len(hours)), 20.0), hour_of_week.indexes, "sessions")
    model.warm_start(Panel({"sessions": rate, "hour_of_week": hour_of_week}))
    assert model.anchor.item() == (hours[-1] - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(hours=1)
    # A region without history starts at the mean over the others.
    assert model.level.value().sel(region="SEA").item() == pytest.approx(math.log(20), abs=0.02)


def test_history_begins_when_a_region_opens(hours: pd.DatetimeIndex) -> None:
    rate = np.full((3, len(hours)), 20.0)
    rate[0, : 20 * 24] = 0.0
    rate[1, 30 * 24 : 31 * 24] = 0.0
    rate[2, 10 * 24 : 20 * 24] = np.nan
    kept = since_opening(IndexTensor(rate, {"region": REGIONS, "hour": hours}, "sessions"))
    # One closed day is a storm, three are a closure; a gap in the records says nothing.
    for region in REGIONS[1:]:
        assert kept.sel(region=region).tensor.tolist() == [1.0] * len(hours)
    # The first hours after an opening count little, and in the end as much as any.
    opened = kept.sel(region="SFO").tensor
    assert opened[: 20 * 24].tolist() == [0.0] * 20 * 24
    assert opened[20 * 24 :].tolist() == pytest.approx(
        [1 - math.exp(-age / 500) for age in range(1, len(hours) - 20 * 24 + 1)]
    )
    # Hours before anything was observed are before the opening too.
    rate[0, : 20 * 24] = np.nan
    again = since_opening(IndexTensor(rate, {"region": REGIONS, "hour": hours}, "sessions"))
    assert again.sel(region="SFO").tensor.tolist() == pytest.approx(opened.tolist())


def test_growth_of_a_new_region_is_not_carried_on(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    """A region that opened four weeks ago and fills up to 20 within them goes on at 20."""
    rate = np.full((3, len(hours)), 20.0)
    age = np.arange(len(hours)) - (len(hours) - 4 * 168)
    rate[2] = np.where(age < 0, np.nan, 20 * (1 - 0.65 * np.exp(-np.maximum(age, 0) / 250)))
    observed = IndexTensor(rate, hour_of_week.indexes, "sessions")
    start = calendar_start(observed, hour_of_week, half_life=840.0)
    ahead = start.level + 0.8 * start.trend
    assert np.exp(ahead[2]) == pytest.approx(20, rel=0.06)
    assert np.exp(ahead[:2]) == pytest.approx(20, rel=0.01)


def test_a_late_region_starts_at_its_own_level(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    rate = np.full((3, len(hours)), 20.0)
    rate[2, : 6 * 168] = 0.3
    observed = IndexTensor(rate, hour_of_week.indexes, "sessions")
    start = calendar_start(observed, hour_of_week, half_life=840.0)
    assert np.allclose(start.level, math.log(20.0), atol=0.02)
    assert np.abs(start.trend).max() < 0.01
