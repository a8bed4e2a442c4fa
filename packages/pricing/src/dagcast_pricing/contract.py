"""What the pricing team promises: prime time, conversion, rides and money.

Six models in a row; nothing here imports torch.
"""

from dagcast_core.contract import Contract, Dim, Effect, Input, Quantity, Weighted
from dagcast_core.dims import HOUR

INCENTIVE = Dim("incentive", description="type of driver incentive")
REGION = Dim("region", description="marketplace region")

_SUM = {"region": "sum", "hour": "sum"}
_BY_SESSIONS = {"region": Weighted("sessions"), "hour": Weighted("sessions")}

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
    typical=(10, 60),
    description="hours that drivers are online: idle, on the way to a pickup or carrying",
)
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation=_BY_SESSIONS,
    bounds=(0, None),
    typical=(2, 12),
    description="mean quoted pickup time",
)
BASE_FARE = Quantity(
    "base_fare",
    dims=(REGION, HOUR),
    unit="USD/ride",
    bounds=(0, None),
    typical=(10, 20),
    description="mean fare of a ride before prime time",
    title="Base fare",
)
INCENTIVE_SPEND = Quantity(
    "incentive_spend",
    dims=(INCENTIVE, REGION, HOUR),
    unit="USD/h",
    aggregation={"incentive": "sum", "region": "sum", "hour": "sum"},
    bounds=(0, None),
    typical=(0, 100),
    description="driver bonuses paid for the hour, by type",
)
COUPON_SPEND = Quantity(
    "coupon_spend",
    dims=(REGION, HOUR),
    unit="USD/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(0, 100),
    description="rider coupons redeemable in the hour",
)

MARKET_LOAD = Quantity(
    "market_load",
    dims=(REGION, HOUR),
    unit="1",
    aggregation=_BY_SESSIONS,
    typical=(-1, 3),
    description="log of sessions per driver hour, hours counted as they relieve; never observed",
    title="Load of the market",
    better="lower",
    display="number",
)
PRIME_TIME = Quantity(
    "prime_time",
    dims=(REGION, HOUR),
    unit="1",
    aggregation=_BY_SESSIONS,
    bounds=(0, None),
    typical=(0, 1),
    description="mean surcharge as a share of the base fare; 0.25 is +25 %",
    title="Prime time",
    better="lower",
)
QUOTE_APPEAL = Quantity(
    "quote_appeal",
    dims=(REGION, HOUR),
    unit="log odds",
    aggregation=_BY_SESSIONS,
    typical=(-1, 1),
    description="what price and ETA add to the log odds of riding; 0 if usual; never observed",
    title="Appeal of the quote",
    better="higher",
)
CONVERSION = Quantity(
    "conversion",
    dims=(REGION, HOUR),
    unit="1",
    aggregation=_BY_SESSIONS,
    bounds=(0, 1),
    typical=(0.3, 0.8),
    description="rides wanted per session at the quoted price and ETA; never observed",
    title="Conversion",
    better="higher",
)
RIDES = Quantity(
    "rides",
    dims=(REGION, HOUR),
    unit="ride/h",
    aggregation=_SUM,
    bounds=(0, None),
    typical=(10, 60),
    description="completed rides",
    title="Rides",
    better="higher",
)
REVENUE = Quantity(
    "revenue",
    dims=(REGION, HOUR),
    unit="USD/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="riders' fares",
    title="Fares",
    better="higher",
)
DRIVER_PAY = Quantity(
    "driver_pay",
    dims=(REGION, HOUR),
    unit="USD/h",
    aggregation=_SUM,
    bounds=(0, None),
    description="drivers' pay for trips, without bonuses",
    title="Driver pay",
)
PROFIT = Quantity(
    "profit",
    dims=(REGION, HOUR),
    unit="USD/h",
    aggregation=_SUM,
    description="revenue less driver pay, incentive spend and coupon spend",
    title="Profit",
    better="higher",
)

