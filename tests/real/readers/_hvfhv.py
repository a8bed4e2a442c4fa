"""Trips of New York's high-volume for-hire services, as the city publishes them, one row each.

Source: Taxi and Limousine Commission, High Volume For-Hire Vehicle trip records. Times are on New
York's wall clock. Completed trips only: riders who gave up are not in it.

Rows may be odd without being wrong. A trip picked up before it was requested was booked ahead (its
request time is the hour it was booked for): it is a ride, and has no wait. A trip without driver
pay, or whose fare was taken back, is a ride too. All are counted and remarked on. Rows that
contradict themselves are quarantined: they end before they begin, or last other than they say.
"""

from collections.abc import Mapping
from pathlib import Path

from dagcast_core.data import (
    Check,
    Column,
    DataError,
    EventTable,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
)
from readers._files import read_csv
from readers._new_york import ZONE

LONGEST_WAIT_MINUTES = 60
"""Longer waits are left out of the mean wait: booked ahead, or reported wrong."""

_WAIT = "(epoch_us(pickup_datetime) - epoch_us(request_datetime)) / 6e7"
_WAIT_COUNTS = f"{_WAIT} BETWEEN 0 AND {LONGEST_WAIT_MINUTES}"
_LASTED = "(epoch_us(dropoff_datetime) - epoch_us(pickup_datetime)) / 1e6"

TRIPS = EventTable(
    name="hvfhv_trips",
    columns=(
        Column("hvfhs_license_num", "text"),
        Column("request_datetime", "instant"),
        Column("on_scene_datetime", "instant", nullable=True),
        Column("pickup_datetime", "instant"),
        Column("dropoff_datetime", "instant"),
        Column("PULocationID", "text"),
        Column("DOLocationID", "text"),
        Column("trip_miles", "number", lower=0),
        Column("trip_time", "number", lower=0),
        Column("base_passenger_fare", "number"),
        Column("driver_pay", "number"),
    ),
    time="request_datetime",
    # The city publishes months later; what a service itself would know a day later is assumed.
    known_lag_hours=24,
    # Trips have no id: only rows alike in all of this are one trip reported twice.
    key=(
        "hvfhs_license_num",
        "request_datetime",
        "pickup_datetime",
        "dropoff_datetime",
        "PULocationID",
        "DOLocationID",
        "trip_miles",
        "base_passenger_fare",
        "driver_pay",
    ),
    dims={"region": "PULocationID"},
    zone=ZONE,
    empty="zero unless gap",
    null_text=("", "NA", "NULL"),
    checks=(
        Check("dropped off before picked up", "dropoff_datetime < pickup_datetime"),
        Check("trip_time contradicts its times", f"abs(trip_time - {_LASTED}) > 60"),
    ),
    remarks=(
        Check("picked up before requested: a ride without a wait", f"{_WAIT} < 0"),
        Check(
            f"wait over {LONGEST_WAIT_MINUTES} minutes: a ride without a wait",
            f"{_WAIT} > {LONGEST_WAIT_MINUTES}",
        ),
        Check("no on_scene_datetime", "on_scene_datetime IS NULL"),
        Check("on the scene before requested", "on_scene_datetime < request_datetime"),
        Check("on the scene after pickup", "on_scene_datetime > pickup_datetime"),
        Check("driver_pay not above 0: a ride without pay", "driver_pay <= 0"),
        Check("fare not above 0: a ride without a fare", "base_passenger_fare <= 0"),
        Check("trip_time off by seconds", f"abs(trip_time - {_LASTED}) > 0.5"),
    ),
    sums=(
        Sum("wait", f"CASE WHEN {_WAIT_COUNTS} THEN {_WAIT} END"),
        Sum("waits", f"CASE WHEN {_WAIT_COUNTS} THEN 1 END"),
        Sum("fare", "CASE WHEN base_passenger_fare > 0 THEN base_passenger_fare END"),
        Sum("pay", "CASE WHEN driver_pay > 0 THEN driver_pay END"),
        Sum("paid", "CASE WHEN driver_pay > 0 THEN 1 END"),
        Sum("miles", "trip_miles"),
    ),
    metrics=(
        MetricSpec("rides", "n", "ride/h"),
        MetricSpec("wait", "wait", "min", per="waits"),
        MetricSpec("revenue", "fare", "USD/h"),
        MetricSpec("driver_pay", "pay", "USD/h"),
        MetricSpec("driver_pay_per_ride", "pay", "USD/ride", per="paid"),
        MetricSpec("miles", "miles", "mi/h"),
    ),
)


def ingest_hvfhv(
    store_folder: Path | str, trips_file: Path | str, zones_file: Path | str
) -> IngestReport:
    """Reads trip records into a store of zone x hour cubes.

    Metrics, dims (region, hour), region being the pickup zone's number as text and hour the one of
    the request: rides; wait (min, request to pickup, mean over the waits that count); revenue
    (USD/h, base fares); driver_pay (USD/h); driver_pay_per_ride (USD/ride, over paid rides);
    miles (mi/h).

    Args:
        store_folder: of the metric store; made if needed.
        trips_file: Parquet or CSV as published.
        zones_file: the city's table of zones; trips from other zones are quarantined.

    Returns:
        The report; its remarks count rows that are odd and were kept.

    Raises:
        SourceError: a file is absent, of another format, or lacks a column.
    """
    zones = tuple(zone_boroughs(zones_file))
    return MetricStore(store_folder).ingest(TRIPS, Path(trips_file), labels={"region": zones})


def zone_boroughs(zones_file: Path | str) -> Mapping[str, str]:
    """Borough of every zone, to roll cubes up by: ``store.rollup(..., by={"region": boroughs})``.

    Args:
        zones_file: the city's table of zones, a CSV with LocationID and Borough. "N/A" and
            "Unknown" are boroughs of their own there.

    Raises:
        SourceError: absent, not CSV, or without the columns.
        DataError: a zone occurs twice.
    """
    table = read_csv(Path(zones_file), ("LocationID", "Borough"))
    repeated = table["LocationID"][table["LocationID"].duplicated()]
    if len(repeated):
        raise DataError(
            f"cannot read zones from {Path(zones_file).name}: expected every LocationID once; "
            f"found {repeated.iloc[0]!r} twice. Remove one of the rows."
        )
    return dict(zip(table["LocationID"], table["Borough"], strict=True))
