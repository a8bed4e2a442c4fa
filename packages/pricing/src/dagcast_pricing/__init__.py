"""Prime time, conversion, rides, revenue, driver pay and profit.

Names are imported on first use: checking the contract needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagcast_pricing.model import (
        Conversion,
        MarketLoad,
        Money,
        PrimeTime,
        QuoteAppeal,
        Rides,
        pricing_collection,
    )

__all__ = [
    "Conversion",
    "MarketLoad",
    "Money",
    "PrimeTime",
    "QuoteAppeal",
    "Rides",
    "pricing_collection",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
