"""What the picking team promises: extra hands for money, and what all hands get done."""

from dagcast_core.contract import Contract, Dim, Effect, Quantity, Weighted
from dagcast_core.dims import HOUR

DEPOT = Dim("depot")
BY_CELL = (DEPOT, HOUR)
SUM = {"depot": "sum", "hour": "sum"}
MEAN = {"depot": Weighted("orders"), "hour": Weighted("orders")}

ORDERS = Quantity("orders", BY_CELL, "order/h", aggregation=SUM, bounds=(0, None), typical=(5, 60))
ROSTERED = Quantity(
    "rostered_hours", BY_CELL, "worker-hour/h", aggregation=SUM, bounds=(0, None), typical=(2, 12)
)
OVERTIME_PAY = Quantity(
    "overtime_pay",
    BY_CELL,
    "EUR/h",
    aggregation=SUM,
    bounds=(0, None),
    typical=(0, 100),
    title="Overtime pay",
)
EXTRA_HOURS = Quantity(
    "extra_hours",
    BY_CELL,
    "worker-hour/h",
    aggregation=SUM,
    bounds=(0, None),
    typical=(0, 3),
    title="Extra worker hours",
    better="higher",
)
SENT_IN_TIME = Quantity(
    "sent_in_time",
    BY_CELL,
    "order/h",
    aggregation=SUM,
    bounds=(0, None),
    title="Orders sent in time",
    better="higher",
)
WAIT = Quantity(
    "wait", BY_CELL, "min", aggregation=MEAN, bounds=(0, None), title="Wait", better="lower"
)

HANDS = Contract(
    "extra-hands",
    inputs=(OVERTIME_PAY,),
    outputs=(EXTRA_HOURS,),
    effects=(Effect(OVERTIME_PAY, EXTRA_HOURS, sign="+", evidence="experiments on overtime_pay"),),
)
PICKING = Contract(
    "picking",
    inputs=(ORDERS, ROSTERED, EXTRA_HOURS),
    outputs=(SENT_IN_TIME, WAIT),
    effects=(
        Effect(ORDERS, SENT_IN_TIME, sign="+"),
        Effect(ROSTERED, SENT_IN_TIME, sign="+"),
        Effect(EXTRA_HOURS, SENT_IN_TIME, sign="+", evidence="a worker hour is a worker hour"),
        Effect(ORDERS, WAIT, sign="+"),
        Effect(ROSTERED, WAIT, sign="-"),
        Effect(EXTRA_HOURS, WAIT, sign="-"),
    ),
)
