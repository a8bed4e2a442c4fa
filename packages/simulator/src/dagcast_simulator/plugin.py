"""Registers the simulator's worlds with dagcast."""

from dagcast_core.contract import WorldFactory
from dagcast_core.hooks import hookimpl


@hookimpl
def dagcast_worlds() -> list[WorldFactory]:
    """The market of this package."""
    # numba is imported only where a world is made, so that a check of all packages stays quick.
    from dagcast_simulator._worlds import MarketWorlds

    return [MarketWorlds()]
