"""How far a long step is, and about how long it takes from there."""

import re
import time
from collections.abc import Callable
from typing import final

# Seconds between two lines about one step, where lines are kept, as in the log of a scheduler.
_EVERY = 10.0
# Below it a share says nothing about the time that is left, and what is left is not worth saying.
_LEAST_SHARE, _LEAST_LEFT = 0.02, 2.0
# Step 12 follows step 11: the same kind of step.
_NUMBER = re.compile(r"\d+")


@final
class Pace:
    """Follows the steps of a command.

    A step is whatever is said with a share that grows; a share that falls begins the next.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._message = ""
        self._share: float | None = None
        self._begun = self._first = 0.0
        self._said = ("", -_EVERY)

    def note(self, message: str, share: float | None) -> None:
        """Take down what is done now, and which share of it is done where that is known."""
        fresh = share is None or self._share is None or share < self._share
        if fresh:
            self._begun, self._first = self._clock(), share or 0.0
        self._message, self._share = message, share

    def left(self) -> str:
        """The time that this step still takes, in words; empty where nobody can tell."""
        share = self._share
        if share is None or share - self._first < _LEAST_SHARE or share >= 1.0:
            return ""
        seconds = (self._clock() - self._begun) * (1.0 - share) / (share - self._first)
        return f"about {_words(seconds)} left" if seconds >= _LEAST_LEFT else ""

    def line(self, message: str, share: float | None) -> str:
        """The line to print for what is done now: each step once, long ones every ten seconds."""
        same = _NUMBER.sub("", message) == _NUMBER.sub("", self._message)
        self.note(message, share)
        now = self._clock()
        if same and ((message == self._said[0] and share is None) or now - self._said[1] < _EVERY):
            return ""
        self._said = message, now
        far = f"{share:.0%}" if share else ""
        about = ", ".join(filter(None, (far, self.left())))
        return f"{message}: {about}" if about else message


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5)):.0f} s" if seconds >= 5 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
