"""What the event files of a chain of depots hold, and which metrics come out of them."""

from dagcast_core.data import Check, Column, EventTable, MetricSpec, Sum

DEPOT = {"depot": "depot"}

ORDERS = EventTable(
    name="orders",
    columns=(
        Column("order_id", "integer"),
        Column("depot", "text"),
        Column("placed_at", "instant"),
        Column("known_at", "instant"),
        Column("wait_min", "number", lower=0),
        Column("in_time", "flag"),
    ),
    time="placed_at",
    known_at="known_at",
    key=("order_id",),
    dims=DEPOT,
    empty="zero unless gap",
    sums=(Sum("wait", "wait_min"), Sum("in_time", "CASE WHEN in_time THEN 1 ELSE 0 END")),
    metrics=(
        MetricSpec("orders", "n", "order/h"),
        MetricSpec("wait", "wait", "min", per="n"),
        MetricSpec("sent_in_time", "in_time", "order/h"),
    ),
)

SHIFTS = EventTable(
    name="shifts",
    columns=(
        Column("shift_id", "integer"),
        Column("depot", "text"),
        Column("starts_at", "instant"),
        Column("ends_at", "instant"),
        Column("known_at", "instant"),
    ),
    time="starts_at",
    until="ends_at",
    known_at="known_at",
    key=("shift_id",),
    dims=DEPOT,
    empty="zero",
    # The roster of a week hangs on the wall before it begins.
    foreseeable=True,
    decided=True,
    checks=(Check("no shift at all", "ends_at <= starts_at"),),
    sums=(Sum("rostered", "microseconds"),),
    metrics=(MetricSpec("rostered_hours", "rostered", "worker-hour/h", divisor=3.6e9),),
)

OVERTIME = EventTable(
    name="overtime",
    columns=(
        Column("depot", "text"),
        Column("hour", "instant"),
        Column("eur", "number"),
        Column("known_at", "instant"),
    ),
    time="hour",
    known_at="known_at",
    key=("depot", "hour", "known_at"),
    dims=DEPOT,
    empty="zero",
    foreseeable=True,
    decided=True,
    # What is not in the file was not paid, as long as orders came in.
    like="orders",
    sums=(Sum("eur", "eur"),),
    metrics=(MetricSpec("overtime_pay", "eur", "EUR/h"),),
)
