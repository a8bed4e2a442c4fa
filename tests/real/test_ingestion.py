"""Real sources as declared, held against recounts and against what is known of them."""

import numpy as np
import pandas as pd
import pytest
from _declared import declared_clocks, ingest_declared, open_declared
from _published import congestion_effect, ebay_effect
from readers import read_ebay_paid_search, read_m4_hourly

from dagcast.project import open_project
from dagcast.workflow import data_diff, data_quality, ingest
from dagcast_core.data import Lookup, MetricStore, read_lookup

LATER = "2026-01-01"


@pytest.fixture
def folder(tmp_path):
    """Where a declared project is made."""
    return tmp_path / "project"


def test_uber_2015_loses_no_ride(folder, real_data):
    """Totals by borough are those of the file, the hour that does not exist included."""
    store, reports = ingest_declared("uber_2015", folder, real_data)
    rides, weather = reports["uber_rides"], reports["weather"]
    raw = pd.read_parquet(real_data / "uber_nyc_2015_borough_hour.parquet")
    span = store.spans()["uber_rides"]
    panel = store.read(["sessions"], start=span.start, end=span.end, as_of=LATER)
    found = panel["sessions"].tensor.numpy()
    totals = raw.groupby("borough")["rides"].sum()
    assert dict(zip(store.labels()["region"], found.sum(axis=1), strict=True)) == totals.to_dict()
    assert not np.isnan(found).any()
    assert (rides.read, rides.accepted, rides.nonexistent) == (26064, 26058, 6)
    assert rides.quarantined == {"rides is missing": 6}
    assert weather.quarantined == {"hour is a local time that does not exist": 6}


def test_uber_2015_s_traps_are_all_reported(folder, real_data):
    project = open_declared("uber_2015", folder, real_data)
    (rides, _) = ingest(project).counts
    assert any("6 rows at local times that do not exist" in note for note in rides.notes)
    found = data_quality(project)
    assert ("uber_rides", 6, "rides is missing") in found.rows
    said = {(name, label, what) for name, label, what in found.found if name == "sessions"}
    assert ("sessions", "EWR", "0 in 98% of its hours") in said
    assert any("from 2015-01-27 05:00 to 2015-01-27 12:00 UTC, 8 hours" in s for *_, s in said)


def test_uber_2015_hours_are_where_the_clock_put_them(folder, real_data):
    """A recount by pandas: plain hours one for one, 07:00 UTC of 8 March from two rows."""
    store, _ = ingest_declared("uber_2015", folder, real_data)
    raw = pd.read_parquet(real_data / "uber_nyc_2015_borough_hour.parquet").dropna()
    raw = raw.pivot(index="hour", columns="borough", values="rides")
    clock = raw.index.tz_localize("America/New_York", nonexistent=pd.Timedelta(hours=1))
    expected = raw.set_axis(clock.tz_convert("UTC")).groupby(level=0).sum()
    panel = store.read(["sessions"], start=expected.index[0], end=expected.index[-1], as_of=LATER)
    np.testing.assert_array_equal(panel["sessions"].tensor.numpy(), expected.to_numpy().T)
    changed = pd.Timestamp("2015-03-08T07:00Z")
    assert expected.loc[changed].sum() == 1999 + 1820
    # A travel ban in a blizzard: true zeros, not gaps.
    ban = store.read(
        ["sessions"], start="2015-01-27T05:00Z", end="2015-01-27T12:00Z", as_of=LATER
    )["sessions"].tensor  # fmt: skip
    assert ban.tolist() == [[0.0] * 8] * 6
    # The first hour of the year has no figures.
    first = store.read(
        ["sessions"], start="2015-01-01T05:00Z", end="2015-01-01T05:00Z", as_of=LATER
    )["sessions"].tensor  # fmt: skip
    assert first.isnan().all()


