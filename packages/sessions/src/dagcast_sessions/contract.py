"""What the sessions team promises: app sessions per region and hour, in three parts.

    sessions = organic_sessions + weather_sessions + coupon_sessions

A session is an app opening that saw a quote. Nothing here imports torch.
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
LOCAL_EVENT = Quantity(
    "local_event",
    dims=(REGION, HOUR),
    unit="10000 people",
    bounds=(0, None),
    typical=(0, 5),
    description="expected attendance of local events near this hour",
)
TEMPERATURE = Quantity(
    "temperature", dims=(REGION, HOUR), unit="degC", typical=(-5, 35), description="air temperature"
)
PRECIPITATION = Quantity(
    "precipitation",
    dims=(REGION, HOUR),
    unit="mm/h",
    bounds=(0, None),
    typical=(0, 10),
    description="rain or melted snow",
)
COUPON_SPEND = Quantity(
    "coupon_spend",
    dims=(REGION, HOUR),
    unit="USD/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(0, 100),
    description="rider coupons redeemable in the hour",
    title="Coupon spend",
)

ORGANIC_SESSIONS = Quantity(
    "organic_sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(20, 200),
    description="sessions in usual weather and without coupons; never observed",
    title="Organic sessions",
    better="higher",
)
WEATHER_SESSIONS = Quantity(
    "weather_sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation=_SUM,
    typical=(-10, 20),
    description="sessions that the weather adds or takes away; never observed",
    title="Sessions by weather",
    better="higher",
)
COUPON_SESSIONS = Quantity(
    "coupon_sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(0, 20),
    description="sessions that coupons add; never observed",
    title="Sessions by coupons",
    better="higher",
)
SESSIONS = Quantity(
    "sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(20, 200),
    description="app openings that saw a quote",
    title="Sessions",
    better="higher",
)

ORGANIC = Contract(
    "organic-sessions",
    inputs=(HOUR_OF_WEEK, HOLIDAY, Input(LOCAL_EVENT, required=False, default=0.0)),
    outputs=(ORGANIC_SESSIONS,),
    effects=(
        Effect(HOUR_OF_WEEK, ORGANIC_SESSIONS, sign="?", differentiable=False),
        Effect(HOLIDAY, ORGANIC_SESSIONS, sign="?"),
        Effect(LOCAL_EVENT, ORGANIC_SESSIONS, sign="?"),
    ),
    description="level, local trend, hour of week, holidays and events",
)
WEATHER = Contract(
    "weather-sessions",
    inputs=(
        ORGANIC_SESSIONS,
        Input(TEMPERATURE, required=False, default=15.0),
        Input(PRECIPITATION, required=False, default=0.0),
    ),
    outputs=(WEATHER_SESSIONS,),
    effects=(
        Effect(ORGANIC_SESSIONS, WEATHER_SESSIONS, sign="?"),
        Effect(TEMPERATURE, WEATHER_SESSIONS, sign="?"),
        Effect(PRECIPITATION, WEATHER_SESSIONS, sign="?"),
    ),
    description="cold, heat and rain as factors of organic sessions",
)
COUPON = Contract(
    "coupon-sessions",
    inputs=(ORGANIC_SESSIONS, Input(COUPON_SPEND, required=False, default=0.0)),
    outputs=(COUPON_SESSIONS,),
    effects=(
        Effect(ORGANIC_SESSIONS, COUPON_SESSIONS, sign="+"),
        Effect(
            COUPON_SPEND,
            COUPON_SESSIONS,
            sign="+",
            evidence="experiments on coupon_spend; without one, the prior in the package's README",
        ),
    ),
    description="concave in coupon spend per organic session",
)
TOTAL = Contract(
    "sessions-total",
    inputs=(ORGANIC_SESSIONS, WEATHER_SESSIONS, COUPON_SESSIONS),
    outputs=(SESSIONS,),
    effects=(
        Effect(ORGANIC_SESSIONS, SESSIONS, sign="+"),
        Effect(WEATHER_SESSIONS, SESSIONS, sign="+"),
        Effect(COUPON_SESSIONS, SESSIONS, sign="+"),
    ),
    description="the sum of the parts",
)

CONTRACTS = (ORGANIC, WEATHER, COUPON, TOTAL)
