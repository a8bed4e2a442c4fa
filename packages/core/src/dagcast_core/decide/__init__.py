"""Decisions: linear sets and their projections, the solver, plans, and what hindsight says about them."""

from dagcast_core.decide._certificate import Certificate
from dagcast_core.decide._linear import Chains, LinearSet, RowLayer
from dagcast_core.decide._separable import Projection, project
from dagcast_core.decide._smooth import Counter, NonFiniteError, OutcomeRows, RowFamily, SmoothProblem
from dagcast_core.decide._sqp import Options, Progress, Solution, WarmStart, solve_smooth

__all__ = [
    "Certificate",
    "Chains",
    "Counter",
    "LinearSet",
    "NonFiniteError",
    "Options",
    "OutcomeRows",
    "Progress",
    "Projection",
    "RowFamily",
    "RowLayer",
    "SmoothProblem",
    "Solution",
    "WarmStart",
    "project",
    "solve_smooth",
]
