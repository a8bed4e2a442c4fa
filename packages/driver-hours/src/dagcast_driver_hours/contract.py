"""What the driver-hours team promises: hours that drivers spend online.

    earnings                                      -> earnings_pull
    calendar, earnings_pull                       -> organic_driver_hours
    incremental driver hours                      -> gained_driver_hours
    organic + gained driver hours                 -> driver_hours

Three models. Nothing here imports torch.
"""

from dagcast_core.contract import Contract, Dim, Effect, Input, Quantity
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
HOLIDAY = Quantity(
    "holiday",
    dims=(REGION, HOUR),
    unit="1",
    bounds=(0, 1),
    typical=(0, 1),
    description="1 on a public holiday of the region",
    display="number",
)
INCREMENTAL_DRIVER_HOURS = Quantity(
    "incremental_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    typical=(0, 20),
    description="driver hours that bonuses add, net of hours moved; never observed",
)
GAINED_DRIVER_HOURS = Quantity(
    "gained_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    typical=(0, 20),
    description=(
        "driver hours that bonuses add to the market, net of those that other regions lose; never "
        "observed"
    ),
    title="Gained driver hours",
    better="higher",
)
EARNINGS_SWING = Quantity(
    "earnings_swing",
    dims=(REGION, HOUR),
    unit="1",
    bounds=(0, None),
    typical=(0.8, 1.25),
    description=(
        "earnings per hour online that drivers expect of the hour, over what the same hour of the "
        "week paid in the last weeks; from hours at least a week old; 1 if as usual"
    ),
    display="number",
)
EARNINGS_LEVEL = Quantity(
    "earnings_level",
    dims=(REGION, HOUR),
    unit="1",
    bounds=(0, None),
    typical=(0.8, 1.25),
    description=(
        "mean earnings per hour online over the four weeks that end a week before the hour, over "
        "those of the history; 1 if as usual"
    ),
    display="number",
)
EARNINGS_PULL = Quantity(
    "earnings_pull",
    dims=(REGION, HOUR),
    unit="1",
    aggregation={"region": "mean", "hour": "mean"},
    bounds=(0, None),
    typical=(0.8, 1.25),
    description="organic driver hours over those at usual earnings; 1 if usual; never observed",
    title="Pull of earnings",
    display="number",
)
ORGANIC_DRIVER_HOURS = Quantity(
    "organic_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="driver hours without bonuses; never observed",
    title="Organic driver hours",
    better="higher",
)
DRIVER_HOURS = Quantity(
    "driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="hours that drivers are online: idle, on the way to a pickup or carrying",
    title="Driver hours",
    better="higher",
)

EARNINGS_CONTRACT = Contract(
    "earnings-response",
    inputs=(
        HOUR_OF_WEEK,
        Input(EARNINGS_SWING, required=False, default=1.0),
        Input(EARNINGS_LEVEL, required=False, default=1.0),
    ),
    outputs=(EARNINGS_PULL,),
    effects=(
        Effect(HOUR_OF_WEEK, EARNINGS_PULL, sign="?", differentiable=False),
        Effect(
            EARNINGS_SWING,
            EARNINGS_PULL,
            sign="+",
            evidence="Angrist, Caldwell & Hall (2021): about 1.2; experiments on it",
        ),
        Effect(
            EARNINGS_LEVEL,
            EARNINGS_PULL,
            sign="+",
            evidence="Hall, Horton & Knoepfle (2023): smaller in the long run; experiments on it",
        ),
    ),
    description="short-run and long-run elasticity of driver hours to earnings",
)
CROSSING_CONTRACT = Contract(
    "crossing-drivers",
    inputs=(HOUR_OF_WEEK, Input(INCREMENTAL_DRIVER_HOURS, required=False, default=0.0)),
    outputs=(GAINED_DRIVER_HOURS,),
    effects=(
        Effect(HOUR_OF_WEEK, GAINED_DRIVER_HOURS, sign="?", differentiable=False),
        Effect(
            INCREMENTAL_DRIVER_HOURS,
            GAINED_DRIVER_HOURS,
            sign="+",
            evidence="driver hours of other regions where bonuses were paid",
        ),
    ),
    description="what of the hours that bonuses add in a region other regions do not lose",
)
DRIVER_HOURS_CONTRACT = Contract(
    "driver-hours",
    version="2.0.0",
    inputs=(
        HOUR_OF_WEEK,
        HOLIDAY,
        Input(EARNINGS_PULL, required=False, default=1.0),
        Input(GAINED_DRIVER_HOURS, required=False, default=0.0),
    ),
    outputs=(ORGANIC_DRIVER_HOURS, DRIVER_HOURS),
    effects=(
        Effect(HOUR_OF_WEEK, ORGANIC_DRIVER_HOURS, sign="?", differentiable=False),
        Effect(HOLIDAY, ORGANIC_DRIVER_HOURS, sign="?"),
        Effect(EARNINGS_PULL, ORGANIC_DRIVER_HOURS, sign="+", evidence="by definition"),
        Effect(HOUR_OF_WEEK, DRIVER_HOURS, sign="?", differentiable=False),
        Effect(HOLIDAY, DRIVER_HOURS, sign="?"),
        Effect(EARNINGS_PULL, DRIVER_HOURS, sign="+", evidence="by definition"),
        Effect(GAINED_DRIVER_HOURS, DRIVER_HOURS, sign="+", evidence="by definition"),
    ),
    description="organic hours by calendar and earnings, plus what incentives add",
)

CONTRACTS = (EARNINGS_CONTRACT, CROSSING_CONTRACT, DRIVER_HOURS_CONTRACT)
