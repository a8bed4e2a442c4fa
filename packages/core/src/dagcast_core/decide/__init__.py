"""Decisions: linear sets and their projections, the solver, plans, and hindsight about them."""

from dagcast_core.decide._certificate import Certificate
from dagcast_core.decide._curve import (
    ResponseCurve,
    parameter_uncertainty,
    response_curve,
    sensitivity,
)
from dagcast_core.decide._declare import (
    Budget,
    DecisionError,
    Fallback,
    Fixed,
    Lever,
    Objective,
    OutcomeLimit,
    Ramp,
)
from dagcast_core.decide._describe import describe
from dagcast_core.decide._linear import Chains, EmptySetError, LinearSet, RowLayer
from dagcast_core.decide._plan import Plan, Sensitivity, ShadowPrice
from dagcast_core.decide._problem import DecisionProblem
from dagcast_core.decide._retrospect import Retrospective, Share, retrospect, shapley_values
from dagcast_core.decide._risk import Risk
from dagcast_core.decide._separable import Projection, project
from dagcast_core.decide._smooth import Counter, OutcomeRows, RowFamily, SmoothProblem
from dagcast_core.decide._solve import solve, what_if
from dagcast_core.decide._sqp import Options, Progress, Solution, WarmStart, solve_smooth
from dagcast_core.decide._stability import LabelRange, Stability, solve_again, stability

__all__ = [
    "Budget",
    "Certificate",
    "Chains",
    "Counter",
    "DecisionError",
    "DecisionProblem",
    "EmptySetError",
    "Fallback",
    "Fixed",
    "LabelRange",
    "Lever",
    "LinearSet",
    "Objective",
    "Options",
    "OutcomeLimit",
    "OutcomeRows",
    "Plan",
    "Progress",
    "Projection",
    "Ramp",
    "ResponseCurve",
    "Retrospective",
    "Risk",
    "RowFamily",
    "RowLayer",
    "Sensitivity",
    "ShadowPrice",
    "Share",
    "SmoothProblem",
    "Solution",
    "Stability",
    "WarmStart",
    "describe",
    "parameter_uncertainty",
    "project",
    "response_curve",
    "retrospect",
    "sensitivity",
    "shapley_values",
    "solve",
    "solve_again",
    "solve_smooth",
    "stability",
    "what_if",
]
