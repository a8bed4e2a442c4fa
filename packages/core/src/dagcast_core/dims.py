"""The dimensions that every business shares: time, and the calendar's labels of parameters.

All others, such as a region or a type of incentive, belong to the packages that use them. Each
declares its own ``Dim``; two declarations of one dim match by value.
"""

from dagcast_core.contract import Dim

HOUR = Dim("hour", kind="time", frequency="h", zone="UTC", description="start of the hour, UTC")
"""Time, hour by hour: labels are starts of hours, in UTC."""
HOUR_OF_WEEK = Dim("hour_of_week", kind="int", description="local hour, Monday 00:00 is 0")
"""The local hour of the week, 0 to 167; Monday 00:00 is 0."""

__all__ = ["HOUR", "HOUR_OF_WEEK"]
