"""Supply: organic driver hours and what incentives add to them.

Names are imported on first use: checking the contract needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagcast_driver_hours.model import (
        CrossingDrivers,
        DriverHours,
        EarningsResponse,
        driver_hours_collection,
    )

__all__ = ["CrossingDrivers", "DriverHours", "EarningsResponse", "driver_hours_collection"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
