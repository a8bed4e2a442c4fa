"""What the rides team promises and asks. Nothing here imports torch."""

from dagcast_core.contract import Contract, Dim, Effect, Input, Quantity, Weighted
from dagcast_core.dims import HOUR

REGION = Dim("region")
BY_CELL = (REGION, HOUR)
SUM = {"region": "sum", "hour": "sum"}
SESSIONS = Quantity(
    "sessions", BY_CELL, "session/h", aggregation=SUM, bounds=(0, None), typical=(20, 100)
)
PRICE = Quantity("price", BY_CELL, "USD/ride", bounds=(0, 100), typical=(5, 20))
HOUR_OF_WEEK = Quantity("hour_of_week", BY_CELL, "1", dtype="int64", bounds=(0, 167))
RAIN = Quantity("rain", BY_CELL, "mm/h", bounds=(0, None), typical=(0, 10))
BY_SESSIONS = {"region": Weighted("sessions"), "hour": Weighted("sessions")}
CHANCE = Quantity("chance", BY_CELL, "1", aggregation=BY_SESSIONS, bounds=(0, 1))
RIDES = Quantity("rides", BY_CELL, "ride/h", aggregation=SUM, bounds=(0, None))

CONTRACT = Contract(
    "rides",
    version="1.0.0",
    inputs=(SESSIONS, PRICE, HOUR_OF_WEEK, Input(RAIN, required=False, default=0.0)),
    outputs=(CHANCE, RIDES),
    effects=(
        Effect(PRICE, CHANCE, sign="-", evidence="price-2"),
        Effect(HOUR_OF_WEEK, CHANCE, sign="?", differentiable=False),
        Effect(RAIN, CHANCE, sign="?"),
        Effect(SESSIONS, RIDES, sign="+"),
        Effect(PRICE, RIDES, sign="-", evidence="price-2"),
        Effect(HOUR_OF_WEEK, RIDES, sign="?", differentiable=False),
        Effect(RAIN, RIDES, sign="?"),
    ),
)
