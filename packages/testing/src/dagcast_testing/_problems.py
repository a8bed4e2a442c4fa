"""A failed test as a problem: one line for people, the same as JSON for machines."""

import re
import traceback
from pathlib import Path

from dagcast_core.contract import Problem
from dagcast_testing._lacking import lacking, registered

SELECTION = "DAGCAST_CONFORMANCE"
MODULE = "dagcast_testing.conformance"
# Frames of these say why something failed, and never where it is to be mended.
_MACHINERY = re.compile(
    r"[/\\](dagcast_core|dagcast_testing|torch|pandas|numpy|pluggy|_pytest|importlib)[/\\]|^<"
    # Compiled code names its source without a folder.
    r"|\.pyx$"
)


def problem_of(test: str, text: str, *, model: str = "", distribution: str = "") -> Problem:
    """Return the problem that a failed test of the suite is.

    Args:
        test: its name.
        text: what it said, ``model: expected X; found Y. fix: Z`` or anything else.
        model: the model under test; default the one that ``text`` begins with.
        distribution: that brings it, if it is installed.
    """
    parts = re.fullmatch(
        r"(?:([^:]*): )?expected (.*?); found (.*?)(?:\. fix: (.*))?", text, re.DOTALL
    )
    named, expected, found, fix = parts.groups() if parts else ("", "the test to pass", text, None)
    model = model or named or ""
    again = ""
    if distribution:
        again = f"try again with {SELECTION}={distribution} pytest --pyargs {MODULE} -k {test}"
    return Problem.of(
        "DC401",
        test,
        producer=f"{model} ({distribution})" if distribution else model,
        expected=expected,
        found=found,
        fix="; ".join(filter(None, (fix, again))) or "mend the model, or its contract",
    )


def first_line(text: str) -> str:
    """Return a message as one line, without what pytest adds about the assertion's values."""
    return " ".join(text.removeprefix("AssertionError: ").split("\nassert ")[0].split())


def said(error: BaseException, place: str = "") -> str:
    """Return an error as one line that another sentence may follow.

    Args:
        error: as it was raised.
        place: where, as ``place_of`` gives it; by default the line of the package's own code.
    """
    where = place or place_of(error)
    return f"{type(error).__name__}{where}: {first_line(str(error))}".removesuffix(".")


def unimported(error: BaseException) -> Problem | None:
    """Return the problem of a package whose code imports what another version would have.

    Args:
        error: as it was raised, with its traceback.
    """
    package, place = _raised_in(error)
    lack = lacking(error, package)
    distribution = registered(package) if package else ""
    if lack is None or not distribution:
        return None
    return Problem.of(
        "DC201",
        package,
        producer=distribution,
        expected=f"a module that imports with {lack.distribution} as declared",
        found=f"{type(error).__name__}: {first_line(str(error))}{place}; "
        f"{lack.found(distribution)}",
        fix=lack.fix,
    )


def _raised_in(error: BaseException) -> tuple[str, str]:
    """The importable package whose line went wrong, if it lies in one, and the line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not _MACHINERY.search(f.filename)]
    if not own:
        return "", ""
    folder = Path(own[-1].filename).parent
    while (folder.parent / "__init__.py").exists():
        folder = folder.parent
    named = folder.name if (folder / "__init__.py").exists() else ""
    return named, place_of(error)


def place_of(error: BaseException) -> str:
    """Say at which line of the package's own code something went wrong, if at any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not _MACHINERY.search(f.filename)]
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
