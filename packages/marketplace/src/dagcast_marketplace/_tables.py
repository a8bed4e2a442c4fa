"""What a ride-hailing marketplace's event files hold, and which metrics come out of them.

Importing this needs neither pandas nor DuckDB: declarations are compared before any event.
"""

from dagcast_core.data import Check, Column, EventTable, Implied, LinearMetric, MetricSpec, Sum

_REGION = {"region": "region"}
_CELL = (Column("region", "text"), Column("hour", "instant"), Column("known_at", "instant"))

SESSIONS = EventTable(
    name="sessions",
    columns=(
        Column("session_id", "integer"),
        Column("region", "text"),
        Column("opened_at", "instant"),
        Column("known_at", "instant"),
        Column("eta_min", "number", lower=0, upper=24 * 60),
        Column("prime_time", "number", lower=0, upper=20),
        Column("requested", "flag"),
        Column("completed", "flag"),
        Column("fare", "number", lower=0),
        Column("driver_pay", "number", lower=0),
    ),
    time="opened_at",
    known_at="known_at",
    key=("session_id",),
    dims=_REGION,
    # A whole hour without a session anywhere is an outage of the log, not of the city.
    empty="zero unless gap",
    late_after_hours=4,
    checks=(
        Check("completed without a request", "completed AND NOT requested"),
        Check("paid without a ride", "NOT completed AND (fare > 0 OR driver_pay > 0)"),
    ),
    sums=(
        Sum("eta_min", "eta_min"),
        Sum("prime_time", "prime_time"),
        Sum("rides", "CASE WHEN completed THEN 1 ELSE 0 END"),
        Sum("fare", "fare"),
        Sum("driver_pay", "driver_pay"),
    ),
    metrics=(
        MetricSpec("sessions", "n", "session/h"),
        MetricSpec("eta", "eta_min", "min", per="n"),
        MetricSpec("prime_time", "prime_time", "1", per="n"),
        MetricSpec("rides", "rides", "ride/h"),
        MetricSpec("revenue", "fare", "USD/h"),
        MetricSpec("driver_pay", "driver_pay", "USD/h"),
    ),
)

SHIFTS = EventTable(
    name="shifts",
    columns=(
        Column("shift_id", "integer"),
        Column("driver_id", "integer"),
        Column("region", "text"),
        Column("on_at", "instant"),
        Column("off_at", "instant"),
        Column("known_at", "instant"),
    ),
    time="on_at",
    until="off_at",
    known_at="known_at",
    key=("shift_id",),
    dims=_REGION,
    empty="zero unless gap",
    late_after_hours=4,
    # A ride needs a driver's hour: where rides were logged and no shift, shifts are missing.
    implied_by=(Implied("sessions", "rides"),),
    checks=(Check("known before off_at", "known_at < off_at"),),
    sums=(Sum("online", "microseconds"),),
    metrics=(MetricSpec("driver_hours", "online", "driver-hour/h", divisor=3.6e9),),
)

SPEND = EventTable(
    name="spend",
    columns=(*_CELL, Column("incentive", "text"), Column("usd", "number")),
    time="hour",
    known_at="known_at",
    # A correction is a further row that is known later; only the same report twice is a duplicate.
    key=("incentive", "region", "hour", "known_at"),
    dims={"incentive": "incentive", "region": "region"},
    empty="zero",
    foreseeable=True,
    decided=True,
    # What is not in the log was not given, as long as sessions were logged.
    like="sessions",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("incentive_spend", "usd", "USD/h"),),
)

COUPONS = EventTable(
    name="coupons",
    columns=(*_CELL, Column("usd", "number")),
    time="hour",
    known_at="known_at",
    key=("region", "hour", "known_at"),
    dims=_REGION,
    empty="zero",
    foreseeable=True,
    decided=True,
    # What is not in the log was not given, as long as sessions were logged.
    like="sessions",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("coupon_spend", "usd", "USD/h"),),
)

FARES = EventTable(
    name="fares",
    columns=(*_CELL, Column("base_fare", "number", lower=0)),
    time="hour",
    known_at="known_at",
    key=("region", "hour", "known_at"),
    dims=_REGION,
    revision="latest",
    foreseeable=True,
    decided=True,
    sums=(Sum("base_fare", "base_fare"),),
    metrics=(MetricSpec("base_fare", "base_fare", "USD/ride"),),
)

WEATHER = EventTable(
    name="weather",
    columns=(
        *_CELL,
        Column("temperature", "number", lower=-90, upper=60, nullable=True),
        Column("precipitation", "number", lower=0, upper=500, nullable=True),
        Column("is_forecast", "flag"),
    ),
    time="hour",
    known_at="known_at",
    key=("region", "hour", "known_at"),
    dims=_REGION,
    # A forecast stands until the observation is known.
    revision="latest",
    foreseeable=True,
    checks=(Check("observed before its hour", "NOT is_forecast AND known_at < hour"),),
    sums=(Sum("temperature", "temperature"), Sum("precipitation", "precipitation")),
    metrics=(
        MetricSpec("temperature", "temperature", "degC"),
        MetricSpec("precipitation", "precipitation", "mm/h"),
    ),
)

CALENDAR = EventTable(
    name="calendar",
    columns=(
        *_CELL,
        Column("hour_of_week", "integer", lower=0, upper=167),
        Column("holiday", "flag"),
        Column("local_event", "number", lower=0),
    ),
    time="hour",
    known_at="known_at",
    key=("region", "hour", "known_at"),
    dims=_REGION,
    revision="latest",
    foreseeable=True,
    late_after_hours=24 * 365,
    sums=(
        Sum("hour_of_week", "hour_of_week"),
        Sum("holiday", "CASE WHEN holiday THEN 1 ELSE 0 END"),
        Sum("local_event", "local_event"),
    ),
    metrics=(
        MetricSpec("hour_of_week", "hour_of_week", "1", dtype="int64"),
        MetricSpec("holiday", "holiday", "1"),
        MetricSpec("local_event", "local_event", "10000 people"),
    ),
)

PROFIT = LinearMetric(
    "profit",
    "USD/h",
    {"revenue": 1.0, "driver_pay": -1.0, "incentive_spend": -1.0, "coupon_spend": -1.0},
)
"""Profit as it is measured: revenue less driver pay, bonuses and coupons, in USD/h."""

TABLES: tuple[EventTable, ...] = (SESSIONS, SHIFTS, SPEND, COUPONS, FARES, WEATHER, CALENDAR)
"""Every event table of a marketplace; sessions, whose hours the others cover, comes first."""
