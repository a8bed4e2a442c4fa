"""How a smooth problem is solved: one file or folder per method, and the list of them."""

from dagcast_core.solver.methods._slsqp import solve_slsqp

__all__ = [
    "solve_slsqp",
]