def test_uber_2015_calendar_and_weather(folder, real_data):
    store, _ = ingest_declared("uber_2015", folder, real_data)
    window = {"start": "2015-01-01T06:00Z", "end": "2015-07-01T03:00Z", "as_of": LATER}
    panel = store.read(["temperature", "precipitation"], **window)
    local = pd.date_range(window["start"], window["end"], freq="h").tz_convert("America/New_York")
    clocks = declared_clocks(folder)
    clock, holiday = (
        clocks.read(store, name, pd.Timestamp(window["start"]), pd.Timestamp(window["end"]))
        for name in ("hour_of_week", "holiday")
    )
    assert clock.tensor[0].tolist() == list(local.day_of_week * 24 + local.hour)
    holidays = set(local[holiday.tensor[0].numpy() > 0].strftime("%m-%d"))
    # New Year's Day, Martin Luther King Jr., Washington's Birthday, Memorial Day.
    assert holidays == {"01-01", "01-19", "02-16", "05-25"}
    raw = pd.read_parquet(real_data / "uber_nyc_2015_weather_hour.parquet")
    kept = raw[raw["hour"] != "2015-03-08 02:00"]
    np.testing.assert_allclose(panel["temperature"].tensor[3], (kept["temp"] - 32) / 1.8)
    np.testing.assert_allclose(panel["precipitation"].tensor[3], kept["pcp01"] * 25.4)
    assert not panel["temperature"].tensor.isnan().any()


def test_trip_records_become_cubes(folder, real_data):
    store, reports = ingest_declared("hvfhv", folder, real_data)
    report = reports["hvfhv_trips"]
    assert (report.read, report.accepted, report.quarantined) == (10_000, 10_000, {})
    assert report.remarks == {
        "driver_pay not above 0: a ride without pay": 156,
        "fare not above 0: a ride without a fare": 29,
        "no on_scene_datetime": 2997,
        "on the scene before requested": 8,
        "picked up before requested: a ride without a wait": 11,
        "trip_time off by seconds": 197,
        "wait over 60 minutes: a ride without a wait": 3,
    }
    raw = pd.read_csv(
        real_data / "hvfhv_2020-04-30_10k.csv", parse_dates=["request_datetime", "pickup_datetime"]
    )
    raw["wait"] = (raw["pickup_datetime"] - raw["request_datetime"]).dt.total_seconds() / 60
    raw["hour"] = raw["request_datetime"].dt.tz_localize("America/New_York").dt.floor("h")
    raw["zone"] = raw["PULocationID"].astype(str)
    waits = raw[raw["wait"].between(0, 60)].groupby(["zone", "hour"])["wait"].mean()
    rides = raw.groupby(["zone", "hour"]).size()
    pay = raw.groupby(["zone", "hour"])["driver_pay"].sum()
    span = store.spans()["hvfhv_trips"]
    panel = store.read(["rides", "wait", "driver_pay"], start=span.start, end=span.end, as_of=LATER)
    hours = panel["rides"].indexes["hour"].tz_convert("America/New_York")
    cells = pd.MultiIndex.from_product([store.labels()["region"], hours])
    shape = (len(store.labels()["region"]), len(hours))
    for name, expected, empty in (("rides", rides, 0.0), ("driver_pay", pay, 0.0),
                                  ("wait", waits, np.nan)):  # fmt: skip
        found = panel[name].tensor.numpy()
        dense = expected.reindex(cells, fill_value=empty).to_numpy(float).reshape(shape)
        np.testing.assert_allclose(found, dense, rtol=0, atol=2e-9, err_msg=name)
    lookup = Lookup(real_data / "taxi_zone_lookup.csv", "LocationID", "Borough")
    boroughs = read_lookup(lookup)
    rolled = store.rollup(
        ["rides", "wait"], start=span.start, end=span.end, as_of=LATER, by={"region": boroughs}
    )
    assert rolled["rides"].tensor.sum() == 10_000
    assert {"N/A", "Unknown", "EWR"} <= set(rolled["rides"].indexes["region"])


