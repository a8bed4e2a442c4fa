"""Sequential separable quadratic programming."""

from dagcast_core.solver.methods.sqp._run import SeparableSqp, solve_smooth

__all__ = [
    "SeparableSqp",
    "solve_smooth",
]
