"""What a method of solving smooth problems has to offer."""

from __future__ import annotations

from typing import Protocol

from dagcast_core.solver.answer import Options, Solution, WarmStart
from dagcast_core.solver.problem import SmoothProblem
from dagcast_core.solver.stopping import Stopping

__all__ = ["Method"]


class Method(Protocol):
    """One way to solve a smooth problem; a further one is a file and a place in `METHODS`."""

    @property
    def name(self) -> str:
        """By which it is asked for."""
        ...

    def accepts(self, problem: SmoothProblem) -> bool:
        """Whether the method can take the problem."""
        ...

    def solve(
        self,
        problem: SmoothProblem,
        options: Options,
        warm: WarmStart | None,
        stopping: Stopping,
    ) -> Solution:
        """Maximise the problem; see `Solution` for the answer.

        Args:
            problem: one that it accepts.
            options: tolerances, most iterations, seed.
            warm: where to start.
            stopping: asked after every iteration; its reason ends the run with the best point
                found and status "interrupted", as Ctrl-C does.

        Raises:
            DecisionError: the method does not accept the problem.
            EmptySetError: the linear limits contradict one another.
            NonFiniteError: the model has no value.
        """
        ...
