"""The readers on small files of the public formats, made here, with the traps in them."""

import numpy as np
import pandas as pd
import pytest
from readers import (
    ingest_hvfhv,
    ingest_laguardia,
    ingest_manhattan_taxi,
    ingest_tlc_vintages,
    ingest_uber_2012,
    ingest_uber_2015,
    read_m4_hourly,
    zone_boroughs,
)

from dagcast_core.data import DataError, MetricStore, SourceError

NAN = float("nan")


@pytest.fixture
def store(tmp_path) -> MetricStore:
    return MetricStore(tmp_path / "store")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


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


def test_uber_2015_merges_the_hour_that_does_not_exist(store, data):
    write_uber(data)
    rides, weather, calendar = ingest_uber_2015(store.folder, data)
    assert store.labels()["region"] == ("EWR", "Manhattan", "NA")
    window = {"start": "2015-03-08T04:00Z", "end": "2015-03-08T08:00Z", "as_of": "2015-04-01"}
    panel = store.read(["sessions", "temperature", "precipitation", "hour_of_week"], **window)
    np.testing.assert_array_equal(
        panel["sessions"].tensor, [[NAN, 0, 0, 0, 0], [NAN, 0, 30, 30, 5], [9, 8, 7, 11, 4]]
    )
    np.testing.assert_allclose(panel["temperature"].tensor[0], [0, 10, 10, 20, 20], atol=1e-12)
    np.testing.assert_allclose(panel["precipitation"].tensor[0], 2.54)
    assert panel["hour_of_week"].tensor[0].tolist() == [143, 144, 145, 147, 148]
    assert rides.quarantined == {"rides is missing": 2}
    assert rides.nonexistent == 3
    assert weather.quarantined == {"local hour does not exist": 3}
    assert calendar.accepted == 3 * (5 + 28 * 24)
    notes = " / ".join(rides.notes)
    assert "rides are stored as 'sessions'" in notes
    assert "2015-03-08 02:00 does not exist in America/New_York; its 26 rides join the" in notes
    assert "2015-03-07 23:00 has no figures; its cells are missing" in notes
    assert "region 'EWR' has no rides in 100% of its hours" in notes
    assert all(r.unchanged for r in ingest_uber_2015(store.folder, data))


def test_uber_2015_tells_of_hours_without_any_ride(store, data):
    write_uber(data)
    path = data / "uber_nyc_2015_borough_hour.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame["hour"] == "2015-03-08 01:00", "rides"] = 0.0
    frame.to_parquet(path)
    rides = ingest_uber_2015(store.folder, data, rides_as="rides")[0]
    assert (
        "1 hours without a ride in any region, 2015-03-08 01:00 to 2015-03-08 01:00 local time: "
        "true zeros of the source"
    ) in rides.notes
    assert "rides" in store.metrics()
    window = {"start": "2015-03-08T06:00Z", "end": "2015-03-08T06:00Z", "as_of": "2015-04-01"}
    assert store.read(["rides"], **window)["rides"].tensor.tolist() == [[0.0]] * 3


def test_uber_2015_knows_weather_and_rides_when_their_hour_has_ended(store, data):
    write_uber(data)
    ingest_uber_2015(store.folder, data)
    window = {"start": "2015-03-08T05:00Z", "end": "2015-03-08T05:00Z"}
    names = ["sessions", "temperature", "holiday"]
    before = store.read(names, **window, as_of="2015-03-08T05:00Z")
    assert before["sessions"].tensor.isnan().all()
    assert before["temperature"].tensor.isnan().all()
    assert before["holiday"].tensor.tolist() == [[0.0]] * 3
    after = store.read(names, **window, as_of="2015-03-08T06:00Z")
    assert not after["sessions"].tensor.isnan().any()


def test_uber_2015_refuses_other_files(store, data):
    write_uber(data)
    path = data / "uber_nyc_2015_weather_hour.parquet"
    pd.read_parquet(path).drop(columns="temp").to_parquet(path)
    with pytest.raises(SourceError, match="without temp"):
        ingest_uber_2015(store.folder, data)
    path.unlink()
    with pytest.raises(SourceError, match="found no such file"):
        ingest_uber_2015(store.folder, data)
    assert not store.folder.exists()


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


