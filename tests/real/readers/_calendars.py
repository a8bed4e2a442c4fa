"""Calendars for real regions, from their own clocks, in the marketplace's own table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dagcast_core.data import hour_of_week, us_federal_holiday
from dagcast_marketplace import TABLES

CALENDAR = next(table for table in TABLES if table.name == "calendar")

KNOWN_AHEAD = pd.Timedelta(days=365)
"""A calendar is known this long before its hours."""


def calendar_rows(zones: Mapping[str, str], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Rows of the event table ``calendar`` for American regions.

    Args:
        zones: region -> IANA name of its clock.
        start: first hour, an instant.
        end: last hour, inclusive.

    Returns:
        Columns region, hour, hour_of_week (0 is Monday 00:00 local time), holiday (United States
        federal holidays, by local date), local_event (0: none is known of), known_at.
    """
    hours = pd.date_range(start, end, freq="h", tz="UTC").as_unit("us")
    frames = [
        pd.DataFrame(
            {
                "region": region,
                "hour": hours,
                "hour_of_week": hour_of_week(hours, zone),
                "holiday": us_federal_holiday(hours, zone) > 0,
                "local_event": np.zeros(len(hours)),
                "known_at": hours - KNOWN_AHEAD,
            }
        )
        for region, zone in zones.items()
    ]
    return pd.concat(frames, ignore_index=True)


def for_every_region(frame: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Repeats the rows of a city for each of its regions, in a new column ``region``."""
    return pd.concat([frame.assign(region=region) for region in regions], ignore_index=True)
