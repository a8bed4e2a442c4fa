"""What a point says to people: prices, effects, conflicts, warnings."""

from dagcast_core.decide.read._conflicts import broken_linear, explain_empty, explain_infeasible
from dagcast_core.decide.read._reading import marginal_effects, objective_unit, shadow_prices
from dagcast_core.decide.read._sensitivities import Sensitivity, scaled_residuals, sensitivities
from dagcast_core.decide.read._warnings import CUT_SHORT, warnings_of

__all__ = [
    "CUT_SHORT",
    "Sensitivity",
    "broken_linear",
    "explain_empty",
    "explain_infeasible",
    "marginal_effects",
    "objective_unit",
    "scaled_residuals",
    "sensitivities",
    "shadow_prices",
    "warnings_of",
]
