"""An event-level two-sided marketplace whose causal truth can be asked for."""

from typing import TYPE_CHECKING, Any

from dagcast_simulator._scenario import Scenario, ScenarioError, load_scenario, scenario_names

if TYPE_CHECKING:
    from dagcast_simulator._world import MarketWorld, MarketWorlds, WorldError

__all__ = [
    "MarketWorld",
    "MarketWorlds",
    "Scenario",
    "ScenarioError",
    "WorldError",
    "load_scenario",
    "scenario_names",
]

_LAZY = {"MarketWorld": "_world", "MarketWorlds": "_world", "WorldError": "_world"}


def __getattr__(name: str) -> Any:
    # numba takes a second to import, which a check of all installed packages must not pay.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
