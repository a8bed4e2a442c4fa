"""Errors of projects, settings and plan states that a user can act on.

Each says what was expected, what was found and what to do, and carries the exit code with which
the command line ends. Nothing on disk has changed when one of them is raised.
"""

from collections.abc import Mapping
from typing import ClassVar

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "failed",
    2: "usage or settings",
    3: "a gate not passed",
    4: "infeasible",
    5: "`week` waits for a person",
    130: "interrupted",
}
"""What the exit code of a command says."""


class DagcastError(Exception):
    """Base of the errors raised by this package.

    Attributes:
        expected: what the operation needed.
        found: what was there instead.
        fix: the next step for the reader.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, expected: str, found: str, fix: str) -> None:
        super().__init__(expected, found, fix)
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        # What was found is often said by somebody else, in a whole sentence.
        stop = "" if self.found.endswith((".", "!", "?")) else "."
        return f"expected {self.expected}; found {self.found}{stop} {self.fix}"


class ProjectError(DagcastError):
    """The folder is no project, is half-written, or lacks the result of an earlier stage."""

    exit_code = 2


class ConfigError(DagcastError):
    """A setting in ``dagcast.toml``, the environment or a flag is unknown or out of range."""

    exit_code = 2


class UsageError(DagcastError):
    """An argument names something that does not exist, such as a misspelt quantity."""

    exit_code = 2


class PlanStateError(DagcastError):
    """A plan cannot change from the state it is in to the one that was asked for."""

    exit_code = 2


class OutputError(DagcastError):
    """What was done is done, and its result could not be shown.

    Attributes:
        found: what is the matter with stdout.
    """

    def __init__(self, found: str) -> None:
        super().__init__(
            "an open standard output to show the result on",
            found,
            "What the command did is kept; `dagcast log` shows what that was.",
        )


class GateError(DagcastError):
    """A gate did not pass: assembly, causal validity or a release check."""

    exit_code = 3


# Packages whose errors are answers to bad input; teams' and worlds' are called dagcast_*.
_PACKAGES = ("dagcast", "dagcast_core", "dagcast_testing")


def answers_input(error: BaseException) -> bool:
    """Whether an error is an answer to bad input: one that dagcast or a package of it declares.

    Team packages and core declare one class for each decision a caller can take; anything else is
    a defect.
    """
    module = type(error).__module__.split(".")[0]
    return module in _PACKAGES or module.startswith("dagcast_")


def code_of(error: BaseException) -> int:
    """The exit code of an error that is an answer to bad input."""
    if isinstance(error, DagcastError):
        return error.exit_code
    return 3 if type(error).__name__ == "AssemblyError" else 2