def test_trip_cubes_agree_with_a_published_one(folder, real_data):
    """Another author's cube of the same trips left out 42 odd rows; the rest must agree."""
    trips = real_data / "hvfhv_2020-04-30_10k.csv"
    store, _ = ingest_declared("hvfhv", folder, real_data)
    cube = pd.read_parquet(real_data / "hvfhv_2020-04-30_zone_x_hour.parquet")
    odd = pd.read_csv(trips, parse_dates=["request_datetime", "pickup_datetime"])
    wait = (odd["pickup_datetime"] - odd["request_datetime"]).dt.total_seconds()
    odd = odd[(wait < 0) | (wait > 3600) | (odd["base_passenger_fare"] <= 0)]
    clock = cube["h"].dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    panel = store.read(["rides", "wait"], start=clock.min(), end=clock.max(), as_of=LATER)
    row = panel["rides"].indexes["region"].get_indexer(cube["PULocationID"].astype(str))
    column = panel["rides"].indexes["hour"].get_indexer(clock)
    more = panel["rides"].tensor.numpy()[row, column] - cube["rides"].to_numpy()
    assert (more >= 0).all()
    untouched = more == 0
    assert untouched.sum() > 800
    published = cube["wait_s"].to_numpy()[untouched] / 60
    waits = panel["wait"].tensor.numpy()[row, column][untouched]
    np.testing.assert_allclose(waits, published, rtol=0, atol=1e-8)
    assert len(odd) == 10_000 - cube["rides"].sum() == 42


def test_newer_trip_records_are_read_too(folder, real_data):
    project = open_declared("hvfhv", folder, real_data)
    settings = folder / "dagcast.toml"
    settings.write_text(settings.read_text().replace("2020-04-30_10k", "2025-01_100"))
    ingest(open_project(project.folder, environment={}))
    (report,) = MetricStore(project.store).reports()
    assert (report.read, report.accepted) == (100, 100)
    assert report.remarks["no on_scene_datetime"] == 30


def test_laguardia_nights_are_noise_and_unobserved_hours_are_missing(folder, real_data):
    store, reports = ingest_declared("laguardia", folder, real_data)
    trips, weather = reports["laguardia"], reports["weather"]
    assert trips.quarantined == weather.quarantined == {"not observed": 8}
    span = store.spans()["laguardia"]
    panel = store.read(
        ["rides", "eta", "price_index", "driver_hours", "temperature"],
        start=span.start, end=span.end, as_of=LATER,
    )  # fmt: skip
    raw = pd.read_parquet(real_data / "nyc_lga_hour_2025H1.parquet")
    raw = raw[raw["observed"]]
    clock = raw.index.tz_localize("America/New_York").tz_convert("UTC")
    place = panel["rides"].indexes["hour"].get_indexer(clock)
    for name, column, unit in (("rides", "rides", 1), ("eta", "eta_s", 60),
                               ("price_index", "price_index", 1),
                               ("driver_hours", "engaged_driver_h", 1)):  # fmt: skip
        found = panel[name].tensor[0].numpy()
        np.testing.assert_allclose(found[place], raw[column] / unit, rtol=1e-8, err_msg=name)
        # Seven of the eight hours exist on the clock.
        assert np.isnan(found).sum() == 7
    assert panel["temperature"].tensor.isnan().sum() > 7
    thin = (panel["rides"].tensor < 20).double().mean().item()
    assert thin == pytest.approx(0.17, abs=0.01)


def test_uber_2012_never_rides_more_than_it_requests(folder, real_data):
    store, reports = ingest_declared("uber_2012", folder, real_data)
    report = reports["uber_2012"]
    assert (report.read, report.accepted, report.gaps) == (336, 336, 0)
    span = store.spans()["uber_2012"]
    panel = store.read(
        ["sessions", "requests", "rides", "driver_hours"],
        start=span.start, end=span.end, as_of=LATER,
    )  # fmt: skip
    tensors = {name: panel[name].tensor for name in panel}
    assert (tensors["rides"] <= tensors["requests"]).all()
    assert (tensors["requests"] <= tensors["sessions"]).all()
    assert tensors["rides"].mean().item() == pytest.approx(4.0625)


