"""From calendar, earnings and bonuses to driver hours: three models, wired by name.

    earnings                                            -> earnings_pull
    incremental driver hours                            -> gained driver hours
    calendar, earnings_pull, gained driver hours        -> driver hours

Each module says its form, its evidence and what it leaves out.
"""

from collections.abc import Sequence

from dagcast_core import ModelCollection
from dagcast_driver_hours._crossing import CrossingDrivers, CrossingHyperparameters
from dagcast_driver_hours._earnings import EarningsHyperparameters, EarningsResponse
from dagcast_driver_hours._organic import DriverHours, DriverHoursHyperparameters


def driver_hours_collection(regions: Sequence[str]) -> ModelCollection:
    """Build the models of the driver-hours team as one.

    Args:
        regions: labels along ``region``; others get pooled values.
    """
    models = [EarningsResponse(), CrossingDrivers(), DriverHours(tuple(regions))]
    return ModelCollection(models, name="driver-hours")


__all__ = [
    "CrossingDrivers",
    "CrossingHyperparameters",
    "DriverHours",
    "DriverHoursHyperparameters",
    "EarningsHyperparameters",
    "EarningsResponse",
    "driver_hours_collection",
]
