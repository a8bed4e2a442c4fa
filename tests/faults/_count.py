"""How many trials there were, and what did not hold in which."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Count:
    """Trials of one kind.

    Attributes:
        tried: how many.
        problems: what did not hold, each with its trial.
        states: how many different disks the trials left, where that is counted.
        longest: seconds that a trial took to end, where that is measured.
    """

    tried: int = 0
    problems: list[str] = field(default_factory=list)
    states: int = 0
    longest: float = 0.0

    def add(self, trial: str, problems: Iterable[str]) -> None:
        """Count one trial."""
        self.tried += 1
        self.problems += [f"{trial}: {problem}" for problem in problems if problem]
