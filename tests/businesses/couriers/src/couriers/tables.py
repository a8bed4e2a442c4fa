"""Parcels that were booked and carried, and what couriers were paid for an hour, by vehicle."""

from dagcast_core.data import Column, EventTable, MetricSpec, Sum

CELL = (Column("vehicle", "text"), Column("hour", "instant"), Column("known_at", "instant"))
KEY = ("vehicle", "hour", "known_at")
VEHICLE = {"vehicle": "vehicle"}

BOOKINGS = EventTable(
    name="bookings",
    columns=(*CELL, Column("parcels", "number", lower=0)),
    time="hour",
    known_at="known_at",
    key=KEY,
    dims=VEHICLE,
    revision="latest",
    # Shops book weeks ahead.
    foreseeable=True,
    sums=(Sum("parcels", "parcels"),),
    metrics=(MetricSpec("booked_parcels", "parcels", "parcel/h", across="sum"),),
)
DELIVERIES = EventTable(
    name="deliveries",
    columns=(*CELL, Column("parcels", "number", lower=0)),
    time="hour",
    known_at="known_at",
    key=KEY,
    dims=VEHICLE,
    empty="zero",
    sums=(Sum("parcels", "parcels"),),
    metrics=(MetricSpec("deliveries", "parcels", "parcel/h"),),
)
PREMIUMS = EventTable(
    name="premiums",
    columns=(*CELL, Column("usd", "number")),
    time="hour",
    known_at="known_at",
    key=KEY,
    dims=VEHICLE,
    empty="zero",
    foreseeable=True,
    decided=True,
    # What is not in the file was not paid, as long as parcels were carried.
    like="deliveries",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("courier_premium", "usd", "USD/h"),),
)
