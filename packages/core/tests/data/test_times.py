"""Local times to instants, and calendars: against pandas and the zone database."""

from dataclasses import replace

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
    public_holiday,
    us_federal_holiday,
    zone_country,
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


TIPS = EventTable(
    name="tips",
    columns=(
        Column("id", "integer"),
        Column("city", "text"),
        Column("at", "instant"),
        Column("usd", "number"),
    ),
    time="at",
    dims={"region": "city"},
    zone="America/New_York",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("tips", "usd", "USD/h"),),
)


WRITTEN = [
    # The cases, and more of their kinds.
    ("2025-01-15 08:00:00", "2025-01-15T13:00Z"),
    ("2025-01-15 08:00:00 UTC", "2025-01-15T08:00Z"),
    ("2025-01-15 08:00:00 GMT", "2025-01-15T08:00Z"),
    ("2025-01-15 08:00:00 America/Los_Angeles", "2025-01-15T16:00Z"),
    ("2025-01-15 08:00 PM", "2025-01-16T01:00Z"),
    ("2025-01-15 08:00:00 foo", None),
    ("infinity", None),
    # Zones by name, in brackets, by offset, and both.
    ("2025-01-15T08:00:00utc", "2025-01-15T08:00Z"),
    ("2025-01-15T08:00:00 Z", "2025-01-15T08:00Z"),
    ("2025-01-15 08:00 UTC+2", "2025-01-15T06:00Z"),
    ("2025-01-15 08:00 GMT-03:00", "2025-01-15T11:00Z"),
    ("2025-07-15 08:00 America/Los_Angeles", "2025-07-15T15:00Z"),
    ("2025-01-15T08:00-05:00[America/New_York]", "2025-01-15T13:00Z"),
    ("2025-01-15T08:00[Asia/Tokyo]", "2025-01-14T23:00Z"),
    ("2025-01-15T08:00-07:00[America/New_York]", None),
    ("2025-01-15 08:00 America/Gotham", None),
    ("2025-01-15 08:00:00+05", "2025-01-15T03:00Z"),
    ("2025-01-15 08:00:00 -0500", "2025-01-15T13:00Z"),
    # No clock is a day ahead of another.
    ("2025-01-15 08:00:00+25:00", None),
    ("2025-01-15 08:00:00-1600", None),
    ("2025-01-15 08:00:00+05:75", None),
    ("2025-01-15 08:00 UTC+25", None),
    # Abbreviations: those of the table's zone, those that mean one thing, and the others.
    ("2025-01-15 08:00 EST", "2025-01-15T13:00Z"),
    ("2025-07-15 08:00 EST", "2025-07-15T13:00Z"),
    ("2025-07-15 08:00 EDT", "2025-07-15T12:00Z"),
    ("2025-01-15 08:00 CET", "2025-01-15T07:00Z"),
    ("2025-01-15 08:00 JST", "2025-01-14T23:00Z"),
    ("2025-01-15 08:00 CST", None),
    ("2025-01-15 08:00 IST", None),
    ("2025-01-15 08:00-05:00 EST", "2025-01-15T13:00Z"),
    ("2025-01-15 08:00-04:00 EST", None),
    # Halves of the day.
    ("2025-01-15 08:00 am", "2025-01-15T13:00Z"),
    ("2025-01-15 12:00 AM", "2025-01-15T05:00Z"),
    ("2025-01-15 12:30:05 p.m.", "2025-01-15T17:00Z"),
    ("2025-01-15 08:00PM UTC", "2025-01-15T20:00Z"),
    ("2025-01-15 13:00 PM", None),
    ("2025-01-15 00:30 AM", None),
    ("2025-01-15 08:00 XM", None),
    # ISO in its other forms, and what only looks like it.
    ("2025-01-15", "2025-01-15T05:00Z"),
    ("2025/01/15 08:00", "2025-01-15T13:00Z"),
    ("2025-1-5 8:00", "2025-01-05T13:00Z"),
    ("20250115T0800Z", "2025-01-15T08:00Z"),
    ("2025-01-15 08:00:00,5", "2025-01-15T13:00Z"),
    ("2025-01-15 24:00", "2025-01-16T05:00Z"),
    ("2025-01/15 08:00", None),
    ("2025-02-30 08:00", None),
    ("2025-01-15 25:00", None),
    ("2025-01-15 08:00:61", None),
    ("2025-01-15 08:00 tomorrow", None),
    ("2025-01-15 08:00; DROP", None),
    ("05/01/2026 08:00", None),
    ("15.01.2025 08:00", None),
    ("1736928000", None),
    ("now", None),
    ("today", None),
    ("epoch", None),
    ("-infinity", None),
    ("0001/01/01 00:00+05:00", None),
    ("٢٠٢٥-01-15 08:00", None),
]

