"""Sources into metric stores: the marketplace's event files."""

from dagcast.ingest._marketplace import (
    Region,
    ingest_marketplace,
    read_experiments,
    read_regions,
)
from dagcast.ingest._tables import PROFIT, TABLES

__all__ = [
    "PROFIT",
    "TABLES",
    "Region",
    "ingest_marketplace",
    "read_experiments",
    "read_regions",
]
