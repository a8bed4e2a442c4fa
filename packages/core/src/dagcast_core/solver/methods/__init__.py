"""How a smooth problem is solved: one file or folder per method, and the list of them."""

from dagcast_core.solver.methods._method import Method
from dagcast_core.solver.methods._preference import METHODS, method_named, preferred

__all__ = [
    "METHODS",
    "Method",
    "method_named",
    "preferred",
]