IN_ZONES = [
    ("America/Chicago", "2025-01-15 08:00 CST", "2025-01-15T14:00Z"),
    ("Asia/Shanghai", "2025-01-15 08:00 CST", "2025-01-15T00:00Z"),
    ("Asia/Kolkata", "2025-01-15 08:30 IST", "2025-01-15T03:00Z"),
    ("Europe/London", "2025-07-15 08:00 BST", "2025-07-15T07:00Z"),
    ("UTC", "2025-07-15 08:00 BST", None),
    ("America/New_York", "2025-01-15 08:00 PST", None),
    ("America/Los_Angeles", "2025-01-15 08:00 PST", "2025-01-15T16:00Z"),
]

IN_FORMATS = [
    ("epoch s", 1736928000, "2025-01-15T08:00Z"),
    ("epoch s", "1736928000", "2025-01-15T08:00Z"),
    ("epoch s", 1736928000.9, "2025-01-15T08:00Z"),
    ("epoch ms", 1736928000123, "2025-01-15T08:00Z"),
    ("epoch us", "1736928000123456", "2025-01-15T08:00Z"),
    ("epoch s", 1736928000123, None),
    ("epoch ms", 1736928000, None),
    ("epoch s", "soon", None),
    ("%d/%m/%Y %H:%M", "05/01/2026 08:00", "2026-01-05T13:00Z"),
    ("%m/%d/%Y %I:%M %p", "05/01/2026 08:00 PM", "2026-05-02T00:00Z"),
    ("%d.%m.%Y %H:%M %z", "05.01.2026 08:00 +0100", "2026-01-05T07:00Z"),
    ("%d/%m/%Y %H:%M", "2026-01-05 08:00", None),
    ("%d/%m/%Y %H:%M", "05/13/2026 08:00", None),
]


def hours_read(folder, written, *, zone="America/New_York", form=None) -> list[pd.Timestamp | None]:
    """The hour that each written time falls in; None where it is set aside as no time."""
    columns = tuple(replace(c, format=form) if c.name == "at" else c for c in TIPS.columns)
    table = replace(TIPS, zone=zone, columns=columns)
    names = [f"r{place:03d}" for place in range(len(written))]
    frame = pd.DataFrame({"id": 1, "city": names, "at": written, "usd": 1.0})
    store = MetricStore(folder)
    report = store.ingest(table, frame)
    assert report.read == len(written)
    assert set(report.quarantined) <= {"at is not a time"}
    held = store.labels()["region"]
    span = store.spans()["tips"]
    panel = store.read(["tips"], start=span.start, end=span.end, as_of="2100-01-01", cache=False)
    hours, cube = panel["tips"].indexes["hour"], panel["tips"].tensor.numpy()
    return [
        hours[np.flatnonzero(cube[held.index(name)] == 1)[0]] if name in held else None
        for name in names
    ]


def moments(cases) -> list[pd.Timestamp | None]:
    return [None if right is None else pd.Timestamp(right) for *_, right in cases]


def test_a_time_is_understood_wholly_or_set_aside(tmp_path):
    found = hours_read(tmp_path, [written for written, _ in WRITTEN])
    expected = moments(WRITTEN)
    wrong = {w: got for (w, _), got, r in zip(WRITTEN, found, expected, strict=True) if got != r}
    assert wrong == {}


def test_an_abbreviation_is_what_the_zone_of_the_table_calls_it(tmp_path):
    for zone in {zone for zone, *_ in IN_ZONES}:
        cases = [("UTC", "2025-01-15 08:00 UTC", "2025-01-15T08:00Z")]
        cases += [case for case in IN_ZONES if case[0] == zone]
        found = hours_read(tmp_path / zone, [case[1] for case in cases], zone=zone)
        assert found == moments(cases), zone


