"""What the ETA team promises: the mean quoted pickup time. Nothing here imports torch."""

from dagcast_core.contract import Contract, Effect, Quantity, Weighted
from dagcast_core.dims import HOUR, REGION

_SUM = {"region": "sum", "hour": "sum"}

HOUR_OF_WEEK = Quantity(
    "hour_of_week",
    dims=(REGION, HOUR),
    unit="1",
    dtype="int64",
    bounds=(0, 167),
    description="local hour of the week, Monday 00:00 is 0",
)
SESSIONS = Quantity(
    "sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(20, 100),
    description="app openings that saw a quote",
)
DRIVER_HOURS = Quantity(
    "driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(50, 200),
    description="hours that drivers are online: idle, on the way to a pickup or carrying",
)
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation={"region": Weighted("sessions"), "hour": Weighted("sessions")},
    bounds=(0, None),
    description="mean quoted pickup time",
)

ETA_CONTRACT = Contract(
    "eta",
    inputs=(SESSIONS, DRIVER_HOURS, HOUR_OF_WEEK),
    outputs=(ETA,),
    effects=(
        Effect(
            DRIVER_HOURS,
            ETA,
            sign="-",
            evidence="driver-hours identity; exponent near 1/2 from geometry and experiments",
        ),
        Effect(SESSIONS, ETA, sign="+", evidence="driver-hours identity"),
        Effect(HOUR_OF_WEEK, ETA, sign="?", differentiable=False),
    ),
    description="pickup time from idle drivers, idle drivers from the driver-hours identity",
)

CONTRACTS = (ETA_CONTRACT,)
