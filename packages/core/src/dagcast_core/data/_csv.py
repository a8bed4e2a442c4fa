"""CSV files as people leave them: every line is a row, a header, blank, or set aside with a reason.

A general reader guesses from the first lines and drops what does not fit the guess: titles, a
second header, rows with one field more. Here the header is the first line that names every declared
column, so that delimiter and place are found rather than guessed, and every later line is compared
with its header. Blocks of plain rows pass a test in NumPy; only a block that fails it is looked at
line by line. What is left after that is a file that DuckDB reads in its strict mode, and its count
of rows is compared with the count here.

A quote opens a field only at its beginning and closes it only at its end, doubled in between
(RFC 4180). A line with other quotes is set aside alone: what follows it is not swallowed.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from dagcast_core.data._errors import DeclarationError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_BLOCK = 1 << 20
_LONGEST = 1 << 20
"""A longer line is set aside; it holds no row of a table."""
_LONGEST_RECORD = 1 << 16
"""Bytes of a row over several lines. A quote that closes later than that was a slip."""
_SHOWN = 1000
_KEPT = 100_000
"""Lines set aside are kept with their text up to this number; the others are counted."""
_FIRST_LINES = 1000
"""The header is looked for among these."""
_TITLES = 20
"""A header that is not known by its names is looked for among these."""
_QUOTED = re.compile(rb'"[^"]*(?:""[^"]*)*"')


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written, as far as it is declared; the rest is found.

    Attributes:
        delimiter: "," ";" "|" or a tab; None to find it by the header.
        encoding: of the text, e.g. "latin-1". A byte order mark is understood in any case.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise DeclarationError(
                f"cannot read a CSV file in {self.encoding!r}: expected an encoding such as "
                f"'utf-8' or 'latin-1'; found no such one. Correct the dialect."
            ) from error
        if self.delimiter is not None and self.delimiter not in DELIMITERS:
            raise DeclarationError(
                f"cannot read a CSV file with delimiter {self.delimiter!r}: expected one of "
                f"{', '.join(map(repr, DELIMITERS))}. Correct the dialect, or leave it out."
            )


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is no row of the table.

    Attributes:
        number: in the file, from 1.
        reason: why it is set aside.
        text: its beginning.
    """

    number: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """Rows under one header.

    Attributes:
        path: the file itself, or a copy of its good rows whose first field is the line's number.
        columns: of the header, in order.
        skip: lines before the first row.
        copied: whether ``path`` is such a copy.
    """

    path: Path
    columns: tuple[str, ...]
    skip: int
    copied: bool


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file whose every line is accounted for.

    Attributes:
        parts: where the rows are.
        delimiter: of all parts.
        rows: in the parts.
        refused: lines set aside, as far as they are kept.
        counts: reason -> lines set aside for it.
        words: what was found, in words.
    """

    parts: tuple[Part, ...]
    delimiter: str
    rows: int
    refused: tuple[Line, ...]
    counts: Mapping[str, int]
    words: str


class NoTableError(ValueError):
    """No line names the declared columns; ``columns`` are those of the likeliest header."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        super().__init__("no header")


def examine(path: Path, wanted: Sequence[str], dialect: Dialect, scratch: Path) -> CsvFile:
    """Finds header and dialect of a CSV file and accounts for every line.

    Args:
        path: of the file.
        wanted: names of the declared columns; others may stand between them. Without any, the
            header is the line that looks like one: the first with the most names.
        dialect: what is declared.
        scratch: folder for a copy of the good rows, where the file is not good throughout.

    Raises:
        NoTableError: no line is a header.
    """
    header = _find_header(path, wanted, dialect) if wanted else _likely_header(path, dialect)
    wanted = wanted or [name for name in header.columns if name]
    scan = _scan(path, header, wanted, dialect, None)
    if scan.plain:
        part = Part(path, header.columns, header.line, copied=False)
        return CsvFile((part,), header.delimiter, scan.rows, (), {}, scan.words())
    with ExitStack() as stack:
        copies = _Copies(scratch, stack)
        scan = _scan(path, header, wanted, dialect, copies)
    parts = tuple(Part(at, names, 0, copied=True) for names, (at, _) in copies.files.items())
    refused = tuple(scan.refused)
    return CsvFile(parts, header.delimiter, scan.rows, refused, scan.counts, scan.words())