def test_a_declared_format_is_read_and_nothing_else(tmp_path):
    for number, form in enumerate(sorted({form for form, *_ in IN_FORMATS})):
        cases = [case for case in IN_FORMATS if case[0] == form]
        written = [str(case[1]) for case in cases]
        found = hours_read(tmp_path / str(number), written, form=form)
        assert found == moments(cases), form


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("epoch s", [1736928000, 1736928000]),
        ("epoch s", [1736928000.9, 1736928000.2]),
        ("epoch ms", [1736928000123, 1736928000000]),
    ],
)
def test_numbers_are_epochs_where_declared(tmp_path, form, written):
    assert hours_read(tmp_path, written, form=form) == [pd.Timestamp("2025-01-15T08:00Z")] * 2


@pytest.mark.parametrize("form", ["epoch", "DD/MM/YYYY", ""])
def test_a_format_that_says_nothing_is_refused(form):
    with pytest.raises(DeclarationError, match="expected the format of an instant"):
        Column("at", "instant", format=form)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Paris", "Asia/Kolkata"])
def test_named_zones_agree_with_pandas(store, zone):
    walls = pd.date_range("2025-01-01 00:30", periods=800, freq="11h")
    expected = walls.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    expected = expected[expected.notna()].floor("h")
    written = [f"{wall:%Y-%m-%d %I:%M %p} {zone}" for wall in walls]
    frame = pd.DataFrame({"id": range(800), "city": "NYC", "at": written, "usd": 1.0})
    assert store.ingest(TIPS, frame).accepted == 800
    window = {"start": expected.min(), "end": expected.max(), "as_of": "2030-01-01"}
    panel = store.read(["tips"], **window)["tips"]
    found = pd.Series(panel.tensor[0].numpy(), panel.indexes["hour"]).dropna()
    assert set(expected) <= set(found.index)
    assert found.sum() >= len(expected)


def test_doubtful_times_in_words_are_counted_as_others_are(store):
    written = ["2025-11-02 01:30 AM", "2025-11-02 01:30", "2025-03-09 02:30 AM",
               "2025-11-02 01:30 UTC", "2025-11-02 01:30:00-04:00"]  # fmt: skip
    frame = pd.DataFrame({"id": range(5), "city": "NYC", "at": written, "usd": 1.0})
    report = store.ingest(TIPS, frame)
    assert (report.accepted, report.ambiguous, report.nonexistent) == (5, 2, 1)


@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_an_infinite_instant_of_a_database_is_set_aside(store, tmp_path, value):
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 1 AS id, 'NYC' AS city, TIMESTAMP '{value}' AS at, 1.0 AS usd UNION ALL "
            f"SELECT 2, 'NYC', TIMESTAMP '2025-01-15 08:00', 1.0) TO '{tmp_path}/tips.parquet'"
        )
    report = store.ingest(TIPS, tmp_path / "tips.parquet")
    assert (report.read, report.accepted) == (2, 1)
    assert report.quarantined == {"at is outside the years 1990-2099": 1}


def test_public_holidays_are_those_of_the_country_by_the_local_date():
    hours = pd.date_range("2015-01-01T04:00Z", periods=2, freq="h")
    assert public_holiday(hours, "America/New_York", "US").tolist() == [0.0, 1.0]
    assert public_holiday(hours[:0], "America/New_York", "US").tolist() == []
    # Cesar Chavez Day is kept in California.
    spring = pd.date_range("2015-03-31T12:00Z", periods=1, freq="h")
    assert public_holiday(spring, "America/Los_Angeles", "US").tolist() == [0.0]
    assert public_holiday(spring, "America/Los_Angeles", "US-CA").tolist() == [1.0]
    for country in ("XX", "US-XX"):
        with pytest.raises(DeclarationError, match="a code of ISO 3166"):
            public_holiday(spring, "America/Los_Angeles", country)


def test_a_zone_lies_in_a_country_or_in_none():
    zones = ("America/New_York", "Asia/Tokyo", "UTC", "Europe/London")
    assert [zone_country(zone) for zone in zones] == ["US", "JP", None, "GB"]
