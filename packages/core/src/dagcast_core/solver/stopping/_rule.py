"""Rules that end a run before it has converged, asked after every iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

from dagcast_core.solver.answer import Progress

__all__ = ["Rule", "Stopping"]


class Rule(Protocol):
    """A reason to stop."""

    def reason(self, state: Progress) -> str | None:
        """Why a run ends after this iteration, or None where it goes on."""
        ...


@final
class Stopping:
    """Who is told of every iteration, and which rules may end the run.

    Args:
        progress: told first; Ctrl-C in it is one in the run.
        rules: asked in order; the first reason counts.
    """

    def __init__(
        self,
        progress: Callable[[Progress], None] | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self._progress = progress
        self._rules = tuple(rules)

    def reason(self, state: Progress) -> str | None:
        """The first rule's reason to stop, or None."""
        if self._progress is not None:
            self._progress(state)
        for rule in self._rules:
            found = rule.reason(state)
            if found is not None:
                return found
        return None
