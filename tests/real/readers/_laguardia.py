"""Uber and Lyft trips from New York's LaGuardia airport, January to June 2025, hour by hour.

Source: Taxi and Limousine Commission high-volume trip records joined with NOAA weather, aggregated
by jcturnbull/ubercasestudy. Hours are wall-clock hours of New York. Completed trips only.

An hour flagged as not observed is missing, not zero: those rows are quarantined (eight, among them
2025-03-09 02:00, which does not exist on that clock). Nights have few trips, so that mean ETA and
price index are noise there; both are means weighted by rides, and roll up as such.
"""

from pathlib import Path

import pandas as pd

from dagcast_core.data import (
    Check,
    Column,
    EventTable,
    Ingestion,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
    local_to_utc,
)
from readers._calendars import CALENDAR, calendar_rows
from readers._files import read_parquet
from readers._new_york import ZONE, weather_table

REGION = "LaGuardia"

_TRIPS = EventTable(
    name="laguardia",
    columns=(
        Column("region", "text"),
        Column("hour", "instant"),
        Column("observed", "flag"),
        Column("rides", "number", lower=0),
        Column("eta_s", "number", lower=0, nullable=True),
        Column("price_index", "number", lower=0, nullable=True),
        Column("fare_sum", "number", nullable=True),
        Column("driver_pay", "number", nullable=True),
        Column("engaged_driver_h", "number", lower=0, nullable=True),
    ),
    time="hour",
    key=("region", "hour"),
    dims={"region": "region"},
    zone=ZONE,
    # First, so that the reason given is the one that matters.
    checks=(Check("not observed", "NOT observed"),),
    sums=(
        Sum("rides", "rides"),
        Sum("waited", "eta_s / 60 * rides"),
        Sum("priced", "price_index * rides"),
        Sum("fare", "fare_sum"),
        Sum("pay", "driver_pay"),
        Sum("engaged", "engaged_driver_h"),
    ),
    metrics=(
        MetricSpec("rides", "rides", "ride/h"),
        MetricSpec("eta", "waited", "min", per="rides"),
        MetricSpec("price_index", "priced", "1", per="rides"),
        MetricSpec("revenue", "fare", "USD/h"),
        MetricSpec("driver_pay", "pay", "USD/h"),
        MetricSpec("driver_hours", "engaged", "driver-hour/h"),
    ),
)

_WEATHER = weather_table("observed", "not observed")


def ingest_laguardia(store_folder: Path | str, data_folder: Path | str) -> tuple[IngestReport, ...]:
    """Reads LaGuardia's hourly figures of 2025 into a store.

    Metrics, dims (region, hour), with the one region "LaGuardia": rides; eta (min, request to
    pickup, mean over rides); price_index (fare over the usual fare, mean over rides); revenue;
    driver_pay; driver_hours (engaged hours: a lower bound of hours online); temperature;
    precipitation; hour_of_week; holiday; local_event (zeros: the source knows of none).

    Args:
        store_folder: of the metric store; made if needed.
        data_folder: holds nyc_lga_hour_2025H1.parquet.

    Returns:
        Reports of trips, weather and calendar.

    Raises:
        SourceError: the file is absent, not Parquet, or lacks a column.
    """
    given = ("hour", "rides", "eta_s", "fare_sum", "engaged_driver_h", "driver_pay", "observed")
    columns = (*given, "price_index", "temp_f_mean", "precip_1h_mm_total")
    frame = read_parquet(Path(data_folder) / "nyc_lga_hour_2025H1.parquet", columns)
    frame = frame.assign(
        region=REGION,
        temperature=(frame["temp_f_mean"] - 32) / 1.8,
        precipitation=frame["precip_1h_mm_total"],
    )
    instants = local_to_utc(pd.DatetimeIndex(frame["hour"]), ZONE).instants
    calendar = calendar_rows({REGION: ZONE}, instants.min(), instants.max())
    trips = frame[[column.name for column in _TRIPS.columns]]
    weather = frame[[column.name for column in _WEATHER.columns]]
    return MetricStore(store_folder).ingest_all(
        [Ingestion(_TRIPS, trips), Ingestion(_WEATHER, weather), Ingestion(CALENDAR, calendar)]
    )
