"""The search for the best decisions, and rules for cells that it leaves alone."""

from dagcast_core.decide.run._found import Found
from dagcast_core.decide.run._looked_into import looked_into, time_left
from dagcast_core.decide.run._rounds import searched
from dagcast_core.decide.run._rules import Ruled, apply_fallbacks
from dagcast_core.decide.run._search import search

__all__ = [
    "Found",
    "Ruled",
    "apply_fallbacks",
    "looked_into",
    "search",
    "searched",
    "time_left",
]
