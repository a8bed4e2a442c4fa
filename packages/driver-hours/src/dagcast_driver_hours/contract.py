"""What the driver-hours team promises: hours that drivers spend online.

    driver_hours = organic_driver_hours + incremental_driver_hours

Nothing here imports torch.
"""

from dagcast_core.contract import Contract, Effect, Input, Quantity
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
HOLIDAY = Quantity(
    "holiday",
    dims=(REGION, HOUR),
    unit="1",
    bounds=(0, 1),
    typical=(0, 1),
    description="1 on a public holiday of the region",
)
INCREMENTAL_DRIVER_HOURS = Quantity(
    "incremental_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    typical=(0, 20),
    description="driver hours that bonuses add, net of hours moved; never observed",
)
ORGANIC_DRIVER_HOURS = Quantity(
    "organic_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="driver hours without bonuses; never observed",
)
DRIVER_HOURS = Quantity(
    "driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="hours that drivers are online: idle, on the way to a pickup or carrying",
)

DRIVER_HOURS_CONTRACT = Contract(
    "driver-hours",
    inputs=(
        HOUR_OF_WEEK,
        HOLIDAY,
        Input(INCREMENTAL_DRIVER_HOURS, required=False, default=0.0),
    ),
    outputs=(ORGANIC_DRIVER_HOURS, DRIVER_HOURS),
    effects=(
        Effect(HOUR_OF_WEEK, ORGANIC_DRIVER_HOURS, sign="?", differentiable=False),
        Effect(HOLIDAY, ORGANIC_DRIVER_HOURS, sign="?"),
        Effect(HOUR_OF_WEEK, DRIVER_HOURS, sign="?", differentiable=False),
        Effect(HOLIDAY, DRIVER_HOURS, sign="?"),
        Effect(INCREMENTAL_DRIVER_HOURS, DRIVER_HOURS, sign="+", evidence="by definition"),
    ),
    description="organic hours by calendar, plus what incentives add",
)

CONTRACTS = (DRIVER_HOURS_CONTRACT,)
