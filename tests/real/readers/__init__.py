"""Public data of real cities into metric stores: one module for each source, its oddities named."""

from readers._hvfhv import ingest_hvfhv, zone_boroughs
from readers._laguardia import ingest_laguardia
from readers._manhattan import ingest_manhattan_taxi
from readers._panels import (
    M4Series,
    read_congestion_panel,
    read_ebay_paid_search,
    read_m4_hourly,
)
from readers._tlc_vintages import ingest_tlc_vintages
from readers._uber_2012 import ingest_uber_2012
from readers._uber_2015 import ingest_uber_2015

__all__ = [
    "M4Series",
    "ingest_hvfhv",
    "ingest_laguardia",
    "ingest_manhattan_taxi",
    "ingest_tlc_vintages",
    "ingest_uber_2012",
    "ingest_uber_2015",
    "read_congestion_panel",
    "read_ebay_paid_search",
    "read_m4_hourly",
    "zone_boroughs",
]
