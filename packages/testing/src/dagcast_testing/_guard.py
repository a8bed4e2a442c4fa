"""Keeping a team's test class honest: inherited tests can be explained, never dropped."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_REASON = "__dagcast_reason__"
_LEAST_REASON = 15
# Hours below which a suite sees no whole day.
_DAY = 24


class SuiteError(TypeError):
    """A test class drops or replaces inherited tests without saying why.

    Raised where the class is defined, so that the whole file fails with the reason.
    """


def explained(reason: str) -> Callable[[F], F]:
    """Mark a test that replaces an inherited one, and say why it must.

    Args:
        reason: what makes the inherited test wrong for this model; a sentence.

    Raises:
        SuiteError: the reason is empty or too short to be one.
    """
    if not isinstance(reason, str) or len(reason.strip()) < _LEAST_REASON:
        raise SuiteError(
            f"@explained({reason!r}): expected a sentence that says what makes the inherited test "
            "wrong for this model"
        )

    def mark(test: F) -> F:
        setattr(test, _REASON, reason)
        return test

    return mark


def check_overrides(cls: type, suite: type) -> None:
    """Refuse a subclass that deletes an inherited test, or replaces one unexplained.

    Args:
        cls: the subclass, just defined.
        suite: the class whose tests are protected.

    Raises:
        SuiteError: it does; the message names class and test.
    """
    where = f"{cls.__module__}.{cls.__qualname__}"
    if cls.__dict__.get("__test__", True) is not True:
        raise SuiteError(
            f"{where} sets __test__, which would drop every test of {suite.__name__}; remove it, "
            "or remove the class"
        )
    for name, least in (("draws", vars(suite)["draws"]), ("hours", _DAY)):
        given = vars(cls).get(name, least)
        if not isinstance(given, int) or given < least:
            raise SuiteError(
                f"{where} sets {name} = {given!r}, with which tests of {suite.__name__} would see "
                f"less; leave it out, or give {least} at least"
            )
    for name in vars(suite):
        if not name.startswith("test_") or name not in vars(cls):
            continue
        replacement = vars(cls)[name]
        if not callable(replacement):
            raise SuiteError(
                f"{where} deletes the inherited test {name!r} of {suite.__name__} by setting it to "
                f"{replacement!r}. Every model keeps every rule: make the model pass, or replace "
                "the test and decorate the replacement with @explained('why')"
            )
        if not getattr(replacement, _REASON, None):
            raise SuiteError(
                f"{where} replaces the inherited test {name!r} of {suite.__name__} without a "
                "reason. Remove the replacement, or decorate it with @explained('why')"
            )
