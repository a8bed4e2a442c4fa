"""What a point says to people: prices, effects, conflicts, warnings."""

from dagcast_core.decide.read._conflicts import explain_infeasible
from dagcast_core.decide.read._effects import marginal_effects
from dagcast_core.decide.read._sensitivities import Sensitivity, scaled_residuals, sensitivities
from dagcast_core.decide.read._warnings import CUT_SHORT, warnings_of

__all__ = [
    "CUT_SHORT",
    "Sensitivity",
    "explain_infeasible",
    "marginal_effects",
    "scaled_residuals",
    "sensitivities",
    "warnings_of",
]