def test_manhattan_s_double_hours_are_halved_and_nothing_is_lost(folder, real_data):
    store, reports = ingest_declared("manhattan_taxi", folder, real_data)
    report = reports["manhattan_taxi"]
    raw = pd.read_parquet(real_data / "manhattan69_taxi_pickups.parquet")
    assert report.quarantined == {"hour is a local time that does not exist": 2 * 69}
    assert report.ambiguous == 2 * 69
    span = store.spans()["manhattan_taxi"]
    rides = store.read(["rides"], start=span.start, end=span.end, as_of=LATER)["rides"]
    assert not rides.tensor.isnan().any()
    assert rides.sizes == {"region": 69, "hour": 17_544}
    totals = dict(zip(rides.indexes["region"], rides.tensor.sum(dim=1).tolist(), strict=True))
    assert totals == raw.astype("float64").sum().to_dict()
    assert totals["103"] == 0
    autumn = store.read(
        ["rides"], start="2019-11-03T04:00Z", end="2019-11-03T07:00Z", as_of=LATER
    )["rides"].tensor.sum(dim=0)  # fmt: skip
    assert autumn.tolist() == [10981.0, 18309.0 / 2, 18309.0 / 2, 5609.0]


def test_two_vintages_disagree_and_each_is_read_as_of_its_time(folder, real_data):
    project = open_declared("tlc_vintages", folder, real_data)
    ingest(project)
    store = MetricStore(project.store)
    assert sorted(report.accepted for report in store.reports()) == [620, 812]
    found = data_diff(project, "2022-08-01", "2025-04-01", ["trips_per_day"])
    # Known at both moments, of these changed, new, gone.
    assert found.counts == (("trips_per_day", 620, 109, 192, 0),)
    assert len(found.changes) == 109
    span = store.spans()["tlc_monthly"]

    def trips(as_of):
        panel = store.read(["trips_per_day"], start=span.start, end=span.end, as_of=as_of)
        return panel["trips_per_day"].tensor.numpy()

    before, then, now = trips("2022-07-31T23:00Z"), trips("2025-03-31"), trips("2025-04-01")
    assert np.isnan(before).all()
    shared = ~np.isnan(then) & ~np.isnan(now)
    assert shared.sum() == (~np.isnan(then)).sum() == 620
    assert (then[shared] != now[shared]).sum() == 109
    assert (~np.isnan(now)).sum() == 812


def test_m4_gives_the_competition_s_figures(real_data):
    """Mean over series of the scaled error, horizon 48: naive 11.608, seasonal naive 1.193."""
    series = read_m4_hourly(real_data)
    assert len(series) == 414
    naive, seasonal = [], []
    for item in series:
        scale = np.abs(item.train[24:] - item.train[:-24]).mean()
        naive.append(np.abs(item.test - item.train[-1]).mean() / scale)
        seasonal.append(np.abs(item.test - np.tile(item.train[-24:], 2)).mean() / scale)
    assert np.mean(naive) == pytest.approx(11.608, abs=5e-4)
    assert np.mean(seasonal) == pytest.approx(1.193, abs=5e-4)


def test_ebay_s_geo_experiment_gives_the_published_effect(real_data):
    """Log effect of switching search off, by difference in differences over markets."""
    frame = read_ebay_paid_search(real_data)
    assert len(frame) == 23_730
    assert frame["market"].nunique() == 210
    effect, error = ebay_effect(real_data)
    assert effect == pytest.approx(-0.0066, abs=5e-5)
    assert error == pytest.approx(0.0056, abs=5e-5)


def test_the_congestion_panel_gives_its_author_s_estimate(real_data):
    ours, published = congestion_effect(real_data)
    assert ours == pytest.approx(published, abs=1e-9)
