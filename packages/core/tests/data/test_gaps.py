"""Holes: a label that falls silent, and tables that contradict each other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import Coverage, EventTable, Hole, Implied, Ingestion, IngestReport

MIDNIGHT = pd.Timestamp("2025-01-06", tz="UTC").as_unit("us")
DAYS = 21


@pytest.fixture
def tables(rides_table, shifts_table) -> tuple[EventTable, EventTable]:
    rides = replace(rides_table, key=(), checks=())
    return rides, replace(shifts_table, implied_by=(Implied("rides"),))


def rides(make_rides, regions=("OAK", "SFO"), *, night: bool = False) -> pd.DataFrame:
    rows = [
        (n, region, 60 * hour + 7, 20, 1.0, 1.0)
        for n, (region, hour) in enumerate((r, h) for r in regions for h in range(24 * DAYS))
        if not night or 6 <= hour % 24 < 20
    ]
    return make_rides(*rows)


def shifts(regions=("OAK", "SFO")) -> pd.DataFrame:
    rows = [
        (region, MIDNIGHT + pd.Timedelta(hours=hour)) for region in regions
        for hour in range(24 * DAYS)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["region", "on_at"])
    frame["off_at"] = frame["on_at"] + pd.Timedelta(minutes=30)
    return frame.assign(known_at=frame["off_at"])


def without(frame: pd.DataFrame, time: str, region: str, first: int, hours: int) -> pd.DataFrame:
    start = MIDNIGHT + pd.Timedelta(hours=first)
    inside = frame[time].between(start, start + pd.Timedelta(hours=hours), inclusive="left")
    return frame[~(inside & (frame["region"] == region))]


def driver_hours(store, first: int, hours: int) -> np.ndarray:
    start = MIDNIGHT + pd.Timedelta(hours=first)
    end = start + pd.Timedelta(hours=hours - 1)
    panel = store.read(["driver_hours"], start=start, end=end, as_of="2026-01-01")
    return panel["driver_hours"].tensor.numpy()


@pytest.mark.parametrize(("first", "hours"), [(240, 24), (100, 30), (300, 9)])
@pytest.mark.parametrize("then", ["missing", "finding"])
def test_rides_without_a_driver_hour_are_a_finding(store, tables, make_rides, first, hours, then):
    """375 shifts of one region were lost: its rides say that there were drivers."""
    ride_table, shift_table = tables
    shift_table = replace(shift_table, implied_by=(Implied("rides", then=then),))
    lost = without(shifts(), "on_at", "OAK", first, hours)
    reports = store.ingest_all(
        [Ingestion(shift_table, lost), Ingestion(ride_table, rides(make_rides))]
    )
    start, end = (MIDNIGHT + pd.Timedelta(hours=h) for h in (first, first + hours - 1))
    (hole,) = [hole for hole in reports[0].holes if "something happened" in hole.why]
    assert hole == Hole(
        "shifts", {"region": "OAK"}, f"{start:%Y-%m-%dT%H:%MZ}", f"{end:%Y-%m-%dT%H:%MZ}", hours,
        "rides says that something happened (n)",
    )  # fmt: skip
    assert str(hole).startswith(
        f"shifts has no rows for OAK in {hours} hours from {start:%Y-%m-%d}"
    )
    oak, sfo = driver_hours(store, first, hours)
    expected = np.nan if then == "missing" else 0.0
    np.testing.assert_equal(oak, np.full(hours, expected))
    np.testing.assert_equal(sfo, np.full(hours, 0.5))
    assert IngestReport.from_json(reports[0].to_json()) == reports[0]
    assert reports[0] in store.reports()


@pytest.mark.parametrize("order", ["rides first", "shifts first"])
def test_the_finding_does_not_depend_on_the_order(store, tables, make_rides, order):
    ride_table, shift_table = tables
    items = [
        Ingestion(ride_table, rides(make_rides)),
        Ingestion(shift_table, without(shifts(), "on_at", "OAK", 240, 24)),
    ]
    found = []
    for item in items if order == "rides first" else items[::-1]:
        found += store.ingest_all([item])[0].holes
    assert [hole.hours for hole in found if "something happened" in hole.why] == [24]
    np.testing.assert_equal(driver_hours(store, 240, 24)[0], np.full(24, np.nan))


def test_a_late_delivery_fills_the_hole(store, tables, make_rides):
    ride_table, shift_table = tables
    lost = without(shifts(), "on_at", "OAK", 240, 24)
    store.ingest_all([Ingestion(ride_table, rides(make_rides)), Ingestion(shift_table, lost)])
    rest = shifts().drop(lost.index)
    (report,) = store.ingest_all([Ingestion(shift_table, rest)])
    assert report.holes == ()
    np.testing.assert_equal(driver_hours(store, 240, 24), np.full((2, 24), 0.5))


def test_where_nothing_happened_a_zero_stays(store, tables, make_rides):
    ride_table, shift_table = tables
    rest = without(rides(make_rides), "at", "OAK", 240, 24)
    lost = without(shifts(), "on_at", "OAK", 240, 24)
    store.ingest_all([Ingestion(ride_table, rest), Ingestion(shift_table, lost)])
    np.testing.assert_equal(driver_hours(store, 240, 24)[0], np.zeros(24))
    # A component of the other table may be what counts.
    only = replace(shift_table, name="free", metrics=(), implied_by=(Implied("rides", "fare"),))
    (report,) = store.ingest_all([Ingestion(only, lost)])
    assert [hole for hole in report.holes if "something happened" in hole.why] == []


@pytest.mark.parametrize(
    ("night", "first", "hours", "found"),
    [
        (False, 240, 24, True),
        (False, 250, 8, True),
        (False, 24 * DAYS - 24, 24, True),  # it stops
        (False, 250, 2, False),
        (True, 240, 48, True),
        (True, 260, 10, False),  # the night is always silent
    ],
)
def test_a_label_that_falls_silent_is_a_finding(
    store, tables, make_rides, night, first, hours, found
):
    frame = without(rides(make_rides, night=night), "at", "OAK", first, hours)
    (report,) = store.ingest_all([Ingestion(tables[0], frame)])
    holes = [hole for hole in report.holes if hole.labels == {"region": "OAK"}]
    assert [hole for hole in report.holes if hole not in holes] == []
    assert bool(holes) == found
    if found and not night:
        assert [hole.hours for hole in holes] == [hours]


@pytest.mark.parametrize("seed", [100, 101, 102])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_labels_with_few_rows_have_no_holes(store, tables, make_rides, seed, share):
    frame = rides(make_rides, regions=("A", "B", "C", "D"))
    kept = np.random.default_rng(seed).random(len(frame)) < share
    (report,) = store.ingest_all([Ingestion(tables[0], frame[kept])])
    assert report.holes == ()


def test_a_new_day_is_judged_by_the_weeks_before(store, tables, make_rides):
    frame = rides(make_rides)
    last = MIDNIGHT + pd.Timedelta(days=DAYS - 1)
    (report,) = store.ingest_all([Ingestion(tables[0], frame[frame["at"] < last])])
    assert report.holes == ()
    day = frame[(frame["at"] >= last) & (frame["region"] == "SFO")]
    items = [Ingestion(tables[0], day, labels={"region": ["OAK", "SFO"]})]
    (report,) = store.ingest_all(items)
    assert [(hole.labels["region"], hole.hours) for hole in report.holes] == [("OAK", 24)]


def test_rows_outside_what_a_source_covers_are_no_fault(store, tables, make_rides):
    frame = rides(make_rides)
    opened = f"{MIDNIGHT + pd.Timedelta(days=5):%Y-%m-%dT%H:%MZ}"
    stated = Coverage(opened, opened, {"region": ("OAK",)})
    (report,) = store.ingest_all([Ingestion(tables[0], frame, coverage=stated)])
    assert report.holes == ()
