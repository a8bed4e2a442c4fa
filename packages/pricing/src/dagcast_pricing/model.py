"""From the balance of demand and supply to rides and profit: six models, wired by name.

    sessions, driver_hours          -> market_load -> prime_time
    prime_time, eta, base_fare      -> quote_appeal -> conversion
    sessions, conversion, drivers   -> rides
    rides, prime_time, spend        -> revenue, driver_pay, profit

Each module says its form, its evidence and what it leaves out.
"""

from collections.abc import Sequence

from dagcast_core import ModelCollection
from dagcast_pricing._conversion import AppealHyperparameters, Conversion, QuoteAppeal
from dagcast_pricing._load import LoadHyperparameters, MarketLoad
from dagcast_pricing._money import Money
from dagcast_pricing._prime_time import PrimeTime
from dagcast_pricing._rides import Rides, RidesHyperparameters


def pricing_collection(regions: Sequence[str]) -> ModelCollection:
    """Build the models of the pricing team as one.

    Args:
        regions: labels along ``region``; others get pooled values.
    """
    regions = tuple(regions)
    return ModelCollection(
        [
            MarketLoad(regions),
            PrimeTime(regions),
            QuoteAppeal(regions),
            Conversion(regions),
            Rides(regions),
            Money(regions),
        ],
        name="pricing",
    )


__all__ = [
    "AppealHyperparameters",
    "Conversion",
    "LoadHyperparameters",
    "MarketLoad",
    "Money",
    "PrimeTime",
    "QuoteAppeal",
    "Rides",
    "RidesHyperparameters",
    "pricing_collection",
]
