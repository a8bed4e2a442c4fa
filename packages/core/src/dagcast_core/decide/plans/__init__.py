"""Plans: how they are made, judged, kept, and what they answer when asked."""

from dagcast_core.decide.plans._curve import ResponseCurve, response_curve
from dagcast_core.decide.plans._interrupted import unless_interrupted
from dagcast_core.decide.plans._marginal_cost import MarginalCost, marginal_cost
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._sensitivity import outcome_sensitivity, sensitivity
from dagcast_core.decide.plans._solve import solve
from dagcast_core.decide.plans._stability import LabelRange, Stability, solve_again, stability
from dagcast_core.decide.plans._uncertainty import parameter_uncertainty
from dagcast_core.decide.plans._what_if import what_if

__all__ = [
    "LabelRange",
    "MarginalCost",
    "Plan",
    "ResponseCurve",
    "Stability",
    "marginal_cost",
    "outcome_sensitivity",
    "parameter_uncertainty",
    "response_curve",
    "sensitivity",
    "solve",
    "solve_again",
    "stability",
    "unless_interrupted",
    "what_if",
]