LOAD_CONTRACT = Contract(
    "market-load",
    inputs=(SESSIONS, DRIVER_HOURS, HOUR_OF_WEEK),
    outputs=(MARKET_LOAD,),
    effects=(
        Effect(SESSIONS, MARKET_LOAD, sign="+", evidence="by definition"),
        Effect(
            DRIVER_HOURS,
            MARKET_LOAD,
            sign="-",
            evidence="experiments from driver hours to prime time; prior from how history errs",
        ),
        Effect(HOUR_OF_WEEK, MARKET_LOAD, sign="?", differentiable=False),
    ),
    description="sessions per driver hour, with the relief that further hours bring",
)
PRIME_TIME_CONTRACT = Contract(
    "prime-time",
    version="2.0.0",
    inputs=(MARKET_LOAD, HOUR_OF_WEEK),
    outputs=(PRIME_TIME,),
    effects=(
        Effect(MARKET_LOAD, PRIME_TIME, sign="+", evidence="the surcharge rule of the market"),
        Effect(HOUR_OF_WEEK, PRIME_TIME, sign="?", differentiable=False),
    ),
    description="surcharge from the load of the market",
)
APPEAL_CONTRACT = Contract(
    "quote-appeal",
    inputs=(PRIME_TIME, ETA, BASE_FARE),
    outputs=(QUOTE_APPEAL,),
    effects=(
        Effect(
            PRIME_TIME,
            QUOTE_APPEAL,
            sign="-",
            evidence="price experiments; prior elasticity of requests -0.25 to -0.54",
        ),
        Effect(
            BASE_FARE,
            QUOTE_APPEAL,
            sign="-",
            evidence="price experiments; prior elasticity of requests -0.25 to -0.54",
        ),
        Effect(
            ETA,
            QUOTE_APPEAL,
            sign="-",
            evidence="experiments from driver hours or spend to rides; prior from impatience",
        ),
    ),
    description="log price and ETA against the usual ones",
)
CONVERSION_CONTRACT = Contract(
    "conversion",
    inputs=(QUOTE_APPEAL, HOUR_OF_WEEK),
    outputs=(CONVERSION,),
    effects=(
        Effect(QUOTE_APPEAL, CONVERSION, sign="+", evidence="by definition"),
        Effect(HOUR_OF_WEEK, CONVERSION, sign="?", differentiable=False),
    ),
    description="logistic in the appeal of the quote",
)
RIDES_CONTRACT = Contract(
    "rides",
    inputs=(SESSIONS, CONVERSION, DRIVER_HOURS),
    outputs=(RIDES,),
    effects=(
        Effect(SESSIONS, RIDES, sign="+", evidence="by definition"),
        Effect(CONVERSION, RIDES, sign="+", evidence="by definition"),
        Effect(DRIVER_HOURS, RIDES, sign="+", evidence="drivers can serve so many rides an hour"),
    ),
    description="rides wanted, up to what the drivers can serve",
)
MONEY_CONTRACT = Contract(
    "money",
    inputs=(
        RIDES,
        PRIME_TIME,
        BASE_FARE,
        Input(INCENTIVE_SPEND, required=False, default=0.0),
        Input(COUPON_SPEND, required=False, default=0.0),
    ),
    outputs=(REVENUE, DRIVER_PAY, PROFIT),
    effects=(
        Effect(RIDES, REVENUE, sign="+", evidence="by definition"),
        Effect(PRIME_TIME, REVENUE, sign="+", evidence="by definition"),
        Effect(BASE_FARE, REVENUE, sign="+", evidence="by definition"),
        Effect(RIDES, DRIVER_PAY, sign="+", evidence="by definition"),
        Effect(PRIME_TIME, DRIVER_PAY, sign="+", evidence="by definition"),
        Effect(BASE_FARE, DRIVER_PAY, sign="+", evidence="by definition"),
        Effect(RIDES, PROFIT, sign="?"),
        Effect(PRIME_TIME, PROFIT, sign="?"),
        Effect(BASE_FARE, PROFIT, sign="?"),
        Effect(INCENTIVE_SPEND, PROFIT, sign="-", evidence="by definition"),
        Effect(COUPON_SPEND, PROFIT, sign="-", evidence="by definition"),
    ),
    description="fares, drivers' pay and what is left",
)

CONTRACTS = (
    LOAD_CONTRACT,
    PRIME_TIME_CONTRACT,
    APPEAL_CONTRACT,
    CONVERSION_CONTRACT,
    RIDES_CONTRACT,
    MONEY_CONTRACT,
)
