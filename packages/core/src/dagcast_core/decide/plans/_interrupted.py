"""Answers that a longer computation may go on with."""

from __future__ import annotations

from typing import TypeVar

from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.read import CUT_SHORT
from dagcast_core.solver import Solution

__all__ = ["unless_interrupted"]

_Found = TypeVar("_Found", Plan, Solution)


def unless_interrupted(found: _Found, doing: str) -> _Found:
    """An answer that a longer computation goes on with.

    Args:
        found: a plan or a solution.
        doing: what the computation does.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C while it was solved. The best point found so far
            is a plan for people, and no number to compute with.
    """
    stopped = found.status == "interrupted" and found.message == "interrupted"
    if stopped or (isinstance(found, Plan) and CUT_SHORT in found.warnings):
        raise KeyboardInterrupt(f"interrupted while {doing}: there is no result yet")
    return found