def test_trips_that_are_odd_count_as_rides(store, data):
    (data / "zones.csv").write_text(ZONES)
    (data / "trips.csv").write_text(
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
    report = ingest_hvfhv(store.folder, data / "trips.csv", data / "zones.csv")
    assert (report.read, report.accepted, report.duplicates) == (9, 5, 1)
    assert report.quarantined == {
        "trip_time below 0": 1,
        "trip_time contradicts its times": 1,
        "unknown region": 1,
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
    panel = store.read(
        ["rides", "wait", "revenue", "driver_pay"], **window, labels={"region": ["4"]}
    )
    assert {name: panel[name].item() for name in panel} == {
        "rides": 5.0,
        "wait": pytest.approx((4 + 6 + 4) / 3, abs=1e-9),
        "revenue": 48.0,
        "driver_pay": 28.0,
    }
    boroughs = zone_boroughs(data / "zones.csv")
    assert boroughs == {"1": "EWR", "4": "Manhattan", "265": "N/A"}
    rolled = store.rollup(["rides", "driver_pay_per_ride"], **window, by={"region": boroughs})
    assert list(rolled["rides"].indexes["region"]) == ["EWR", "Manhattan", "N/A"]
    assert rolled["rides"].tensor[:, 0].tolist() == [0.0, 5.0, 0.0]
    assert rolled["driver_pay_per_ride"].tensor[1, 0] == 7.0


def test_a_zone_table_with_a_zone_twice_is_refused(data):
    (data / "zones.csv").write_text(ZONES + '4,"Queens","again"\n')
    with pytest.raises(DataError, match="found '4' twice"):
        zone_boroughs(data / "zones.csv")
    (data / "zones.csv").write_text("id,name\n1,x\n")
    with pytest.raises(SourceError, match="without LocationID, Borough"):
        zone_boroughs(data / "zones.csv")


def test_laguardia_hours_that_were_not_observed_are_missing(store, data):
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
    trips, weather, _ = ingest_laguardia(store.folder, data)
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


def test_manhattan_hours_that_occur_twice_are_shared_out(store, data):
    hours = pd.date_range("2019-11-03 00:00", periods=3, freq="h")
    frame = pd.DataFrame({"4": [3.0, 7.0, 1.0], "12": [0.0, 2.0, 0.0]}, index=hours)
    frame.to_parquet(data / "manhattan69_taxi_pickups.parquet")
    report, _ = ingest_manhattan_taxi(store.folder, data)
    assert report.remarks == {"local hour occurs twice: half each": 4}
    window = {"start": "2019-11-03T04:00Z", "end": "2019-11-03T07:00Z", "as_of": "2020-01-01"}
    panel = store.read(["rides", "hour_of_week"], **window)
    assert panel["rides"].tensor.tolist() == [[0, 1, 1, 0], [3, 3.5, 3.5, 1]]
    assert panel["hour_of_week"].tensor[0].tolist() == [144, 145, 145, 146]
    frame.reset_index(drop=True).to_parquet(data / "manhattan69_taxi_pickups.parquet")
    with pytest.raises(DataError, match="found an index of int64"):
        ingest_manhattan_taxi(store.folder, data)


def test_uber_2012_refuses_rows_that_contradict_themselves(store, data):
    frame = pd.DataFrame(
        {
            "sessions": [9, 5, 5], "sessions_no_car": [1, 6, 0], "requests": [4, 2, 2],
            "rides": [3, 1, 3], "drivers": [7, 3, 1],
        },
        index=pd.date_range("2012-09-10 07:00", periods=3, freq="h", name="hour"),
    )  # fmt: skip
    frame.to_parquet(data / "uber2012_hour.parquet")
    report = ingest_uber_2012(store.folder, data)
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


def test_vintages_are_read_as_of_their_moment(store, data):
    row = '2022-06,Yellow," {} ",{},"9,843",1,2,3,4,{}\n'
    (data / "tlc_monthly_vintage_2022-07.csv").write_text(VINTAGE + row.format("102,052", "-", ""))
    (data / "tlc_monthly_vintage_2025-03.csv").write_text(VINTAGE + row.format(103000, "NULL", 9))
    ingest_tlc_vintages(store.folder, data)
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


def test_vintages_with_a_word_for_a_number_are_refused(store, data):
    row = "2022-06,Yellow,many,1,1,1,2,3,4,5\n"
    for name in ("tlc_monthly_vintage_2022-07.csv", "tlc_monthly_vintage_2025-03.csv"):
        (data / name).write_text(VINTAGE + row)
    with pytest.raises(DataError) as caught:
        ingest_tlc_vintages(store.folder, data)
    assert str(caught.value) == (
        "cannot read column 'Trips Per Day': expected numbers, or '', '-', 'NULL', 'NA' for "
        "none; found 'many' in 1 cells. Correct the file."
    )


def test_m4_series_are_ragged(data):
    (data / "m4_Hourly-train.csv").write_text('"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","4",,\n')
    (data / "m4_Hourly-test.csv").write_text('"V1","V2"\n"H1","5"\n"H2","6"\n')
    first, second = read_m4_hourly(data)
    assert (first.name, first.train.tolist(), first.test.tolist()) == ("H1", [1, 2, 3], [5])
    assert (second.train.tolist(), second.test.tolist()) == ([4], [6])
    (data / "m4_Hourly-train.csv").write_text('"V1","V2","V3","V4"\n"H1","1",,"3"\n"H2","4",,\n')
    with pytest.raises(DataError, match="found a hole"):
        read_m4_hourly(data)
    (data / "m4_Hourly-train.csv").write_text('"V1","V2"\n"H1","1"\n')
    with pytest.raises(DataError, match="found 'H2' in one of them only"):
        read_m4_hourly(data)
