"""A ride-hailing marketplace's data and vocabulary; the teams bring the models."""

from typing import TYPE_CHECKING, Any

from dagcast_marketplace._tables import PROFIT, TABLES

if TYPE_CHECKING:
    from dagcast_marketplace._regions import read_regions

__all__ = ["PROFIT", "TABLES", "read_regions"]


def __getattr__(name: str) -> Any:
    # A check of contracts reads no regions.
    if name == "read_regions":
        from dagcast_marketplace._regions import read_regions

        return read_regions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
