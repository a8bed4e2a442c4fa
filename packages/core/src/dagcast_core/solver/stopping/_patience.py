"""Runs of the solver that no longer get anywhere are ended from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from dagcast_core.solver.answer import Progress

__all__ = ["Patience"]


@final
class Patience:
    """A progress callback that interrupts a run, as a person would, who has seen enough.

    Args:
        measure: what should fall, at least 0.
        share: of itself, by which it should fall.
        within: so many iterations.
        until: below it, it need not fall any further.
        progress: the caller's own callback.

    Attributes:
        ended: whether it interrupted the run.
    """

    def __init__(
        self,
        measure: Callable[[Progress], float],
        share: float,
        within: int,
        until: float = 0.0,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.ended = False
        self._measure = measure
        self._share = share
        self._within = within
        self._until = until
        self._progress = progress
        self._least: list[float] = []  # up to each iteration

    def __call__(self, state: Progress) -> None:
        """Take note of an iteration.

        Raises:
            KeyboardInterrupt: which the solver answers with its best point.
        """
        if self._progress is not None:
            self._progress(state)
        now = self._measure(state)
        self._least.append(min(now, self._least[-1]) if self._least else now)
        if len(self._least) <= self._within or self._least[-1] <= self._until:
            return
        if self._least[-1] > (1.0 - self._share) * self._least[-1 - self._within]:
            self.ended = True
            raise KeyboardInterrupt
