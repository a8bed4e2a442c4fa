"""The exceptions of the contract layer."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagcast_core.contract._problem import Problem


class ContractError(ValueError):
    """A declaration is wrong by itself: a bad name, an unknown choice, an effect on nothing.

    Raised while the declaration is made, so the traceback ends on the line to correct.
    """


class AssemblyError(ValueError):
    """Contracts do not fit together.

    Attributes:
        problems: every problem found, one per root cause.
    """

    def __init__(self, problems: "Iterable[Problem]", models: int) -> None:
        self.problems = tuple(problems)
        self.models = models
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} {noun} joining {models} models\n{lines}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.problems, self.models))
