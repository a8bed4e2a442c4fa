"""The search for the best decisions, and rules for cells that it leaves alone."""

from dagcast_core.decide.run._rules import Ruled, apply_fallbacks
from dagcast_core.decide.run._search import Found, looked_into, search, searched, time_left

__all__ = [
    "Found",
    "Ruled",
    "apply_fallbacks",
    "looked_into",
    "search",
    "searched",
    "time_left",
]
