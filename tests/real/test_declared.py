"""The declared projects on small files of the public formats, made here, with the traps in them."""

import numpy as np
import pandas as pd
import pytest
from _declared import ingest_declared

from dagcast.errors import ConfigError

NAN = float("nan")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    return folder


@pytest.fixture
def ingested(tmp_path, data):
    """Ingests a declared project on the files of ``data``."""
    return lambda name: ingest_declared(name, tmp_path / "project", data)


def write_uber(folder) -> None:
    """Six wall-clock hours around the one of 8 March 2015 that does not exist."""
    hours = pd.date_range("2015-03-07 23:00", periods=6, freq="h")
    rides = [
        (hour, borough, value)
        for borough, values in {
            "NA": [9, 8, 7, 6, 5, 4],
            "Manhattan": [NAN, 0, 30, 20, 10, 5],
            "EWR": [NAN, 0, 0, 0, 0, 0],
        }.items()
        for hour, value in zip(hours, values, strict=True)
    ]
    pd.DataFrame(rides, columns=["hour", "borough", "rides"]).to_parquet(
        folder / "uber_nyc_2015_borough_hour.parquet"
    )
    weather = pd.DataFrame({"hour": hours, "temp": [32.0, 50.0, 50.0, 41.0, 68.0, 68.0]})
    weather["pcp01"] = 0.1
    weather.to_parquet(folder / "uber_nyc_2015_weather_hour.parquet")


def test_uber_2015_joins_the_hour_that_does_not_exist(ingested, data):
    write_uber(data)
    store, reports = ingested("uber_2015")
    # A borough called "NA" is a label like any other.
    assert {"EWR", "Manhattan", "NA"} < set(store.labels()["region"])
    window = {"start": "2015-03-08T04:00Z", "end": "2015-03-08T08:00Z", "as_of": "2015-04-01"}
    labels = {"region": ["EWR", "Manhattan", "NA"]}
    panel = store.read(["sessions", "temperature", "precipitation"], **window, labels=labels)
    np.testing.assert_array_equal(
        panel["sessions"].tensor, [[NAN, 0, 0, 0, 0], [NAN, 0, 30, 30, 5], [9, 8, 7, 11, 4]]
    )
    np.testing.assert_allclose(panel["temperature"].tensor[0], [0, 10, 10, 20, 20], atol=1e-12)
    np.testing.assert_allclose(panel["precipitation"].tensor[0], 2.54)
    rides, weather = reports["uber_rides"], reports["weather"]
    assert (rides.quarantined, rides.nonexistent) == ({"rides is missing": 2}, 3)
    assert weather.quarantined == {"hour is a local time that does not exist": 6}


def test_uber_2015_knows_weather_and_rides_when_their_hour_has_ended(ingested, data):
    write_uber(data)
    store, _ = ingested("uber_2015")
    window = {"start": "2015-03-08T05:00Z", "end": "2015-03-08T05:00Z"}
    names, labels = ["sessions", "temperature"], {"region": ["EWR", "Manhattan"]}
    before = store.read(names, **window, as_of="2015-03-08T05:00Z", labels=labels)
    after = store.read(names, **window, as_of="2015-03-08T06:00Z", labels=labels)
    assert all(before[name].tensor.isnan().all() for name in names)
    assert not any(after[name].tensor.isnan().any() for name in names)


def test_other_files_are_refused_with_the_place_of_the_declaration(ingested, data):
    write_uber(data)
    path = data / "uber_nyc_2015_weather_hour.parquet"
    pd.read_parquet(path).drop(columns="temp").to_parquet(path)
    with pytest.raises(ConfigError, match=r"'temp' at dagcast.toml line \d+"):
        ingested("uber_2015")


ZONES = (
    '"LocationID","Borough","Zone"\n1,"EWR","Newark"\n4,"Manhattan","ABC"\n265,"N/A","Outside"\n'
)
HEAD = (
    "hvfhs_license_num,request_datetime,on_scene_datetime,pickup_datetime,dropoff_datetime,"
    "PULocationID,DOLocationID,trip_miles,trip_time,base_passenger_fare,driver_pay\n"
)