@dataclass(frozen=True, slots=True)
class _Header:
    line: int
    columns: tuple[str, ...]
    delimiter: str


@dataclass(slots=True)
class _Scan:
    """What is known of a file so far."""

    header: _Header
    plain: bool = True
    rows: int = 0
    blank: int = 0
    headers: list[int] = field(default_factory=list)
    refused: list[Line] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lf: int = 0
    crlf: int = 0
    cr: int = 0
    cut: bool = False

    def words(self) -> str:
        kinds = {"LF": self.lf, "CR LF": self.crlf, "CR": self.cr}
        ends = [name for name, count in kinds.items() if count]
        said = [DELIMITERS[self.header.delimiter], f"header in line {self.header.line:,}"]
        said += [f"header again in line {line:,}" for line in self.headers[:5]]
        if len(self.headers) > 5:
            said.append(f"and {len(self.headers) - 5:,} more headers")
        if len(ends) > 1:
            said.append(f"mixed line ends ({', '.join(ends)})")
        if self.blank:
            said.append(f"{self.blank:,} blank lines")
        if self.cut:
            said.append("no line end after the last line, which may be cut off")
        return ", ".join(said)


class _Copies:
    """Files that take the good rows, one per header; made when the first row comes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.files: dict[tuple[str, ...], tuple[Path, IO[bytes]]] = {}

    def write(self, columns: tuple[str, ...], rows: list[bytes]) -> None:
        if columns not in self.files:
            path = self._folder / f"{len(self.files)}.csv"
            self.files[columns] = (path, self._stack.enter_context(path.open("wb")))
        self.files[columns][1].writelines(rows)


def _find_header(path: Path, wanted: Sequence[str], dialect: Dialect) -> _Header:
    """The first line whose fields name every declared column, by any of the delimiters."""
    marks = [dialect.delimiter] if dialect.delimiter else list(DELIMITERS)
    likeliest: tuple[int, tuple[str, ...]] = (-1, ())
    scan = _Scan(_Header(0, (), ","))
    number = 0
    for block in _blocks(path, dialect.encoding, scan):
        for line in block.split(b"\n")[:-1]:
            number += 1
            for mark in marks:
                columns = _names(line, mark)
                hits = len(set(wanted) & set(columns))
                if hits == len(set(wanted)):
                    return _Header(number, columns, mark)
                likeliest = max(likeliest, (hits, columns), key=lambda found: found[0])
            if number >= _FIRST_LINES:
                raise NoTableError(likeliest[1] if likeliest[0] > 0 else ())
    raise NoTableError(likeliest[1] if likeliest[0] > 0 else ())


def likely_columns(path: Path, dialect: Dialect) -> tuple[str, ...]:
    """Names in the line of a CSV file that looks like its header.

    Raises:
        NoTableError: no line does.
    """
    return _likely_header(path, dialect).columns


def _likely_header(path: Path, dialect: Dialect) -> _Header:
    """The first line with the most fields, by the delimiter that gives most.

    Titles above a table have fewer fields than its header.
    """
    marks = [dialect.delimiter] if dialect.delimiter else list(DELIMITERS)
    best, most, number = _Header(0, (), marks[0]), 0, 0
    for block in _blocks(path, dialect.encoding, _Scan(best)):
        for line in block.split(b"\n")[:-1]:
            number += 1
            for mark in marks:
                # A mark between quotes separates nothing.
                fields = len(_names(_QUOTED.sub(b"quoted", line), mark))
                if fields > most:
                    best, most = _Header(number, _names(line, mark), mark), fields
            if number >= _TITLES:
                break
        break
    if not any(best.columns):
        raise NoTableError(())
    return best


def _names(line: bytes, delimiter: str) -> tuple[str, ...]:
    fields = line.decode("utf-8", "replace").removeprefix("\ufeff").split(delimiter)
    return tuple(name.strip().removeprefix('"').removesuffix('"').strip() for name in fields)


def _blocks(path: Path, encoding: str, scan: _Scan) -> Iterator[bytes]:
    """The file in UTF-8 and with plain line feeds, in blocks of whole lines."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    utf8 = codecs.lookup(encoding).name == "utf-8"
    carry, last = b"", False
    with path.open("rb") as stream:
        while not last:
            read = stream.read(_BLOCK)
            last = len(read) < _BLOCK
            data = carry + (read if utf8 else decoder.decode(read, last).encode())
            # A carriage return at the very end may have its line feed in the next block.
            held = b"\r" if data.endswith(b"\r") and not last else b""
            data = data[: len(data) - len(held)]
            feeds, pairs, returns = (data.count(mark) for mark in (b"\n", b"\r\n", b"\r"))
            scan.lf, scan.crlf = scan.lf + feeds - pairs, scan.crlf + pairs
            scan.cr += returns - pairs
            if returns:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if last and data and not data.endswith(b"\n"):
                scan.cut = True
                data += b"\n"
            end = data.rfind(b"\n") + 1
            if end:
                yield data[:end]
            carry = data[end:] + held
            if len(carry) > _LONGEST:
                # The rest of such a line is let go; the NUL makes it one that is set aside.
                carry = carry[:_SHOWN] + b"\0"


