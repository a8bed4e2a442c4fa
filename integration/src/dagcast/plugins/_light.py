"""Refusing what takes seconds to import while packages are asked what they declare.

Every check and every completion of a command asks them: one package that imports torch makes all
of that slow, for everybody.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

_HEAVY = frozenset({"torch", "pandas"})


class HeavyImportError(ImportError):
    """A package imports what only building its models needs.

    Attributes:
        heavy: the module.
    """

    def __init__(self, heavy: str) -> None:
        self.heavy = heavy
        super().__init__(f"{heavy} is imported where the package is only asked what it declares")


class _Finder:
    """Comes before all others in ``sys.meta_path``; what is imported already never gets here."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name in _HEAVY:
            raise HeavyImportError(name)


@contextmanager
def nothing_heavy() -> Iterator[None]:
    """Let no import of torch or pandas begin; one that has happened already stays.

    Raises:
        HeavyImportError: the block imports one of them.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