def trip(request="19:00:00", scene="19:03:00", pickup="19:04:00", dropoff="19:14:00", zone="4",
         seconds=600, fare=12.0, pay=8.0) -> str:  # fmt: skip
    times = [f"2020-04-30 {time}" if time else "NA" for time in (request, scene, pickup, dropoff)]
    return f"HV0003,{','.join(times)},{zone},1,2.5,{seconds},{fare},{pay}\n"


def test_trips_that_are_odd_count_as_rides(ingested, data):
    (data / "taxi_zone_lookup.csv").write_text(ZONES)
    (data / "hvfhv_2020-04-30_10k.csv").write_text(
        HEAD
        + trip()
        + trip()  # the same trip twice
        + trip(request="19:10:00", dropoff="19:14:30", seconds=630)  # booked ahead
        + trip(request="19:15:00", pickup="20:20:00", dropoff="20:30:00", pay=0)
        + trip(scene=None, pickup="19:06:00", dropoff="19:16:00", pay=4.0)
        + trip(fare=-3.0, dropoff="19:14:01", seconds=601)
        + trip(zone="999")
        + trip(dropoff="19:03:30", seconds=-30)
        + trip(seconds=6000)
    )
    store, reports = ingested("hvfhv")
    report = reports["hvfhv_trips"]
    assert (report.read, report.accepted, report.duplicates) == (9, 5, 1)
    assert report.quarantined == {
        "PULocationID is not in taxi_zone_lookup.csv": 1,
        "trip_time below 0": 1,
        "trip_time contradicts its times": 1,
    }
    assert report.remarks == {
        "driver_pay not above 0: a ride without pay": 1,
        "fare not above 0: a ride without a fare": 1,
        "no on_scene_datetime": 1,
        "on the scene before requested": 2,
        "picked up before requested: a ride without a wait": 1,
        "wait over 60 minutes: a ride without a wait": 1,
    }
    # 19:00 in New York in April is 23:00 UTC.
    window = {"start": "2020-04-30T23:00Z", "end": "2020-04-30T23:00Z", "as_of": "2020-05-05"}
    names = ["rides", "wait", "revenue", "driver_pay"]
    panel = store.read(names, **window, labels={"region": ["4"]})
    assert {name: panel[name].item() for name in panel} == {
        "rides": 5.0,
        "wait": pytest.approx((4 + 6 + 4) / 3, abs=1e-9),
        "revenue": 48.0,
        "driver_pay": 28.0,
    }
    # Zones of the table without a trip had none.
    assert store.read(["rides"], **window)["rides"].tensor[:, 0].tolist() == [0.0, 0.0, 5.0]


def test_laguardia_hours_that_were_not_observed_are_missing(ingested, data):
    hours = pd.date_range("2025-03-09 01:00", periods=3, freq="h", name="hour")
    frame = pd.DataFrame(
        {
            "rides": [10.0, 0.0, 5.0], "eta_s": [120.0, NAN, 300.0], "fare_sum": [100.0, NAN, 9.0],
            "engaged_driver_h": [4.0, NAN, 1.0], "driver_pay": [70.0, NAN, 5.0],
            "observed": [True, False, True], "price_index": [1.5, NAN, 1.0],
            "temp_f_mean": [50.0, NAN, NAN], "precip_1h_mm_total": [0.0, NAN, 2.0],
        },
        index=hours,
    )  # fmt: skip
    frame.to_parquet(data / "nyc_lga_hour_2025H1.parquet")
    store, reports = ingested("laguardia")
    trips, weather = reports["laguardia"], reports["weather"]
    assert trips.quarantined == weather.quarantined == {"not observed": 1}
    window = {"start": "2025-03-09T06:00Z", "end": "2025-03-09T07:00Z", "as_of": "2026-01-01"}
    panel = store.read(["rides", "eta", "price_index", "temperature"], **window)
    # 03:00 summer time follows 01:00 winter time at once.
    assert panel["rides"].tensor.tolist() == [[10.0, 5.0]]
    assert panel["eta"].tensor.tolist() == [[2.0, 5.0]]
    assert panel["price_index"].tensor.tolist() == [[1.5, 1.0]]
    np.testing.assert_array_equal(panel["temperature"].tensor, [[10.0, NAN]])
    rolled = store.rollup(["eta"], **window, frequency="h", by={"region": {"LaGuardia": "all"}})
    assert rolled["eta"].tensor.tolist() == [[2.0, 5.0]]


