"""What the couriers team promises, and what it measured. Nothing here imports torch."""

from dagcast_core.contract import Arm, Cells, Change, Contract, Dim, Effect, Experiment, Quantity
from dagcast_core.dims import HOUR

VEHICLE = Dim("vehicle", description="what a courier rides or drives")
BY_CELL = (VEHICLE, HOUR)
SUM = {"vehicle": "sum", "hour": "sum"}

BOOKED = Quantity(
    "booked_parcels", BY_CELL, "parcel/h", aggregation=SUM, bounds=(0, None), typical=(10, 60)
)
PREMIUM = Quantity(
    "courier_premium",
    BY_CELL,
    "USD/h",
    aggregation=SUM,
    bounds=(0, None),
    typical=(0, 80),
    title="Courier premium",
)
COURIERS = Quantity(
    "extra_couriers",
    BY_CELL,
    "courier",
    aggregation={"vehicle": "sum"},
    bounds=(0, None),
    typical=(0, 10),
    title="Extra couriers",
    better="higher",
)
DELIVERIES = Quantity(
    "deliveries",
    BY_CELL,
    "parcel/h",
    aggregation=SUM,
    bounds=(0, None),
    title="Parcels carried",
    better="higher",
)

SUPPLY = Contract(
    "courier-supply",
    inputs=(PREMIUM,),
    outputs=(COURIERS,),
    effects=(Effect(PREMIUM, COURIERS, sign="+", evidence="premium-bikes"),),
)
CARRIED = Contract(
    "deliveries",
    inputs=(BOOKED, COURIERS),
    outputs=(DELIVERIES,),
    effects=(Effect(BOOKED, DELIVERIES, sign="+"), Effect(COURIERS, DELIVERIES, sign="+")),
)

# Two weeks in which every other hour paid bikes 40 USD more than none.
EXPERIMENT = Experiment(
    "premium-bikes",
    levers=("courier_premium",),
    outcome="deliveries",
    cells=Cells(("bike",), "2026-01-19T00:00:00+00:00", "2026-02-01T23:00:00+00:00", dim="vehicle"),
    control=Arm("none", (Change("courier_premium", "set", 0.0),)),
    treatment=Arm("40 USD", (Change("courier_premium", "set", 40.0),)),
    estimate=7.0,
    standard_error=0.5,
)
