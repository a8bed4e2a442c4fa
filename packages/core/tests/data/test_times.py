"""Local times to instants, and calendars: against pandas and the zone database."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagcast_core.data import (
    Column,
    DeclarationError,
    EventTable,
    MetricSpec,
    MetricStore,
    Sum,
    hour_of_week,
    local_to_utc,
    us_federal_holiday,
)

ZONES = ["America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
def test_plain_times_agree_with_pandas(zone):
    walls = pd.date_range("2014-12-31", "2016-01-02", freq="17min")
    expected = walls.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    found = local_to_utc(walls, zone)
    plain = expected.notna()
    assert found.instants[plain].equals(expected[plain].tz_convert("UTC").as_unit("us"))
    assert np.array_equal(found.ambiguous | found.nonexistent, ~plain)


@pytest.mark.parametrize("zone", ZONES)
def test_ambiguous_times_are_the_first_and_absent_ones_keep_the_old_offset(zone):
    walls = pd.date_range("2014-12-31", "2016-01-02", freq="17min")
    found = local_to_utc(walls, zone)
    first = np.ones(len(walls), dtype=bool)
    doubled = walls[found.ambiguous]
    if len(doubled):
        expected = doubled.tz_localize(zone, ambiguous=first[: len(doubled)]).tz_convert("UTC")
        assert found.instants[found.ambiguous].equals(expected.as_unit("us"))
    for wall, instant in zip(
        walls[found.nonexistent], found.instants[found.nonexistent], strict=True
    ):
        # As if the clock had not been put forward: a day earlier, plus a day.
        before = (wall - pd.Timedelta(days=1)).tz_localize(zone).tz_convert("UTC")
        assert instant == before + pd.Timedelta(days=1)


def test_the_night_clocks_change_in_new_york():
    walls = pd.DatetimeIndex(
        ["2015-03-08 01:59", "2015-03-08 02:00", "2015-03-08 03:00", "2015-11-01 01:30", None]
    )
    found = local_to_utc(walls, "America/New_York")
    assert found.instants.astype(str).tolist()[:4] == [
        "2015-03-08 06:59:00+00:00",
        "2015-03-08 07:00:00+00:00",
        "2015-03-08 07:00:00+00:00",
        "2015-11-01 05:30:00+00:00",
    ]
    assert found.instants.isna().tolist() == [False] * 4 + [True]
    assert found.nonexistent.tolist() == [False, True, False, False, False]
    assert found.ambiguous.tolist() == [False, False, False, True, False]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(ZONES),
    minutes=st.lists(st.integers(0, 400 * 1440), min_size=1, max_size=50, unique=True),
    as_text=st.booleans(),
)
def test_sql_reads_local_times_as_python_does(zone, minutes, as_text, tmp_path_factory):
    walls = pd.Timestamp("2015-01-01") + pd.to_timedelta(minutes, unit="min")
    table = EventTable(
        name="rows",
        columns=(Column("region", "text"), Column("at", "instant")),
        time="at",
        dims={"region": "region"},
        zone=zone,
        sums=(Sum("one", "1"),),
        metrics=(MetricSpec("rows", "n", "1/h"),),
    )
    frame = pd.DataFrame({"region": "x", "at": walls.astype(str) if as_text else walls})
    store = MetricStore(tmp_path_factory.mktemp("store"))
    report = store.ingest(table, frame)
    expected = local_to_utc(walls, zone)
    assert report.ambiguous == expected.ambiguous.sum()
    assert report.nonexistent == expected.nonexistent.sum()
    hours = expected.instants.floor("h")
    panel = store.read(["rows"], start=hours.min(), end=hours.max(), as_of="2030-01-01")
    counts = pd.Series(1, index=hours).groupby(level=0).sum()
    found = pd.Series(panel["rows"].tensor[0].numpy(), panel["rows"].indexes["hour"]).dropna()
    assert found.to_dict() == counts.to_dict()


def test_hour_of_week_skips_and_repeats_an_hour():
    spring = pd.date_range("2015-03-08T05:00Z", periods=4, freq="h")
    assert hour_of_week(spring, "America/New_York").tolist() == [144, 145, 147, 148]
    autumn = pd.date_range("2015-11-01T04:00Z", periods=4, freq="h")
    assert hour_of_week(autumn, "America/New_York").tolist() == [144, 145, 145, 146]
    monday = pd.DatetimeIndex(["2025-01-06T08:00Z", "2025-01-06T07:59Z"])
    assert hour_of_week(monday, "America/Los_Angeles").tolist() == [0, 167]


def test_holidays_go_by_the_local_date():
    # Independence Day 2015 was a Saturday: observed on Friday the 3rd, and only then.
    hours = pd.DatetimeIndex(["2015-07-03T03:59Z", "2015-07-03T04:00Z", "2015-07-04T12:00Z"])
    assert us_federal_holiday(hours, "America/New_York").tolist() == [0.0, 1.0, 0.0]
    assert us_federal_holiday(hours[:0], "America/New_York").tolist() == []


def test_times_without_or_with_a_zone_are_refused_where_wrong():
    naive = pd.date_range("2015-01-01", periods=2, freq="h")
    with pytest.raises(DeclarationError, match="expected instants with a zone; found naive times"):
        hour_of_week(naive, "UTC")
    with pytest.raises(DeclarationError, match="found times with zone UTC"):
        local_to_utc(naive.tz_localize("UTC"), "America/New_York")
    with pytest.raises(DeclarationError, match="no such zone"):
        local_to_utc(naive, "America/Gotham")
