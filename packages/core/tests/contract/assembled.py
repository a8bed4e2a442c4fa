"""Quantities and contracts that the tests of assembly share."""

from dagcast_core.contract import Contract, Dim, Input, Quantity, Weighted, assemble
from dagcast_core.dims import HOUR

REGION = Dim("region")
SESSIONS = Quantity(
    "sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation={"region": "sum", "hour": "sum"},
    bounds=(0, None),
)
DRIVER_HOURS = Quantity("driver_hours", dims=(REGION, HOUR), unit="driver-hour/h", bounds=(0, None))
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation={"region": Weighted("sessions")},
    bounds=(0, 60),
)


def lines(*contracts, externals=(), **kwargs):
    return [str(p) for p in assemble(contracts, externals=externals, **kwargs).problems]


def make(name, reads=(), makes=(), **fields):
    def quantity(item):
        return item if isinstance(item, (Quantity, Input)) else Quantity(item, (REGION, HOUR), "1")

    return Contract(
        name, inputs=tuple(map(quantity, reads)), outputs=tuple(map(quantity, makes)), **fields
    )
