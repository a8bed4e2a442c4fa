"""Valid files, mutated: no traceback, no hang, no row unaccounted for.

DAGCAST_TEST_FUZZ says how many files are tried (40 by default; 300 for a thorough run),
DAGCAST_TEST_FUZZ_SEED where the numbers start.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import (
    ColumnMap,
    CubeQuantity,
    CubeTable,
    DataError,
    Ingestion,
    MetricStore,
    Take,
)
from dagcast_core.data._csv import Dialect, examine

RUNS = int(os.environ.get("DAGCAST_TEST_FUZZ", "40"))
SEED = int(os.environ.get("DAGCAST_TEST_FUZZ_SEED", "100"))
LONGEST_SECONDS = 10

CUBE = CubeTable(
    name="hourly",
    time="at",
    dims={"region": "region"},
    quantities=(CubeQuantity("fares", "USD/h", column="fare"),),
    absent="zero",
    known_at="known_at",
)

# Under other names, with an expression, as a project declares a source of its own.
MAPPED = ColumnMap(
    "counts",
    {
        "region": Take(column="region"),
        "at": Take(column="at"),
        "known_at": Take(column="known_at"),
        "fare": Take(sql="CASE WHEN region = 'OAK' THEN fare / 2 ELSE fare END"),
    },
)

Mutation = Callable[[np.random.Generator, bytes], bytes]


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Ends what hangs; the signal reaches the main thread between two of its steps."""

    def stop(*_: object) -> None:
        raise AssertionError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def some_lines(rng: np.random.Generator, content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    lines = content.split(b"\n")
    for place in rng.integers(0, len(lines), rng.integers(1, 4)):
        lines[place] = change(lines[place])
    return b"\n".join(lines)


def some_cells(rng: np.random.Generator, content: bytes, words: list[bytes]) -> bytes:
    def change(line: bytes) -> bytes:
        cells = line.split(b",")
        cells[rng.integers(len(cells))] = words[rng.integers(len(words))]
        return b",".join(cells)

    return some_lines(rng, content, change)


WORDS = [
    b"", b"NULL", b"nan", b"inf", b"-inf", b"1e400", b"-0", b"1e15", b"true", b"0x10", b"1,5",
    b'"', b'""', b'"a', b'a"b', b'"a""b"', b"\xff\xfe", b"\x00", b"\r", b" ", b"\xc2\xa0", b"=1+1",
    b"infinity", b"now", b"2025-02-30", b"2025-01-06 25:00", b"2025-01-06T00:05:00Z foo",
    b"0001-01-01",
    b"9999-12-31 23:59", b"2025-01-06 08:00 PM", b"2025-01-06 08:00[Europe/Paris]", b"1736121900",
    b"99999999999999999999999", b"sfo", b"SFO ", b"S\xcc\x81FO", b"x" * 70_000,
    b"'; DROP TABLE source",
    b"\xe2\x80\xa8", b"-5", b"+5", b"5.", b"1_000",
]  # fmt: skip
MUTATIONS: dict[str, Mutation] = {
    "cells": lambda rng, text: some_cells(rng, text, WORDS),
    "many cells": lambda rng, text: some_cells(rng, some_cells(rng, text, WORDS), WORDS),
    "bytes": lambda rng, text: bytes(
        byte if rng.random() > 0.01 else int(rng.integers(256)) for byte in text
    ),
    "cut off": lambda rng, text: text[: rng.integers(len(text))],
    "cut out": lambda rng, text: text[: len(text) // 2] + text[rng.integers(len(text)) :],
    "twice": lambda _, text: text + text,
    "lines doubled": lambda rng, text: some_lines(rng, text, lambda line: line + b"\n" + line),
    "lines glued": lambda rng, text: text.replace(b"\n", b"", int(rng.integers(1, 4))),
    "line ends": lambda rng, text: text.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n"])),
    "mixed ends": lambda rng, text: some_lines(rng, text, lambda line: line + b"\r"),
    "quotes": lambda rng, text: some_lines(rng, text, lambda line: b'"' + line),
    "delimiters": lambda rng, text: text.replace(b",", rng.choice([b";", b"\t", b"|", b" "])),
    "columns": lambda rng, text: some_lines(rng, text, lambda line: line + b",more"),
    "fewer": lambda rng, text: some_lines(rng, text, lambda line: line.rpartition(b",")[0]),
    "titles": lambda _, text: b"Rides of January\n\n# made by hand\n" + text,
    "headers": lambda rng, text: some_lines(
        rng, text, lambda line: line + b"\n" + text.split(b"\n")[0] + b",currency"
    ),
    "encoding": lambda rng, text: text.decode(errors="replace").encode(
        rng.choice(["utf-16", "utf-8-sig"])
    ),
    "long line": lambda rng, text: some_lines(
        rng, text, lambda line: line * (2_500_000 // (len(line) + 1))
    ),
    "shuffled": lambda rng, text: b"\n".join(rng.permutation(text.split(b"\n")).tolist()),
    "nothing": lambda _, text: text[:0],
    "header alone": lambda _, text: text.split(b"\n")[0],
}


def lines_that_say_something(content: bytes) -> int:
    """Lines by Python's own rules: an upper bound of rows, set-aside lines and headers together."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return sum(bool(line.strip()) for line in lines)


@pytest.fixture
def valid(make_rides) -> bytes:
    rows = [
        (n, ("SFO", "OAK", "é")[n % 3], 60 * (n % 50), 20, 1.5 * n + 1, n % 7) for n in range(60)
    ]
    return make_rides(*rows).to_csv(index=False).encode()


def test_the_alarm_rings():
    def hang() -> None:
        with within(1):
            while True:
                pass

    with pytest.raises(AssertionError, match="took longer"):
        hang()


@pytest.mark.parametrize("run", range(RUNS))
def test_mutated_csv_files_are_accounted_for(tmp_path, rides_table, valid, run):
    rng = np.random.default_rng([SEED, run])
    name = list(MUTATIONS)[run % len(MUTATIONS)]
    content = MUTATIONS[name](rng, valid)
    if rng.random() < 0.3:
        content = MUTATIONS[list(MUTATIONS)[rng.integers(len(MUTATIONS) - 2)]](rng, content or b"x")
    path = tmp_path / "rides.csv"
    path.write_bytes(content)
    store = MetricStore(tmp_path / "store")
    spec = CUBE if run % 3 else replace(rides_table, labels={"region": "any"})
    mapping = MAPPED if run % 3 == 1 else None
    with within(LONGEST_SECONDS):
        try:
            (report,) = store.ingest_all([Ingestion(spec, path, mapping=mapping)])
        except DataError as error:
            # A refusal of the whole, in one paragraph, and nothing is left behind.
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert "\n" not in refusal, name
            assert not store.folder.exists()
            return
        aside = sum(report.quarantined.values())
        assert report.read == report.accepted + report.duplicates + aside, name
        kept = store.quarantine(spec.name)
        assert len(kept) == report.duplicates + aside
        # A row over several lines is one, and a header none: else every line is there.
        table = spec.table() if isinstance(spec, CubeTable) else spec
        wanted = [column.name for column in table.columns]
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        file = examine(path, wanted, Dialect(), scratch)
        headers = 1 + file.words.count("header again")
        if b'"' not in content and "more headers" not in file.words:
            assert report.read + headers == lines_that_say_something(content), name
        store.verify()
        if report.accepted:
            names, (span,) = sorted(store.metrics()), store.spans().values()
            hours = {"start": span.start, "end": min(span.end, span.start + pd.Timedelta(days=9))}
            store.read(names, **hours, as_of="2100-01-01", cache=False)
        again = Ingestion(spec, path, mapping=mapping)
        assert store.ingest_all([again])[0].unchanged


@pytest.mark.parametrize("run", range(max(RUNS // 4, 1)))
def test_mutated_parquet_files_are_accounted_for(tmp_path, rides_table, make_rides, run):
    rng = np.random.default_rng([SEED, run, 1])
    path = tmp_path / "rides.parquet"
    make_rides(*((n, "SFO", n % 600, 20, 1.0 + n, 1.0) for n in range(300))).to_parquet(path)
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 30)):
        content[rng.integers(len(content))] = rng.integers(256)
    path.write_bytes(content if rng.random() < 0.8 else content[: rng.integers(len(content))])
    store = MetricStore(tmp_path / "store")
    with within(LONGEST_SECONDS):
        try:
            report = store.ingest(rides_table, path)
        except DataError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert "\n" not in refusal
            assert not store.folder.exists()
            return
        assert report.read == 300
        aside = report.duplicates + sum(report.quarantined.values())
        assert report.read == report.accepted + aside
        assert len(store.quarantine("rides")) == aside


@pytest.mark.parametrize("run", range(max(RUNS // 4, 1)))
def test_mutated_stores_are_read_or_refused(filled, rides_table, make_rides, run):
    rng = np.random.default_rng([SEED, run, 2])
    files = sorted(
        path for path in filled.folder.rglob("*") if path.is_file() and path.stat().st_size
    )
    path: Path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 8)):
        content[rng.integers(len(content))] = rng.integers(256)
    path.write_bytes(content if rng.random() < 0.7 else content[: rng.integers(len(content))])
    day = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}
    refusals = []
    with within(LONGEST_SECONDS):
        for act in (
            lambda: filled.read(["rides", "wait"], **day),
            filled.spans,
            filled.verify,
            lambda: filled.quarantine("rides"),
            lambda: filled.ingest(rides_table, make_rides((77, "SFO", 5, 20, 1.0, 1.0))),
        ):
            try:
                act()
            except DataError as error:
                refusals.append(str(error))
    assert [text for text in refusals if "\n" in text] == []
