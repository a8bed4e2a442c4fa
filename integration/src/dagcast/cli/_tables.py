"""Tables as text: as wide as the terminal, wrapped at words, coloured by state alone."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dagcast.workflow import ResultTable

# What a terminal has that says nothing of itself.
_WIDTH = 80
_LEAST_WIDTH = 24
_GAP = "  "
# Longer words are broken rather than let them drive other columns out: as few as have to be.
_LONGEST_WORDS = (26, 18, 12)
# Breaking behind these leaves names and paths readable.
_JOINTS = "/_-.,=:"
# Columns whose cells are a state and nothing else; only these are coloured.
_STATES = {"state", "status", "verdict", "result", "interval held", "check"}
_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLOURS = {
    **dict.fromkeys(
        ("done", "approved", "held", "ok", "optimal", "consistent", "agrees", "passed", "better"),
        _GREEN,
    ),
    **dict.fromkeys(
        ("due", "waiting", "running", "proposed", "busy", "look", "stalled", "feasible"), _YELLOW
    ),
    **dict.fromkeys(
        (
            *("failed", "refused", "infeasible", "stale", "rejected", "wrong", "contradicts"),
            *("worse", "above it", "below it"),
        ),
        _RED,
    ),
}
Painter: TypeAlias = Callable[[str, str], str]


def terminal_width() -> int:
    """Columns of the terminal: COLUMNS where it says so, else what the terminal says, else 80."""
    told = os.environ.get("COLUMNS", "").strip()
    if told.isdigit() and int(told) > 0:
        return max(int(told), _LEAST_WIDTH)
    if sys.stdout is not None and sys.stdout.isatty():
        return max(shutil.get_terminal_size((_WIDTH, 24)).columns, _LEAST_WIDTH)
    return _WIDTH


def painter() -> Painter:
    """Colours a text where the reader is a terminal that wants colours (https://no-color.org)."""
    shown = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if not shown or os.environ.get("NO_COLOR"):
        return lambda text, code: text
    return lambda text, code: f"\x1b[{code}m{text}\x1b[0m"


def table_lines(
    table: "ResultTable", width: int, paint: Painter = lambda text, code: text, rule: str = "─"
) -> Iterator[str]:
    """A table with columns, line by line; none is wider than ``width``.

    Words are wrapped; where even that does not fit, columns are left out from the right, and a
    line says which.

    Args:
        table: to show; its cells are printable.
        width: columns of the terminal.
        paint: puts an ANSI code around a text.
        rule: what the line below the heads is made of.
    """
    rows = [table.columns, *table.rows]
    numeric = [_numeric([row[k] for row in table.rows]) for k in range(len(table.columns))]
    least = _least_widths(rows, numeric, width)
    kept = list(range(len(table.columns)))
    while len(kept) > 1 and _across([least[k] for k in kept]) > width:
        kept.pop()
    widths = _fitted(
        [max(columns_of(row[k]) for row in rows) for k in kept], [least[k] for k in kept], width
    )
    for line in wrapped(table.title, width):
        yield paint(line, "1")
    yield ""
    yield from _row([table.columns[k] for k in kept], widths, [numeric[k] for k in kept], None)
    yield " " + rule * (_across(widths) - 1)
    for row in table.rows:
        cells = [row[k] for k in kept]
        codes = [_code(table.columns[k], row[k]) for k in kept]
        yield from _row(cells, widths, [numeric[k] for k in kept], (paint, codes))
    if left := [table.columns[k] for k in range(len(kept), len(table.columns))]:
        said = f"too narrow for {', '.join(left)}: widen the terminal, or ask for --json"
        yield from ("", *wrapped(said, width))
    if table.note:
        yield from ("", *wrapped(table.note, width))
    yield ""


def columns_of(text: str) -> int:
    """Columns that a text takes on a terminal: wide letters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(_letter(c) for c in text)


def _letter(c: str) -> int:
    if unicodedata.combining(c):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most ``width``, broken between words; a longer word at its joints."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if columns_of(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while columns_of(word) > width:
            piece = _piece(word, width)
            lines.append(piece)
            word = word[len(piece) :]
        line = word
    return [*lines, line] if line or not lines else lines


def _piece(word: str, width: int) -> str:
    """The beginning of a word that fits; up to a joint that is not near its start."""
    end, taken = 0, 0
    while end < len(word) and taken + _letter(word[end]) <= width:
        taken += _letter(word[end])
        end += 1
    joint = max(word.rfind(c, 0, end) for c in _JOINTS) + 1
    return word[: joint if joint > end // 3 else max(end, 1)]


def _least_widths(rows: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> list[int]:
    """The narrowest that each column may be: as its figures, or its longest word or a part of it.

    Args:
        rows: the first holds the heads.
        numeric: columns of figures, which are never broken.
        width: that all of them should fit into.
    """
    least: list[int] = []
    for longest in _LONGEST_WORDS:
        least = [
            max(
                columns_of(row[k])
                if number and numeric[k]
                else min(max(map(columns_of, row[k].split(" "))), longest)
                for number, row in enumerate(rows)
            )
            for k in range(len(numeric))
        ]
        if _across(least) <= width:
            break
    return least


def _across(widths: Sequence[int]) -> int:
    """Columns of a row, with the space before it."""
    return 1 + sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Widths of the columns: the widest give way first, none below what its words need."""
    found = list(natural)
    while _across(found) > width:
        free = [k for k in range(len(found)) if found[k] > least[k]]
        if not free:
            # One column whose words are wider than the terminal.
            return [max(1, min(size, width - 1)) for size in found]
        found[max(free, key=lambda k: found[k])] -= 1
    return found


def _row(
    cells: Sequence[str],
    widths: Sequence[int],
    numeric: Sequence[bool],
    painted: tuple[Painter, Sequence[str]] | None,
) -> Iterator[str]:
    folded = [wrapped(cell, size) for cell, size in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded))):
        parts = []
        for k, lines in enumerate(folded):
            text = lines[number] if number < len(lines) else ""
            room = " " * (widths[k] - columns_of(text))
            shown = painted[0](text, painted[1][k]) if painted and painted[1][k] and text else text
            parts.append(room + shown if numeric[k] else shown + room)
        yield (" " + _GAP.join(parts)).rstrip()


def _code(column: str, cell: str) -> str:
    """The colour of a cell that is a state; empty for every other."""
    return _COLOURS.get(cell.lower(), "") if column in _STATES else ""


def _numeric(cells: Sequence[str]) -> bool:
    figures = [
        cell.lstrip("+-$ \N{MINUS SIGN}") for cell in cells if cell not in ("", "\N{EN DASH}")
    ]
    return bool(figures) and all(cell[:1].isdigit() for cell in figures)
