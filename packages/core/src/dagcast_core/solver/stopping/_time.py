"""The time limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from dagcast_core.solver.answer import Progress

__all__ = ["TimeLimit"]


@final
@dataclass(frozen=True)
class TimeLimit:
    """A rule that ends a run after so many seconds.

    Args:
        seconds: since the run began; None is no limit.
    """

    seconds: float | None

    def reason(self, state: Progress) -> str | None:
        """That the limit is reached, or None."""
        if self.seconds is None or state.seconds <= self.seconds:
            return None
        return f"time limit of {self.seconds:g} s reached"
