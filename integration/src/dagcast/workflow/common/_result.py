"""What every stage returns: values, tables to read, and what to do next."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, final

Progress: TypeAlias = Callable[[str, float | None], None]
"""Told what a stage is doing, and the share that is done where that is known."""


def silent(message: str, share: float | None = None) -> None:
    """Progress that nobody watches."""


@final
@dataclass(frozen=True)
class ResultTable:
    """A short table: text cells only, so that every reader shows the same figures.

    Without columns the rows are sentences, shown one to a line and never wrapped.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def printable(self, shown: Callable[[str], str]) -> "ResultTable":
        """The same table with every text replaced by what may be printed of it."""
        rows = tuple(tuple(map(shown, row)) for row in self.rows)
        heads = tuple(map(shown, self.columns))
        return ResultTable(shown(self.title), heads, rows, shown(self.note))

    def __str__(self) -> str:
        """The table as plain text."""
        lines = [row for row in (self.columns, *self.rows) if row]
        widths = [max(map(len, cells)) for cells in zip_longest(*lines, fillvalue="")]
        body = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
            for line in lines
        )
        return "\n".join((self.title, *body, *([self.note] if self.note else [])))


class Result(ABC):
    """The result of one stage; subclasses are frozen dataclasses.

    Attributes:
        one_line: whether its JSON is one line, as programs that read lines want it.
    """

    one_line: ClassVar[bool] = False

    @abstractmethod
    def tables(self) -> tuple[ResultTable, ...]:
        """What a person needs to see."""

    @abstractmethod
    def next_command(self) -> str:
        """The command to run after this one, or an empty text."""

    def __str__(self) -> str:
        """The tables as plain text, for notebooks and scripts."""
        return "\n\n".join(map(str, self.tables()))

    def exit_code(self) -> int:
        """0 done, 3 a gate not passed, 4 infeasible."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values, but for those marked ``json=False``."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.metadata.get("json", True)
        }


def hidden(**options: Any) -> Any:
    """A field that is no part of the JSON, such as a fitted model."""
    return dataclasses.field(metadata={"json": False}, repr=False, **options)


def plain(value: Any) -> Any:
    """A value as JSON knows it; numbers that JSON lacks become null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata.get("json", True)
        }
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a pandas frame
        return [plain(row) for row in value.reset_index(drop=True).to_dict("records")]
    if hasattr(value, "tolist"):  # numpy, torch
        return plain(value.tolist())
    if isinstance(value, tuple | list | Set):
        return [plain(item) for item in value]
    return str(value)
