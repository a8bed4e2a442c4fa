"""Public panels that are no data of a project: experiments, and series of a benchmark."""

from readers._panels import (
    M4Series,
    read_congestion_panel,
    read_ebay_paid_search,
    read_m4_hourly,
)

__all__ = [
    "M4Series",
    "read_congestion_panel",
    "read_ebay_paid_search",
    "read_m4_hourly",
]
