"""Calendar features from each region's own clock."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._zone import zone_info


def hour_of_week(hours: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Local hour of the week of each instant.

    Args:
        hours: tz-aware instants.
        zone: IANA name of the region's zone.

    Returns:
        int64, 0 for Monday 00:00 local time up to 167. On the day clocks go forward one value is
        skipped and on the day they go back one occurs twice, so no hour is lost or doubled.
    """
    local = _local(hours, zone)
    return np.asarray(local.day_of_week * 24 + local.hour, dtype=np.int64)


def us_federal_holiday(hours: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Whether each instant falls on a United States federal holiday by the local date.

    The rule is pandas' ``USFederalHolidayCalendar``: fixed-date holidays on a weekend are observed
    on the nearest weekday, and only the observed day counts.

    Returns:
        float64, 1.0 on holidays and 0.0 otherwise.
    """
    local = _local(hours, zone)
    if not len(local):
        return np.zeros(0)
    days = local.tz_localize(None).normalize()
    holidays = USFederalHolidayCalendar().holidays(days.min(), days.max())
    return np.asarray(days.isin(holidays), dtype=np.float64)


def _local(hours: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    if hours.tz is None:
        raise DeclarationError(
            f"cannot take local hours in {zone!r}: expected instants with a zone; found naive "
            f"times. Attach one first: hours.tz_localize('UTC')."
        )
    return hours.tz_convert(zone_info(zone))
