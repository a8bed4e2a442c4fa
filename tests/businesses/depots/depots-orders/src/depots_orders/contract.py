"""What the orders team promises. Nothing here imports torch."""

from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.dims import HOUR

DEPOT = Dim("depot")
SLOT = Quantity("slot", (DEPOT, HOUR), "1", dtype="int64", bounds=(0, 55), display="number")
ORDERS = Quantity(
    "orders",
    (DEPOT, HOUR),
    "order/h",
    aggregation={"depot": "sum", "hour": "sum"},
    bounds=(0, None),
    typical=(5, 60),
    title="Orders",
    better="higher",
)
CONTRACT = Contract(
    "orders",
    inputs=(SLOT,),
    outputs=(ORDERS,),
    effects=(Effect(SLOT, ORDERS, differentiable=False),),
)
