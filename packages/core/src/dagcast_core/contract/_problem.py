"""One line per root cause, the same for people and machines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dagcast_core.contract._checks import check_keys
from dagcast_core.contract._codes import PROBLEM_CODES

PROJECT_LABEL = "project"
"""Consumer of what the project itself asks for, producer of what it provides."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps packages from working together.

    Args:
        code: stable; ``docs/reference/problems/<code>.md`` explains it.
        kind: what sort of thing is wrong, e.g. ``unit``.
        name: the quantity, model, hook or file concerned.
        consumer: who is let down, with its version; empty if nobody is.
        producer: who causes it, with its version; empty if nobody does.
        expected: one side,
        found: the other side,
        fix: and the way out.
    """

    code: str
    kind: str
    name: str
    consumer: str
    producer: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        # Who is not there is not written: a dash beside the arrow reads as one more sign.
        sides = " ".join(filter(None, (self.consumer, "<-", self.producer)))
        who = f" [{sides}]" if self.consumer or self.producer else ""
        line = (
            f"{self.code}{who} {self.kind} '{self.name}': "
            f"expected {_open(self.expected)}; found {_open(self.found)}. fix: {_open(self.fix)}"
        )
        # Texts of exceptions end up in `found`, and a problem stays one line.
        return " ".join(line.split())

    def to_json(self) -> dict[str, str]:
        """Return the fields as JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(
        cls,
        code: str,
        name: str,
        *,
        expected: str,
        found: str,
        fix: str,
        consumer: str = "",
        producer: str = "",
    ) -> "Problem":
        """Make a problem whose kind is that of its code.

        Raises:
            KeyError: no such code.
        """
        kind = PROBLEM_CODES[code]
        return cls(code, kind, name, consumer, producer, expected, found, fix)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Problem":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key.
        """
        check_keys(data, cls.__slots__, "a Problem")
        return cls(**data)


def _open(text: str) -> str:
    """A text without the full stop that errors end in; dots of what is left out stay."""
    return text if text.endswith("...") else text.rstrip().removesuffix(".")


class AssemblyError(ValueError):
    """Contracts do not fit together.

    Attributes:
        problems: every problem found, one per root cause.
    """

    def __init__(self, problems: Iterable[Problem], models: int) -> None:
        self.problems = tuple(problems)
        self.models = models
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} {noun} joining {models} models\n{lines}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.problems, self.models))
