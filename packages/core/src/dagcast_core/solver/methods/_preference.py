"""The methods in order of preference."""

from __future__ import annotations

from dagcast_core.solver.methods._method import Method
from dagcast_core.solver.methods._slsqp import Slsqp
from dagcast_core.solver.methods.sqp import SeparableSqp
from dagcast_core.solver.problem import DecisionError, SmoothProblem

__all__ = ["METHODS", "method_named", "preferred"]

METHODS: tuple[Method, ...] = (SeparableSqp(), Slsqp())
"""Every method, in the order in which they are preferred where several accept a problem."""


def preferred(problem: SmoothProblem) -> Method:
    """The first method that accepts the problem.

    Raises:
        DecisionError: none does.
    """
    for method in METHODS:
        if method.accepts(problem):
            return method
    names = ", ".join(repr(method.name) for method in METHODS)
    raise DecisionError(f"no method takes this problem; tried {names}.")


def method_named(name: str) -> Method:
    """The method that people ask for.

    Raises:
        DecisionError: there is none of that name.
    """
    for method in METHODS:
        if method.name == name:
            return method
    known = [repr(method.name) for method in METHODS]
    listed = " or ".join([", ".join(known[:-1]), known[-1]])
    raise DecisionError(f"no method {name!r}; use {listed}.")
