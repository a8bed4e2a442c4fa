"""Registers the marketplace's tables, regions, clock and first settings; it brings no model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast_core.contract import Calendar, LabelSet
from dagcast_core.data import EventTable, LinearMetric
from dagcast_core.hooks import hookimpl
from dagcast_marketplace._settings import SETTINGS
from dagcast_marketplace._tables import PROFIT, TABLES

if TYPE_CHECKING:
    from numpy import ndarray
    from pandas import DatetimeIndex


@hookimpl
def dagcast_tables() -> list[EventTable | LinearMetric]:
    """Declare the event tables of a marketplace, and profit."""
    return [*TABLES, PROFIT]


@hookimpl
def dagcast_labels(events: Path) -> list[LabelSet]:
    """Read the regions beside the events."""
    from dagcast_marketplace._regions import read_regions

    regions = read_regions(events)
    return [] if regions is None else [regions]


@hookimpl
def dagcast_calendars() -> list[Calendar]:
    """Declare the hour of the week, which a region's clock knows, and its country's holidays."""
    return [
        Calendar("hour_of_week", _hour_of_week),
        Calendar("holiday", _holiday, by_country=True),
    ]


@hookimpl
def dagcast_project() -> Mapping[str, Any]:
    """Give the first settings of a marketplace's project."""
    return SETTINGS


def _hour_of_week(hours: "DatetimeIndex", zone: str) -> "ndarray":
    from dagcast_core.data import hour_of_week

    return hour_of_week(hours, zone)


def _holiday(hours: "DatetimeIndex", zone: str, country: str) -> "ndarray":
    from dagcast_core.data import public_holiday

    return public_holiday(hours, zone, country)
