"""What the solver is told and answers, and what holds of any point, whoever found it."""

from dagcast_core.solver.answer._certificate import Certificate, Certifier, reduced_gradient
from dagcast_core.solver.answer._check import Checked, Optimality, check_point
from dagcast_core.solver.answer._options import Options
from dagcast_core.solver.answer._solution import Progress, Solution, Status, WarmStart

__all__ = [
    "Certificate",
    "Certifier",
    "Checked",
    "Optimality",
    "Options",
    "Progress",
    "Solution",
    "Status",
    "WarmStart",
    "check_point",
    "reduced_gradient",
]
