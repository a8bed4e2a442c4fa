"""Sources into metric stores: the marketplace's event files, and public data from real cities."""

from dagcast.ingest._calendars import calendar_rows
from dagcast.ingest._hvfhv import ingest_hvfhv, zone_boroughs
from dagcast.ingest._laguardia import ingest_laguardia
from dagcast.ingest._manhattan import ingest_manhattan_taxi
from dagcast.ingest._marketplace import (
    Region,
    ingest_marketplace,
    read_experiments,
    read_regions,
)
from dagcast.ingest._panels import (
    M4Series,
    read_congestion_panel,
    read_ebay_paid_search,
    read_m4_hourly,
)
from dagcast.ingest._tables import PROFIT, TABLES
from dagcast.ingest._tlc_vintages import ingest_tlc_vintages
from dagcast.ingest._uber_2012 import ingest_uber_2012
from dagcast.ingest._uber_2015 import ingest_uber_2015

__all__ = [
    "PROFIT",
    "TABLES",
    "M4Series",
    "Region",
    "calendar_rows",
    "ingest_hvfhv",
    "ingest_laguardia",
    "ingest_manhattan_taxi",
    "ingest_marketplace",
    "ingest_tlc_vintages",
    "ingest_uber_2012",
    "ingest_uber_2015",
    "read_congestion_panel",
    "read_ebay_paid_search",
    "read_experiments",
    "read_m4_hourly",
    "read_regions",
    "zone_boroughs",
]
