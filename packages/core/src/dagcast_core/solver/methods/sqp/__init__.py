"""Sequential separable quadratic programming."""

from dagcast_core.solver.methods.sqp._curvature import secant_update
from dagcast_core.solver.methods.sqp._run import solve_smooth

__all__ = [
    "secant_update",
    "solve_smooth",
]
