"""Decisions: linear sets and their projections, the solver, plans.

And what hindsight says about them.
"""

from dagcast_core.decide._certificate import Certificate
from dagcast_core.decide._declare import (
    Budget,
    DecisionError,
    Fixed,
    Lever,
    Objective,
    OutcomeLimit,
    Ramp,
)
from dagcast_core.decide._linear import Chains, EmptySetError, LinearSet, RowLayer
from dagcast_core.decide._plan import Plan, Sensitivity, ShadowPrice
from dagcast_core.decide._problem import DecisionProblem
from dagcast_core.decide._retrospect import Retrospective, Share, retrospect, shapley_values
from dagcast_core.decide._separable import Projection, project
from dagcast_core.decide._smooth import Counter, OutcomeRows, RowFamily, SmoothProblem
from dagcast_core.decide._solve import solve, what_if
from dagcast_core.decide._sqp import Options, Progress, Solution, WarmStart, solve_smooth

__all__ = [
    "Budget",
    "Certificate",
    "Chains",
    "Counter",
    "DecisionError",
    "DecisionProblem",
    "EmptySetError",
    "Fixed",
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
    "Retrospective",
    "RowFamily",
    "RowLayer",
    "Sensitivity",
    "ShadowPrice",
    "Share",
    "SmoothProblem",
    "Solution",
    "WarmStart",
    "project",
    "retrospect",
    "shapley_values",
    "solve",
    "solve_smooth",
    "what_if",
]
