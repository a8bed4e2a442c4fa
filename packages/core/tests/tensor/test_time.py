"""Calendar features from instants."""

import numpy as np
import pandas as pd
import pytest
from tensor_cases import along

from dagcast_core.tensor import hour_of_week, local_time


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
