"""What the readers of New York's records have in common: its clock, and its weather by hour."""

from dagcast_core.data import Check, Column, EventTable, MetricSpec, Sum

ZONE = "America/New_York"


def weather_table(flag: str, reason: str) -> EventTable:
    """The event table ``weather``: dims (region, hour), temperature in degC, precipitation in mm/h.

    Args:
        flag: name of a column; rows without it are set aside,
        reason: for this reason.
    """
    return EventTable(
        name="weather",
        columns=(
            Column("region", "text"),
            Column("hour", "instant"),
            Column(flag, "flag"),
            Column("temperature", "number", lower=-90, upper=60, nullable=True),
            Column("precipitation", "number", lower=0, upper=500, nullable=True),
        ),
        time="hour",
        key=("region", "hour"),
        dims={"region": "region"},
        zone=ZONE,
        revision="latest",
        checks=(Check(reason, f"NOT {flag}"),),
        sums=(Sum("temperature", "temperature"), Sum("precipitation", "precipitation")),
        metrics=(
            MetricSpec("temperature", "temperature", "degC"),
            MetricSpec("precipitation", "precipitation", "mm/h"),
        ),
    )
