"""Checks that every declaration shares: names, choices, versions and immutable mappings."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from dagcast_core.contract._errors import ContractError

V = TypeVar("V")

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class FrozenMapping(Mapping[str, V], Generic[V]):
    """A read-only mapping that hashes and pickles.

    ``types.MappingProxyType`` does neither, and declarations travel to worker processes and
    serve as keys of caches.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._items: dict[str, V] = dict(items)

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def check_identifier(value: object, what: str) -> str:
    """Return ``value`` if it is a lower-case identifier, the form of every name in a contract.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ContractError(
            f"{what} is {value!r}; expected a lower-case identifier such as 'driver_hours'"
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
        ContractError: it is empty, or one string, which Python would take apart into letters.
    """
    if isinstance(value, str) or not isinstance(value, Iterable) or not (labels := tuple(value)):
        raise ContractError(f"{what} is {value!r}; expected a tuple of at least one label")
    return labels
