"""Checks that every declaration shares: names, choices, versions, texts and labels."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagcast_core.contract._errors import ContractError

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check_identifier(value: object, what: str) -> str:
    """Return ``value`` if it is a lower-case identifier, the form of every name in a contract.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ContractError(
            f"{what} is {value!r}; expected a lower-case identifier such as 'open_orders'"
        )
    return value


def check_choice(value: object, choices: Iterable[str], what: str) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ContractError: it is not; the message lists the choices.
    """
    allowed = tuple(choices)
    if value not in allowed:
        raise ContractError(f"{what} is {value!r}; expected one of {', '.join(map(repr, allowed))}")
    return str(value)


def check_version(value: object, what: str) -> str:
    """Return ``value`` if it is a semantic version of three numbers.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise ContractError(f"{what} is {value!r}; expected MAJOR.MINOR.PATCH such as '1.2.0'")
    return value


def check_keys(data: Mapping[str, Any], allowed: Iterable[str], what: str) -> None:
    """Refuse JSON keys that this version of the declaration does not know.

    Raises:
        ContractError: a key is unknown; dropping it in silence could drop a promise.
    """
    unknown = sorted(set(data) - set(allowed))
    if unknown:
        raise ContractError(
            f"{what} has unknown key {unknown[0]!r}; known keys are {', '.join(allowed)}. "
            "It was probably written by a newer dagcast-core: upgrade, or write it again"
        )


def check_text(value: object, what: str) -> str:
    """Return ``value`` if it is a string without line breaks, so that reports stay one line each.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, str) or "\n" in value:
        raise ContractError(f"{what} is {value!r}; expected one line of text")
    return value


def check_labels(value: object, what: str) -> tuple[Any, ...]:
    """Return ``value`` as a tuple of at least one label.

    Raises:
        ContractError: it is empty, or one string, which Python would take apart into letters, or a
            label stands in it twice.
    """
    if isinstance(value, str) or not isinstance(value, Iterable) or not (labels := tuple(value)):
        raise ContractError(f"{what} is {value!r}; expected a tuple of at least one label")
    twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if twice:
        raise ContractError(f"{what} names {twice[0]!r} twice; expected each label once")
    return labels
