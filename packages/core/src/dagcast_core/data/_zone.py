"""Zones by name, apart from the arithmetic of clocks: a declaration needs no pandas."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dagcast_core.data._errors import DeclarationError


def zone_info(zone: str) -> ZoneInfo:
    """Looks a zone up by its IANA name.

    Raises:
        DeclarationError: no such zone.
    """
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise DeclarationError(
            f"cannot read local times of zone {zone!r}: expected an IANA name such as "
            f"'America/New_York' or 'UTC'; found no such zone in the zone database. "
            f"Correct the name, or install the package tzdata."
        ) from error
