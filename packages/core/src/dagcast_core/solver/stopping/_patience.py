"""Runs of the solver that no longer get anywhere are ended from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from dagcast_core.solver.answer import Progress

__all__ = ["Patience"]


@final
class Patience:
    """A rule that ends a run, as a person would, who has seen enough.

    Args:
        measure: what should fall, at least 0.
        share: of itself, by which it should fall.
        within: so many iterations.
        until: below it, it need not fall any further.

    Attributes:
        ended: whether it ended the run.
    """

    def __init__(
        self,
        measure: Callable[[Progress], float],
        share: float,
        within: int,
        until: float = 0.0,
    ) -> None:
        self.ended = False
        self._measure = measure
        self._share = share
        self._within = within
        self._until = until
        self._least: list[float] = []  # up to each iteration

    def reason(self, state: Progress) -> str | None:
        """That the measure no longer falls, or None."""
        now = self._measure(state)
        self._least.append(min(now, self._least[-1]) if self._least else now)
        if len(self._least) <= self._within or self._least[-1] <= self._until:
            return None
        if self._least[-1] <= (1.0 - self._share) * self._least[-1 - self._within]:
            return None
        self.ended = True
        return f"no longer falling by {self._share:.1%} within {self._within} iterations"
