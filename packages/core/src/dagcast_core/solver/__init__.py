"""Flat cells and rows: the problem, its parts and how it is solved, without labels or models.

From below: `kernels` (compiled passes over cells), `problem` (bounds, budgets, ramps, rows),
`separable` (the programme of every step), `answer` (what is said of a point), `stopping` (when a
run ends), `methods` (how a problem is solved, in order of preference), `search` (several runs).
"""

from dagcast_core.solver.answer import (
    Certificate,
    Checked,
    Optimality,
    Options,
    Progress,
    Solution,
    Status,
    WarmStart,
    check_point,
)
from dagcast_core.solver.methods import METHODS, Method, method_named, preferred
from dagcast_core.solver.methods.sqp import solve_smooth
from dagcast_core.solver.problem import (
    Chains,
    Counter,
    DecisionError,
    EmptySetError,
    LinearSet,
    NonFiniteError,
    OutcomeRows,
    RowFamily,
    RowLayer,
    SmoothProblem,
    families_of,
    is_supported,
)
from dagcast_core.solver.search import PhaseOne, phase_one, solve_globally
from dagcast_core.solver.separable import Projection, project
from dagcast_core.solver.stopping import Patience, Rule, Stopping, TimeLimit, Watched

__all__ = [
    "METHODS",
    "Certificate",
    "Chains",
    "Checked",
    "Counter",
    "DecisionError",
    "EmptySetError",
    "LinearSet",
    "Method",
    "NonFiniteError",
    "Optimality",
    "Options",
    "OutcomeRows",
    "Patience",
    "PhaseOne",
    "Progress",
    "Projection",
    "RowFamily",
    "RowLayer",
    "Rule",
    "SmoothProblem",
    "Solution",
    "Status",
    "Stopping",
    "TimeLimit",
    "WarmStart",
    "Watched",
    "check_point",
    "families_of",
    "is_supported",
    "method_named",
    "phase_one",
    "preferred",
    "project",
    "solve_globally",
    "solve_smooth",
]