def _scan(
    path: Path, header: _Header, wanted: Sequence[str], dialect: Dialect, copies: _Copies | None
) -> _Scan:
    scan = _Scan(header)
    lines = _Lines(scan, frozenset(wanted), copies)
    rest = b""
    for block in _blocks(path, dialect.encoding, scan):
        rest = lines.take(rest + block, last=False)
    lines.take(rest, last=True)
    ends = sum(count > 0 for count in (scan.lf, scan.crlf)) + 2 * (scan.cr > 0)
    utf8 = codecs.lookup(dialect.encoding).name == "utf-8"
    scan.plain = utf8 and ends <= 1 and not (scan.blank or scan.headers or scan.refused)
    return scan


class _Lines:
    """Sorts lines into rows, headers, blanks and those to set aside."""

    def __init__(self, scan: _Scan, wanted: frozenset[str], copies: _Copies | None) -> None:
        self._scan = scan
        self._wanted = wanted
        self._copies = copies
        self._number = 0
        self._columns: tuple[str, ...] = ()
        self._mark = scan.header.delimiter.encode()
        # A block without the longest of the names holds no further header.
        self._needle = max(wanted, key=len).encode()
        mark = re.escape(self._mark)
        piece = rb'(?>"(?>[^"]++|"")*+"|[^"\n' + mark + rb"]*+)"
        self._record = re.compile(piece + rb"(?:" + mark + piece + rb")*+\n")

    def take(self, data: bytes, *, last: bool) -> bytes:
        """Takes whole lines; returns those of a row that has not ended yet."""
        while self._number < self._scan.header.line and data:
            line, _, data = data.partition(b"\n")
            self._number += 1
            if self._number == self._scan.header.line:
                self._columns = self._scan.header.columns
            elif not line.strip():
                self._scan.blank += 1
            else:
                self._refuse("before the header", line)
        if not data:
            return b""
        rows = self._plain_rows(data)
        if rows is None:
            return self._one_by_one(data, last=last)
        if self._copies is not None:
            self._copy(list(enumerate(data.split(b"\n")[:-1], self._number + 1)))
        self._number += rows
        self._scan.rows += rows
        return b""

    def _plain_rows(self, data: bytes) -> int | None:
        """How many rows a block has; None where a line of it needs a closer look."""
        if b"\0" in data or self._needle in data or not _is_utf8(data):
            return None
        values = np.frombuffer(data, dtype=np.uint8)
        ends, marks = np.flatnonzero(values == 10), np.flatnonzero(values == self._mark[0])
        if b'"' in data:
            quotes = np.flatnonzero(values == 34)
            if len(quotes) % 2 or not _pair(values, quotes, self._mark[0]):
                return None
            inside = np.zeros(len(values) + 1, dtype=np.int8)
            inside[quotes[::2]], inside[quotes[1::2]] = 1, -1
            inside = np.cumsum(inside, dtype=np.int8)
            if inside[ends].any():
                return None
            marks = marks[inside[marks] == 0]
        width = len(self._columns) - 1
        if len(marks) != width * len(ends):
            return None
        if width:
            first, last = marks[::width], marks[width - 1 :: width]
            if not ((last < ends).all() and (first[1:] > ends[:-1]).all()):
                return None
        elif data.startswith(b"\n") or b"\n\n" in data:
            return None
        return len(ends)

    def _one_by_one(self, data: bytes, *, last: bool) -> bytes:
        good: list[tuple[int, bytes]] = []
        place = 0
        while place < len(data):
            end = data.index(b"\n", place) + 1
            record, reason = data[place : end - 1], ""
            if b'"' in record:
                found = self._whole(data, place)
                if found is not None:
                    record = found
                elif not last and len(data) - place <= _LONGEST_RECORD:
                    break
                else:
                    reason = "quotes that do not pair"
            first = self._number + 1
            self._number += 1 + record.count(b"\n")
            place += len(record) + 1
            if not record.strip():
                self._scan.blank += 1
                continue
            reason = reason or self._fault(record)
            if reason:
                self._refuse(reason, record, first)
            elif self._needle in record and self._wanted <= set(columns := self._fields(record)):
                self._copy(good)
                good = []
                self._columns = columns
                self._scan.headers.append(first)
            elif self._count(record) != len(self._columns):
                few = self._count(record) < len(self._columns)
                comment = record.startswith(b"#")
                self._refuse(
                    "a comment" if comment else f"too {'few' if few else 'many'} fields",
                    record,
                    first,
                )
            else:
                good.append((first, record))
                self._scan.rows += 1
        self._copy(good)
        return data[place:]

    def _whole(self, data: bytes, place: int) -> bytes | None:
        """The row that begins at a place, over as many lines as its quotes say; None: no row."""
        found = self._record.match(data, place)
        if found is None:
            return None
        record = found.group()[:-1]
        lines = record.split(b"\n")
        if len(lines) == 1:
            return record
        # A quote that opened by a slip closes at the next one, rows later.
        slip = len(record) > _LONGEST_RECORD or self._count(record) != len(self._columns)
        width = len(self._columns) - 1
        slip = slip or any(line.count(self._mark) == width for line in lines[1:-1] if width)
        return None if slip else record

    def _fault(self, record: bytes) -> str:
        if b"\0" in record:
            return "a NUL byte, or longer than a megabyte"
        return "" if _is_utf8(record) else "not UTF-8"

    def _count(self, record: bytes) -> int:
        plain = _QUOTED.sub(b"", record) if b'"' in record else record
        return plain.count(self._mark) + 1

    def _fields(self, record: bytes) -> tuple[str, ...]:
        return _names(record, self._scan.header.delimiter)

    def _refuse(self, reason: str, record: bytes, number: int | None = None) -> None:
        self._scan.counts[reason] += 1
        if len(self._scan.refused) < _KEPT:
            shown = record[:_SHOWN].decode("utf-8", "replace")
            self._scan.refused.append(Line(number or self._number, reason, shown))

    def _copy(self, rows: list[tuple[int, bytes]]) -> None:
        if self._copies is not None and rows:
            lines = [b"%d%s%s\n" % (number, self._mark, record) for number, record in rows]
            self._copies.write(self._columns, lines)


def _pair(values: np.ndarray, quotes: np.ndarray, mark: int) -> bool:
    """Whether quotes open fields only at their beginning and close them only at their end."""
    opening, closing = quotes[::2], quotes[1::2]
    edges = (10, mark, 34)
    before = np.where(opening == 0, 10, values[opening - 1])
    return bool(np.isin(before, edges).all() and np.isin(values[closing + 1], edges).all())


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
