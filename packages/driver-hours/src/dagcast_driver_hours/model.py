"""From calendar, earnings and bonuses to driver hours: two models, wired by name.

    earnings                                            -> earnings_pull
    calendar, earnings_pull, incremental driver hours   -> driver hours

Each module says its form, its evidence and what it leaves out.
"""

from collections.abc import Sequence

from dagcast_core import ModelCollection
from dagcast_driver_hours._earnings import EarningsHyperparameters, EarningsResponse
from dagcast_driver_hours._organic import DriverHours, DriverHoursHyperparameters


def driver_hours_collection(regions: Sequence[str]) -> ModelCollection:
    """Build the models of the driver-hours team as one.

    Args:
        regions: labels along ``region``; others get pooled values.
    """
    return ModelCollection([EarningsResponse(), DriverHours(tuple(regions))], name="driver-hours")


__all__ = [
    "DriverHours",
    "DriverHoursHyperparameters",
    "EarningsHyperparameters",
    "EarningsResponse",
    "driver_hours_collection",
]
