"""A marketplace's event files, end to end into its metrics."""

import json

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import DataError, MetricStore, SourceError

NAN = float("nan")
WINDOW = {"start": "2026-01-12T00:00Z", "end": "2026-01-12T03:00Z"}
LATER = "2026-02-01"


@pytest.fixture
def store(tmp_path) -> MetricStore:
    return MetricStore(tmp_path / "store")


def read(store, name, as_of=LATER, **window):
    return store.read([name], **{**WINDOW, **window}, as_of=as_of)[name].tensor.numpy()


def test_every_metric_of_the_marketplace(store, ingest_folder, events):
    ingest_folder(store.folder, events)
    assert store.labels() == {"incentive": ("boost", "streak"), "region": ("LAX", "NEW", "NYC")}
    # Rows are LAX, NEW (missing before it opens) and NYC.
    expected = {
        "sessions": [[1, 0, 1, 0], [NAN, NAN, 1, 0], [2, 1, 0, 1]],
        "rides": [[0, 0, 1, 0], [NAN, NAN, 0, 0], [1, 1, 0, 0]],
        "eta": [[8, NAN, 3, NAN], [NAN, NAN, 9, NAN], [5, 5, NAN, 3]],
        "prime_time": [[0, NAN, 0.25, NAN], [NAN, NAN, 0, NAN], [0.25, 0, NAN, 0]],
        "revenue": [[0, 0, 8, 0], [NAN, NAN, 0, 0], [20, 10, 0, 0]],
        "driver_pay": [[0, 0, 5, 0], [NAN, NAN, 0, 0], [12, 6, 0, 0]],
        "coupon_spend": [[0, 0, 0, 0], [NAN, NAN, 0, 0], [0, 3, 0, 0]],
        "base_fare": [[15, 16, 17, 18]] * 3,
        "temperature": [[12] * 4] * 3,
        "precipitation": [[1.5] * 4] * 3,
        "holiday": [[0] * 4] * 3,
        "hour_of_week": [[163, 164, 165, 166]] * 3,
        "profit": [[0, -4, 3, 0], [NAN, NAN, 0, 0], [0.5, 1, 0, 0]],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(read(store, name), values, err_msg=name)
    # No driver of LAX or NYC was online in hour 3: an hour without any shift is a gap. In hour 2
    # LAX had a ride, so a driver was there, and the shift is what is missing.
    np.testing.assert_array_equal(
        read(store, "driver_hours"),
        [[0, 1, NAN, NAN], [NAN, NAN, 0.5, NAN], [0.5, 1, 0.25, NAN]],
    )
    np.testing.assert_array_equal(
        read(store, "incentive_spend"),
        [
            [[0, 0, 0, 0], [NAN, NAN, 0, 0], [7.5, 0, 0, 0]],
            [[0, 4, 0, 0], [NAN, NAN, 0, 0], [0, 0, 0, 0]],
        ],
    )
    assert read(store, "hour_of_week").dtype == np.int64


def test_reports_say_what_was_kept_out(store, ingest_folder, events):
    reports = {report.table: report for report in ingest_folder(store.folder, events)}
    sessions = reports["sessions"]
    assert (sessions.read, sessions.accepted, sessions.duplicates, sessions.late) == (12, 7, 1, 1)
    assert sessions.quarantined == {
        "completed without a request": 1,
        "eta_min below 0": 1,
        "paid without a ride": 1,
        "unknown region": 1,
    }
    early = {"before the region opened": 1}
    assert reports["shifts"].quarantined == {**early, "off_at before on_at": 1}
    assert reports["spend"].quarantined == early
    assert (reports["spend"].accepted, reports["spend"].late) == (3, 1)
    assert list(reports) == [
        "sessions", "shifts", "spend", "coupons", "fares", "weather", "calendar",
    ]  # fmt: skip
    assert len(store.quarantine("sessions")) == 5
    assert all(report.unchanged for report in ingest_folder(store.folder, events))


def test_as_of_reads_see_what_was_known(store, ingest_folder, events):
    ingest_folder(store.folder, events)
    noon = "2026-01-12T04:00Z"
    assert read(store, "sessions", as_of=noon)[0, 2] == 0  # late row of LAX
    assert read(store, "incentive_spend", as_of=noon)[0, 2, 0] == 10.0  # before its correction
    # The week ahead: forecast, calendar, fares; never sessions.
    ahead = {"start": "2026-01-12T04:00Z", "end": "2026-01-12T05:00Z"}
    np.testing.assert_array_equal(read(store, "temperature", noon, **ahead), [[10, 10]] * 3)
    np.testing.assert_array_equal(read(store, "hour_of_week", noon, **ahead), [[167, 0]] * 3)
    assert np.isnan(read(store, "sessions", noon, **ahead)).all()
    assert np.isnan(read(store, "incentive_spend", noon, **ahead)).all()
    # Before its observation an hour has its forecast.
    assert read(store, "temperature", as_of="2026-01-12T01:00Z")[0].tolist() == [12, 10, 10, 10]


def test_a_later_folder_adds_to_the_store(store, ingest_folder, events, frames):
    ingest_folder(store.folder, events)
    before = read(store, "sessions", as_of="2026-01-12T04:00Z")
    week = events / "week2"
    week.mkdir()
    again = frames["sessions"].head(2)
    new = again.assign(
        session_id=[21, 22], opened_at=again["opened_at"] + pd.Timedelta(hours=4),
        known_at=again["known_at"] + pd.Timedelta(hours=4),
    )  # fmt: skip
    pd.concat([again, new]).to_csv(week / "sessions.csv", index=False)
    (report,) = ingest_folder(store.folder, week)
    assert (report.accepted, report.duplicates) == (2, 2)
    ahead = {"start": "2026-01-12T04:00Z", "end": "2026-01-12T04:00Z"}
    np.testing.assert_array_equal(read(store, "sessions", **ahead), [[0], [0], [2]])
    # What an old moment saw stays what it saw.
    after = read(store, "sessions", as_of="2026-01-12T04:00Z")
    np.testing.assert_array_equal(after, before)


def test_a_wrong_file_in_the_last_place_keeps_all_out(store, ingest_folder, events):
    (events / "calendar.parquet").write_text("no calendar")
    with pytest.raises(SourceError, match=r"cannot ingest calendar\.parquet as 'calendar'"):
        ingest_folder(store.folder, events)
    assert not store.folder.exists()


def test_any_table_will_do(store, ingest_folder, events):
    for name in ("spend", "coupons", "fares", "weather", "calendar", "shifts"):
        (events / f"{name}.parquet").unlink()
    (report,) = ingest_folder(store.folder, events)
    assert report.table == "sessions"
    assert "profit" not in store.metrics()
    (events / "sessions.parquet").rename(events / "visits.parquet")
    with pytest.raises(SourceError) as caught:
        ingest_folder(store.folder, events)
    # Every table that an installed package declares is named, with its columns.
    assert "shifts.parquet or .csv (shift_id, driver_id, region, on_at" in str(caught.value)
    assert "spend.parquet or .csv (region, hour, known_at, incentive, usd)" in str(caught.value)


def test_weather_alone_is_a_store(store, ingest_folder, events):
    for path in events.glob("*.parquet"):
        if path.stem != "weather":
            path.unlink()
    (report,) = ingest_folder(store.folder, events)
    assert report.table == "weather"
    assert read(store, "temperature")[0].tolist() == [12] * 4


def test_without_regions_every_region_is_accepted(store, ingest_folder, events):
    (events / "regions.json").unlink()
    report = ingest_folder(store.folder, events)[0]
    assert "unknown region" not in report.quarantined
    assert "XXX" in store.labels()["region"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("{", "content that is not JSON"),
        ("[]", "list without entries"),
        ('[{"region": "NYC"}]', "found {'region': 'NYC'}"),
        (lambda r: [*r, r[0]], "'NYC' twice"),
        (lambda r: [{**r[0], "neighbours": ["SFO"]}], "'SFO' beside 'NYC'"),
        (lambda r: [{**r[0], "neighbours": [], "zone": "Gotham"}], "no such zone"),
        (lambda r: [{**r[0], "neighbours": [], "opened_on": "soon"}], "'opened_on': 'soon'"),
    ],
)
def test_wrong_regions_are_refused_before_anything_is_read(
    store, ingest_folder, events, change, found
):
    path = events / "regions.json"
    entries = json.loads(path.read_text())
    path.write_text(change if isinstance(change, str) else json.dumps(change(entries)))
    with pytest.raises(DataError) as caught:
        ingest_folder(store.folder, events)
    assert found in str(caught.value)
    assert not store.folder.exists()
