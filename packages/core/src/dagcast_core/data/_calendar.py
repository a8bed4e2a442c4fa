"""Calendar features from each label's own clock and country."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

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


def public_holiday(hours: pd.DatetimeIndex, zone: str, country: str) -> np.ndarray:
    """Whether each instant falls on a public holiday of a country, by the local date.

    Args:
        hours: tz-aware instants.
        zone: IANA name of the label's zone.
        country: its code of ISO 3166, such as "US", with a subdivision where it keeps days of its
            own: "US-CA".

    Returns:
        float64, 1.0 on holidays, observed ones included, and 0.0 otherwise.

    Raises:
        DeclarationError: no such country or subdivision is known.

    Source: the package holidays (github.com/vacanza/holidays).
    """
    local = _local(hours, zone)
    if not len(local):
        return np.zeros(0)
    import holidays

    code, _, part = country.partition("-")
    years = range(local[0].year, local[-1].year + 1)
    try:
        kept = holidays.country_holidays(code, subdiv=part or None, years=years)
    except NotImplementedError as error:
        raise DeclarationError(
            f"cannot tell the holidays of {country!r}: expected a code of ISO 3166 such as 'US' or "
            f"'US-CA'; found none that is known. Correct it, or bring a calendar of your own."
        ) from error
    days = local.tz_localize(None).normalize()
    return np.asarray(days.isin(pd.DatetimeIndex(sorted(kept))), dtype=np.float64)


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for path in (resources.files("tzdata") / "zoneinfo", Path("/usr/share/zoneinfo")):
        try:
            lines = (path / "zone.tab").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            if line and not line.startswith("#"):
                code, _, zone, *_ = line.split("\t")
                found.setdefault(zone, code)
        break
    return found


def zone_country(zone: str) -> str | None:
    """Code of the country in which a zone lies; None for one of no country, such as UTC.

    Source: zone.tab of the zone database.
    """
    return _countries().get(zone)


def _local(hours: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    if hours.tz is None:
        raise DeclarationError(
            f"cannot take local hours in {zone!r}: expected instants with a zone; found naive "
            f"times. Attach one first: hours.tz_localize('UTC')."
        )
    return hours.tz_convert(zone_info(zone))
