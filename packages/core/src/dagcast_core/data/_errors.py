"""What can go wrong between an event file and a panel, one class per decision a caller can take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class DataError(ValueError):
    """Base of every error of the metric store; the text is one paragraph."""


class SourceError(DataError):
    """A source cannot be read as Parquet or CSV, or lacks the columns declared.

    Attributes:
        source: the file name or a description of the frame.
        expected: what the declaration asks for.
        found: what the source holds.
    """

    def __init__(self, source: str, expected: str, found: str, fix: str) -> None:
        self.source = source
        self.expected = expected
        self.found = found
        super().__init__(
            f"cannot ingest {source}: expected {expected}; found {found}. "
            f"Nothing was changed on disk. {fix}"
        )


class DeclarationError(DataError):
    """An event table or metric is declared inconsistently, or otherwise than in the store."""


class UnknownMetricError(DataError, KeyError):
    """A metric or table that the store does not hold was asked for.

    Attributes:
        name: what was asked for.
        known: what the store holds.
    """

    def __init__(self, name: str, known: Iterable[str], *, what: str = "metric") -> None:
        self.name = name
        self.known = tuple(sorted(known))
        near = get_close_matches(name, self.known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        held = shortened(self.known) if self.known else "nothing yet; ingest a source first"
        super().__init__(f"the store holds no {what} {name!r}; it holds {held}.{hint}")

    def __str__(self) -> str:
        # KeyError would show the repr of the message, quotes and escapes included.
        return str(self.args[0])


class MissingCellsError(DataError):
    """Cells are missing in a metric whose dtype has no value for "missing".

    Attributes:
        name: the metric.
        missing: number of missing cells.
        cells: number of cells asked for.
    """

    def __init__(self, name: str, missing: int, cells: int, first: str) -> None:
        self.name = name
        self.missing = missing
        self.cells = cells
        super().__init__(
            f"cannot read {name!r} as integers: {missing:,} of {cells:,} cells are missing, the "
            f"first at {first}, and an integer has no value for missing. Read a range that is "
            f"covered, or ingest the rows for it."
        )


class StoreError(DataError):
    """The store's folder is not one this version can read, or a file of it is damaged."""


class MemoryLimitError(DataError):
    """There is too little memory to read or to ingest; what is on disk is as it was."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"cannot read or ingest: expected enough memory; found too little ({found}). Nothing "
            f"was changed on disk. Close other programs, raise the limit (`ulimit -a` shows it), "
            f"or read less at once."
        )


def shortened(items: Sequence[object], limit: int = 12) -> str:
    """Lists a few items and counts the rest."""
    shown = ", ".join(repr(item) for item in items[:limit])
    return f"{shown} and {len(items) - limit} more" if len(items) > limit else shown
