"""The dimensions of a marketplace, declared once."""

from dagcast_core.contract import Dim

HOUR = Dim("hour", kind="time", frequency="h", zone="UTC", description="start of the hour, UTC")
HOUR_OF_WEEK = Dim("hour_of_week", kind="int", description="local hour, Monday 00:00 is 0")
INCENTIVE = Dim("incentive", vocabulary="incentive/v1", description="type of driver incentive")
REGION = Dim("region", vocabulary="region/v1", description="marketplace region")

__all__ = ["HOUR", "HOUR_OF_WEEK", "INCENTIVE", "REGION"]
