"""From sessions and driver hours to the pickup ETA: two models, wired by name.

    sessions, driver_hours        -> pickup_stretch    experiments and priors say how
    pickup_stretch, hour of week  -> eta               the history says what is usual

Each module says its form, its evidence and what it leaves out.
"""

from collections.abc import Sequence

from dagcast_core import ModelCollection
from dagcast_eta._level import EtaHyperparameters, StretchedEta
from dagcast_eta._stretch import PickupStretch, StretchHyperparameters


def eta_collection(regions: Sequence[str]) -> ModelCollection:
    """Build the models of the ETA team as one.

    Args:
        regions: labels along ``region``; others get pooled values.
    """
    regions = tuple(regions)
    return ModelCollection([PickupStretch(regions), StretchedEta(regions)], name="eta")


__all__ = [
    "EtaHyperparameters",
    "PickupStretch",
    "StretchHyperparameters",
    "StretchedEta",
    "eta_collection",
]
