"""An event-level two-sided marketplace whose causal truth can be asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagcast_simulator._decisions import WorldError
    from dagcast_simulator._measured import Measured
    from dagcast_simulator._parameter import ScenarioError
    from dagcast_simulator._scenario import Scenario, load_scenario, scenario_names
    from dagcast_simulator._search import BestPlan, best_plan
    from dagcast_simulator._trials import Trial, TrialError, fare_split, geo, switchback
    from dagcast_simulator._truth import TruthError
    from dagcast_simulator._world import MarketWorld
    from dagcast_simulator._worlds import MarketWorlds

__all__ = [
    "BestPlan",
    "MarketWorld",
    "MarketWorlds",
    "Measured",
    "Scenario",
    "ScenarioError",
    "Trial",
    "TrialError",
    "TruthError",
    "WorldError",
    "best_plan",
    "fare_split",
    "geo",
    "load_scenario",
    "scenario_names",
    "switchback",
]

_LAZY = {
    "BestPlan": "_search",
    "MarketWorld": "_world",
    "MarketWorlds": "_worlds",
    "Measured": "_measured",
    "Scenario": "_scenario",
    "ScenarioError": "_parameter",
    "Trial": "_trials",
    "TrialError": "_trials",
    "TruthError": "_truth",
    "WorldError": "_decisions",
    "best_plan": "_search",
    "fare_split": "_trials",
    "geo": "_trials",
    "load_scenario": "_scenario",
    "scenario_names": "_scenario",
    "switchback": "_trials",
}


def __getattr__(name: str) -> Any:
    # numba takes a second to import, which a check of all installed packages must not pay.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
