"""What the ETA team promises: the mean quoted pickup time.

Two models in a row; nothing here imports torch.
"""

from dagcast_core.contract import Contract, Dim, Effect, Quantity, Weighted
from dagcast_core.dims import HOUR

REGION = Dim("region", description="marketplace region")

_SUM = {"region": "sum", "hour": "sum"}

HOUR_OF_WEEK = Quantity(
    "hour_of_week",
    dims=(REGION, HOUR),
    unit="1",
    dtype="int64",
    bounds=(0, 167),
    description="local hour of the week, Monday 00:00 is 0",
    display="number",
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
PICKUP_STRETCH = Quantity(
    "pickup_stretch",
    dims=(REGION, HOUR),
    unit="1",
    aggregation={"region": Weighted("sessions"), "hour": Weighted("sessions")},
    bounds=(0, None),
    typical=(0.6, 2),
    description="pickup time over that at the region's usual balance; 1 if usual; never observed",
    title="Pickup stretch",
    better="lower",
    display="number",
)
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation={"region": Weighted("sessions"), "hour": Weighted("sessions")},
    bounds=(0, None),
    description="mean quoted pickup time",
    title="Pickup ETA",
    better="lower",
)

STRETCH_CONTRACT = Contract(
    "pickup-stretch",
    inputs=(SESSIONS, DRIVER_HOURS),
    outputs=(PICKUP_STRETCH,),
    effects=(
        Effect(
            DRIVER_HOURS,
            PICKUP_STRETCH,
            sign="-",
            evidence="driver-hours identity; exponent near 1/2 from geometry; experiments",
        ),
        Effect(SESSIONS, PICKUP_STRETCH, sign="+", evidence="driver-hours identity"),
    ),
    description="pickup from idle drivers, idle drivers from the identity after riders answered",
)
ETA_CONTRACT = Contract(
    "eta",
    version="2.0.0",
    inputs=(PICKUP_STRETCH, HOUR_OF_WEEK),
    outputs=(ETA,),
    effects=(
        Effect(PICKUP_STRETCH, ETA, sign="+", evidence="by definition"),
        Effect(HOUR_OF_WEEK, ETA, sign="?", differentiable=False),
    ),
    description="usual pickup of region and hour of week, times the stretch",
)

CONTRACTS = (STRETCH_CONTRACT, ETA_CONTRACT)
