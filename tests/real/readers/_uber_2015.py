"""Uber's New York pickups of January to June 2015 by borough and hour, with hourly weather.

Source: records that Uber gave the Taxi and Limousine Commission, published by FiveThirtyEight
(github.com/fivethirtyeight/uber-tlc-foil-response), aggregated by nephagra/STATS131_Final, which
also holds the weather. Hours are wall-clock hours of New York.

What the source gets wrong, and what becomes of it:

- 2015-03-08 02:00 does not exist on that clock, yet holds trips. They took place, so they are read
  with the winter offset: the instant is the hour whose clock said 03:00, and they join its trips,
  which makes that hour whole (its two parts together fit its neighbours). The weather row of the
  hour that does not exist is quarantined; the hour has an observation of its own.
- 2015-01-01 00:00 has no figures: those rows are quarantined and the cells are missing.
- The all-zero hours of 27 January are a travel ban in a blizzard: rows of the source say zero, so
  zero it is.
- Newark Airport (EWR) has next to no trips; it is kept and remarked on.
- A borough called "NA" is a label like any other, never a missing value.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from dagcast_core.data import (
    Column,
    EventTable,
    Ingestion,
    IngestReport,
    MetricSpec,
    MetricStore,
    Sum,
    local_to_utc,
)
from readers._calendars import CALENDAR, calendar_rows, for_every_region
from readers._files import read_parquet
from readers._new_york import ZONE, weather_table

CALENDAR_AHEAD = pd.Timedelta(weeks=4)
"""The calendar reaches this far beyond the last hour with trips."""

_SPARSE = 0.9

_WEATHER = weather_table("exists", "local hour does not exist")


def ingest_uber_2015(
    store_folder: Path | str,
    data_folder: Path | str,
    *,
    rides_as: str = "sessions",
    known_lag_hours: float = 0.0,
) -> tuple[IngestReport, ...]:
    """Reads Uber's New York rides of 2015 into a store, with weather and calendar.

    Metrics, all with dims (region, hour), region being the borough: ``rides_as``; temperature
    (degC) and precipitation (mm/h), the city's for every borough; hour_of_week; holiday (United
    States federal holidays); local_event (zeros: the source knows of none). The calendar reaches
    four weeks beyond the last ride; the weather is known when its hour has ended, and there is no
    forecast, so as of a moment the weather after it is missing.

    Args:
        store_folder: of the metric store; made if needed.
        data_folder: holds uber_nyc_2015_borough_hour.parquet and
            uber_nyc_2015_weather_hour.parquet.
        rides_as: name under which the rides are stored, e.g. "sessions" to fit a demand model to
            them.
        known_lag_hours: rides are taken to be known this long after their hour has ended.

    Returns:
        Reports of rides, weather and calendar; their notes say what was odd.

    Raises:
        SourceError: a file is absent, not Parquet, or lacks a column.
    """
    folder = Path(data_folder)
    path = folder / "uber_nyc_2015_borough_hour.parquet"
    rides = read_parquet(path, ("hour", "borough", "rides"))
    # The wall-clock hour is part of the key: two of them fall on one instant, and both count.
    rides = rides.assign(local=rides["hour"].astype(str)).rename(columns={"borough": "region"})
    rides = rides[["hour", "local", "region", "rides"]]
    weather = read_parquet(folder / "uber_nyc_2015_weather_hour.parquet", ("hour", "temp", "pcp01"))
    regions = sorted(rides["region"].dropna().unique())
    times = local_to_utc(pd.DatetimeIndex(weather["hour"]), ZONE)
    city = pd.DataFrame(
        {
            "hour": weather["hour"],
            "temperature": (weather["temp"] - 32) / 1.8,  # from degF
            "precipitation": weather["pcp01"] * 25.4,  # from inches
            "exists": ~times.nonexistent,
        }
    )
    instants = local_to_utc(pd.DatetimeIndex(rides["hour"]), ZONE).instants
    calendar = calendar_rows(
        dict.fromkeys(regions, ZONE), instants.min(), instants.max() + CALENDAR_AHEAD
    )
    reports = MetricStore(store_folder).ingest_all(
        [
            Ingestion(_rides_table(rides_as, known_lag_hours), rides),
            Ingestion(_WEATHER, for_every_region(city, regions)),
            Ingestion(CALENDAR, calendar),
        ]
    )
    return (reports[0].with_notes(*_notes(rides, rides_as)), *reports[1:])


def _rides_table(name: str, known_lag_hours: float) -> EventTable:
    table = EventTable(
        name="uber_rides",
        columns=(
            Column("region", "text"),
            Column("hour", "instant"),
            Column("local", "text"),
            Column("rides", "number", lower=0),
        ),
        time="hour",
        known_lag_hours=known_lag_hours,
        key=("region", "local"),
        dims={"region": "region"},
        zone=ZONE,
        empty="missing",
        sums=(Sum("rides", "rides"),),
        metrics=(),
    )
    unit = "session/h" if name == "sessions" else "ride/h"
    return replace(table, metrics=(MetricSpec(name, "rides", unit),))


def _notes(rides: pd.DataFrame, name: str) -> list[str]:
    """What a reader of the figures must know, in words and numbers."""
    notes = []
    if name != "rides":
        notes.append(f"rides are stored as {name!r}")
    hours = pd.DatetimeIndex(rides["hour"])
    absent = local_to_utc(hours, ZONE).nonexistent
    for hour in hours[absent].unique():
        total = rides.loc[hours == hour, "rides"].sum()
        notes.append(
            f"{hour:%Y-%m-%d %H:%M} does not exist in {ZONE}; its {total:,.0f} rides join the "
            f"instant {local_to_utc(pd.DatetimeIndex([hour]), ZONE).instants[0]:%H:%M} UTC"
        )
    empty = rides.loc[rides["rides"].isna()]
    for hour in pd.DatetimeIndex(empty["hour"]).unique():
        notes.append(f"{hour:%Y-%m-%d %H:%M} has no figures; its cells are missing")
    totals = rides.dropna(subset="rides").groupby("hour")["rides"].sum()
    zero = totals.index[totals == 0]
    if len(zero):
        notes.append(
            f"{len(zero)} hours without a ride in any region, {zero[0]:%Y-%m-%d %H:%M} to "
            f"{zero[-1]:%Y-%m-%d %H:%M} local time: true zeros of the source"
        )
    shares = (
        rides.dropna(subset="rides")
        .groupby("region")["rides"]
        .agg(lambda x: float((x == 0).mean()))
    )
    notes.extend(
        f"region {region!r} has no rides in {share:.0%} of its hours"
        for region, share in shares.items()
        if share > _SPARSE
    )
    return notes
