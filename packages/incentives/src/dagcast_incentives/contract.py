"""What the incentives team promises: driver hours that bonus spend adds.

Nothing here imports torch.
"""

from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.dims import HOUR

INCENTIVE = Dim("incentive", description="type of driver incentive")
REGION = Dim("region", description="marketplace region")

HOUR_OF_WEEK = Quantity(
    "hour_of_week",
    dims=(REGION, HOUR),
    unit="1",
    dtype="int64",
    bounds=(0, 167),
    description="local hour of the week, Monday 00:00 is 0",
    display="number",
)
INCENTIVE_SPEND = Quantity(
    "incentive_spend",
    dims=(INCENTIVE, REGION, HOUR),
    unit="USD/h",
    aggregation={"incentive": "sum", "region": "sum", "hour": "sum"},
    bounds=(0, None),
    typical=(0, 100),
    description="driver bonuses paid for the hour, by type",
    title="Incentive spend",
)
INCREMENTAL_DRIVER_HOURS = Quantity(
    "incremental_driver_hours",
    dims=(REGION, HOUR),
    unit="driver-hour/h",
    aggregation={"region": "sum", "hour": "sum"},
    description="driver hours that bonuses add, net of hours moved; never observed",
    title="Incremental driver hours",
    better="higher",
)

INCENTIVES = Contract(
    "incentives",
    inputs=(INCENTIVE_SPEND, HOUR_OF_WEEK),
    outputs=(INCREMENTAL_DRIVER_HOURS,),
    effects=(
        Effect(
            INCENTIVE_SPEND,
            INCREMENTAL_DRIVER_HOURS,
            sign="+",
            evidence="experiments on incentive_spend; between them, the priors in the README",
        ),
        Effect(HOUR_OF_WEEK, INCREMENTAL_DRIVER_HOURS, sign="?", differentiable=False),
    ),
    description="saturating response to spend, carried over and partly moved from later hours",
)

CONTRACTS = (INCENTIVES,)