def test_manhattan_hours_that_occur_twice_are_shared_out(ingested, data):
    hours = pd.date_range("2019-11-03 00:00", periods=3, freq="h")
    frame = pd.DataFrame({"4": [3.0, 7.0, 1.0], "12": [0.0, 2.0, 0.0]}, index=hours)
    frame.to_parquet(data / "manhattan69_taxi_pickups.parquet")
    store, reports = ingested("manhattan_taxi")
    assert (reports["manhattan_taxi"].read, reports["manhattan_taxi"].accepted) == (8, 8)
    window = {"start": "2019-11-03T04:00Z", "end": "2019-11-03T07:00Z", "as_of": "2020-01-01"}
    panel = store.read(["rides"], **window)
    assert panel["rides"].tensor.tolist() == [[0, 1, 1, 0], [3, 3.5, 3.5, 1]]


def test_uber_2012_refuses_rows_that_contradict_themselves(ingested, data):
    frame = pd.DataFrame(
        {
            "sessions": [9, 5, 5], "sessions_no_car": [1, 6, 0], "requests": [4, 2, 2],
            "rides": [3, 1, 3], "drivers": [7, 3, 1],
        },
        index=pd.date_range("2012-09-10 07:00", periods=3, freq="h", name="hour"),
    )  # fmt: skip
    frame.to_parquet(data / "uber2012_hour.parquet")
    store, reports = ingested("uber_2012")
    report = reports["uber_2012"]
    assert report.quarantined == {
        "more rides than requests": 1,
        "more sessions without a car than sessions": 1,
    }
    window = {"start": "2012-09-10T07:00Z", "end": "2012-09-10T08:00Z", "as_of": "2013-01-01"}
    panel = store.read(["sessions", "driver_hours"], **window)
    np.testing.assert_array_equal(panel["sessions"].tensor, [[9, NAN]])
    np.testing.assert_array_equal(panel["driver_hours"].tensor, [[7, NAN]])


VINTAGE = (
    "Month/Year,License Class,  Trips Per Day  ,Farebox Per Day,Unique Drivers,Unique Vehicles,"
    "Vehicles Per Day,Avg Hours Per Day Per Vehicle,Avg Hours Per Day Per Driver,"
    "Avg Minutes Per Trip\n"
)


def test_vintages_are_read_as_of_their_moment(ingested, data):
    row = '2022-06,Yellow," {} ",{},"9,843",1,2,3,4,{}\n'
    (data / "tlc_monthly_vintage_2022-07.csv").write_text(VINTAGE + row.format("102,052", "-", ""))
    (data / "tlc_monthly_vintage_2025-03.csv").write_text(VINTAGE + row.format(103000, "NULL", 9))
    store, _ = ingested("tlc_vintages")
    june = {"start": "2022-06-01T00:00Z", "end": "2022-06-01T00:00Z"}
    names = ["trips_per_day", "farebox_per_day", "drivers", "minutes_per_trip"]
    found = []
    for cut in ("2022-07-31", "2022-08-01", "2025-03-31", "2025-04-01"):
        panel = store.read(names, **june, as_of=cut)
        found.append([panel[name].item() for name in names])
    np.testing.assert_array_equal(
        found,
        [[NAN] * 4, [102052, NAN, 9843, NAN], [102052, NAN, 9843, NAN], [103000, NAN, 9843, 9]],
    )


def test_a_word_for_a_number_sets_its_row_aside(ingested, data):
    rows = "2022-06,Yellow,many,1,1,1,2,3,4,5\n2022-05,Yellow,7,1,1,1,2,3,4,5\n"
    for name in ("tlc_monthly_vintage_2022-07.csv", "tlc_monthly_vintage_2025-03.csv"):
        (data / name).write_text(VINTAGE + rows)
    store, _ = ingested("tlc_vintages")
    for report in store.reports():
        assert (report.read, report.accepted) == (2, 1)
        assert report.quarantined == {"trips_per_day is not a number": 1}
