"""Calendar features from instants."""

import numpy as np
import pandas as pd
import pytest
from tensor_cases import along

from dagcast_core.tensor import AlignmentError, hour_of_week, local_time


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles"])
@pytest.mark.parametrize(("day", "length"), [("2024-03-10", 23), ("2024-11-03", 25)])
def test_a_day_on_which_clocks_change_keeps_every_hour(zone, day, length):
    start = pd.Timestamp(day, tz=zone).tz_convert("UTC")
    instants = pd.date_range(start, periods=72, freq="h")
    a = along(instants, np.ones(72), "hour")
    by_day = a.resample(hour="D", zone=zone).sum()
    assert by_day.tolist()[0] == length
    assert by_day.sum().item() == 72
    assert by_day.index("hour")[1] == pd.Timestamp(day, tz=zone) + pd.Timedelta(length, "h")
    assert str(by_day.index("hour").tz) == "UTC"
    local = local_time(instants, {"here": zone}, lambda t: t.hour, dims=("region", "hour"))
    on_the_day = local.isel(hour=slice(0, length)).tolist()[0]
    expected = list(range(24))
    if length == 23:
        expected.remove(2)
    else:
        expected.insert(1, 1)
    assert on_the_day == expected
    week = hour_of_week(instants, {"here": zone}, dims=("region", "hour")).tolist()[0]
    assert week[0] == 6 * 24
    assert week[length] == 0


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC", "Australia/Lord_Howe"])
@pytest.mark.parametrize("rule", ["2h", "6h", "8h", "12h", "D"])
@pytest.mark.parametrize("day", ["2024-03-10", "2024-07-01", "2024-11-03"])
def test_parts_of_a_day_begin_by_the_clock_of_the_zone(zone, rule, day):
    start = pd.Timestamp(day, tz=zone).tz_convert("UTC")
    instants = pd.date_range(start, periods=72 * 2, freq="30min")
    found = along(instants, np.ones(len(instants)), "hour").resample(hour=rule, zone=zone).sum()
    begun = found.index("hour").tz_convert(zone)
    assert found.sum().item() == len(instants)
    length = 24 if rule == "D" else int(rule[:-1])
    # Clocks that are put forward skip the hour in which a period would begin.
    off = (begun.hour % length != 0) | (begun.minute != 0)
    assert off.sum() <= (zone == "America/New_York" and day == "2024-03-10" and length == 2)
    assert begun[0] == pd.Timestamp(day, tz=zone)


def test_hour_that_the_clock_shows_twice_is_two_hours():
    instants = pd.date_range("2024-11-03T05:00Z", periods=4, freq="h")
    found = along(instants, np.ones(4), "hour").resample(hour="1h", zone="America/New_York").sum()
    assert found.tolist() == [1.0] * 4
    assert list(found.index("hour")) == list(instants)


def test_slice_of_times_out_of_order_is_refused():
    hours = pd.date_range("2025-01-06", periods=6, freq="h", tz="UTC")
    a = along(hours[[5, 3, 4, 1, 2, 0]], np.arange(6.0), "hour")
    for ends in (slice(hours[1], hours[4]), slice(None, hours[4]), slice(hours[1], None)):
        with pytest.raises(AlignmentError, match="sort_labels"):
            a.sel(hour=ends)
    assert a.sel(hour=slice(None)).sizes["hour"] == 6
    assert list(a.sort_labels().sel(hour=slice(hours[1], hours[4])).index("hour")) == list(
        hours[1:5]
    )


def test_slice_whose_ends_stand_the_other_way_round_is_refused():
    a = along(["SFO", "LAX", "OAK"], np.arange(3.0), "region")
    assert a.sel(region=slice("LAX", "OAK")).tolist() == [1.0, 2.0]
    with pytest.raises(AlignmentError, match="'OAK' stands behind 'LAX'"):
        a.sel(region=slice("OAK", "LAX"))
