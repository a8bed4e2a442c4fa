"""CSV files as people leave them: every line is a row, a header, blank, or set aside."""

import csv
import io

import numpy as np
import pytest

from dagcast_core.data import (
    Column,
    DeclarationError,
    Dialect,
    EventTable,
    Ingestion,
    MetricSpec,
    SourceError,
    Sum,
)

TIPS = EventTable(
    name="tips",
    columns=(
        Column("id", "integer"),
        Column("city", "text"),
        Column("at", "instant"),
        Column("usd", "number"),
    ),
    time="at",
    key=("id",),
    dims={"region": "city"},
    labels={"region": "any"},
    zone="America/New_York",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("tips", "usd", "USD/h"),),
)
HEAD = "id,city,at,usd\n"


def row(number: int, usd: object = 1, **more: str) -> str:
    return ",".join([str(number), "NYC", "2025-01-01 00:00", str(usd), *more.values()]) + "\n"


@pytest.fixture
def ingest(store, tmp_path, monkeypatch):
    # Small blocks, so that small files have many.
    monkeypatch.setattr("dagcast_core.data._csv._BLOCK", 4096)

    def run(content: str | bytes, dialect: Dialect | None = None):
        path = tmp_path / "tips.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        (report,) = store.ingest_all([Ingestion(TIPS, path, dialect=dialect)])
        aside = sum(report.quarantined.values())
        assert report.read == report.accepted + report.duplicates + aside
        assert len(store.quarantine("tips")) == report.duplicates + aside
        return report

    return run


def total(store) -> float:
    hour = "2025-01-01T05:00Z"
    return float(
        store.read(["tips"], start=hour, end=hour, as_of="2026-01-01")["tips"].tensor[0, 0]
    )


def lines_of(store) -> dict[int, str]:
    kept = store.quarantine("tips")
    return dict(zip(kept["_line"].tolist(), kept["reason"].tolist(), strict=True))


@pytest.mark.parametrize("first", [1, 100])
@pytest.mark.parametrize(
    ("header", "second"),
    [
        ("id,city,at,usd,currency\n", lambda n: row(n, c="USD")),
        ("usd,at,city,id\n", lambda n: f"1,2025-01-01 00:00,NYC,{n}\n"),
        ('"id","city","at","usd"\n', row),
        (HEAD, row),
        ("note, id, city, at, usd\n", lambda n: "hello," + row(n)),
    ],
)
def test_a_second_header_begins_rows_of_its_own(ingest, store, first, header, second):
    rows = [row(n) for n in range(first)]
    report = ingest("".join([HEAD, *rows, header, second(1000), second(1001)]))
    assert (report.read, report.accepted) == (first + 2, first + 2)
    assert report.dialect == f"comma, header in line 1, header again in line {first + 2}"
    assert total(store) == first + 2


@pytest.mark.parametrize(
    ("before", "blank"),
    [
        (["Tips of January"], 0),
        (["Tips of January", "", "made on 2025-02-01"], 1),
        (["# a comment"], 0),
        (["0,NYC,2025-01-01 00:00,9", "1,NYC,2025-01-01 00:00,9"], 0),
        (["", ""], 2),
        (["a;b;c;d", "x|y"], 0),
    ],
)
def test_lines_before_the_header_are_counted_and_kept(ingest, store, before, blank):
    report = ingest("\n".join([*before, HEAD + row(5) + row(6)]))
    assert report.accepted == 2
    assert report.quarantined.get("before the header", 0) == len(before) - blank
    assert f"header in line {len(before) + 1}" in report.dialect
    assert (f"{blank} blank lines" in report.dialect) == (blank > 0)
    shown = store.quarantine("tips")["_text"].tolist()
    assert sorted(shown) == sorted(line for line in before if line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7,NYC\n", "too few fields"),
        ("7,NYC,2025-01-01 00:00\n", "too few fields"),
        ("7,NYC,2025-01-01 00:00,1,USD\n", "too many fields"),
        ("7,NYC,2025-01-01 00:00,1,\n", "too many fields"),
        ("# corrected on Monday\n", "a comment"),
        ('7,"NYC,2025-01-01 00:00,1\n', "quotes that do not pair"),
        ('7,N"Y"C,2025-01-01 00:00,1\n', "quotes that do not pair"),
        ('7,"NYC"x,2025-01-01 00:00,1\n', "quotes that do not pair"),
        ("7,N\0YC,2025-01-01 00:00,1\n", "a NUL byte, or longer than a megabyte"),
        (f"7,{'x' * 3_000_000},2025-01-01 00:00,1\n", "a NUL byte, or longer than a megabyte"),
        (b"7,caf\xe9,2025-01-01 00:00,1\n", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("place", [0, 3, 600])
def test_a_line_of_another_shape_is_set_aside_with_its_number(ingest, store, line, reason, place):
    rows = [row(1000 + n).encode() for n in range(place + 2)]
    bad = line if isinstance(line, bytes) else line.encode()
    report = ingest(b"".join([HEAD.encode(), *rows[:place], bad, *rows[place:]]))
    assert report.quarantined == {reason: 1}
    assert report.accepted == len(rows)
    assert total(store) == len(rows)
    assert lines_of(store) == {place + 2: reason}


@pytest.mark.parametrize(
    ("tail", "accepted", "reason"),
    [
        ("2,NYC,2025-01-0", 1, "too few fields"),
        ("2", 1, "too few fields"),
        ('2,"NYC', 1, "quotes that do not pair"),
        ("2,NYC,2025-01-01 00:00,", 1, "usd is missing"),
        ("2,NYC,2025-01-01 00:00,1", 2, None),
    ],
)
def test_a_last_line_that_was_cut_off_is_said(ingest, tail, accepted, reason):
    report = ingest(HEAD + row(1) + tail)
    assert report.accepted == accepted
    assert report.quarantined == ({reason: 1} if reason else {})
    assert report.dialect.endswith("no line end after the last line, which may be cut off")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (["\n"], ""),
        (["\r\n"], ""),
        (["\r"], ""),
        (["\r\n", "\n"], ", mixed line ends (LF, CR LF)"),
        (["\n", "\r", "\r\n"], ", mixed line ends (LF, CR LF, CR)"),
    ],
)
@pytest.mark.parametrize("count", [5, 1_000])
def test_lines_end_in_any_way(ingest, store, ends, said, count):
    lines = [HEAD.rstrip("\n"), *(row(n).rstrip("\n") for n in range(count))]
    content = "".join(line + ends[place % len(ends)] for place, line in enumerate(lines))
    report = ingest(content)
    assert (report.read, report.accepted) == (count, count)
    assert report.dialect == f"comma, header in line 1{said}"
    assert total(store) == count


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_the_delimiter_is_found_by_the_header(ingest, store, mark, bom):
    names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
    report = ingest(bom + (HEAD + row(1) + row(2, 5)).replace(",", mark))
    assert report.accepted == 2
    assert report.dialect == f"{names[mark]}, header in line 1"
    assert total(store) == 6


def test_a_declared_dialect_is_used(ingest, store):
    content = (HEAD + "1,Zürich,2025-01-01 00:00,3\n").replace(",", ";").encode("latin-1")
    assert ingest(content).quarantined == {"not UTF-8": 1}
    assert ingest(content, Dialect(";", "latin-1")).accepted == 1
    assert store.labels()["region"] == ("Zürich",)
    with pytest.raises(SourceError, match="no line names these columns"):
        ingest(content, Dialect("|"))
    for wrong in ({"delimiter": "x"}, {"delimiter": ""}, {"encoding": "utf-7b"}):
        with pytest.raises(DeclarationError, match="Correct the dialect"):
            Dialect(**wrong)


def test_rows_set_aside_show_what_was_written(ingest, store):
    ingest(HEAD + row(1) + "2,NYC,yesterday,ten\n" + "\n" + "3,NYC,2025-01-01 00:00,x\n")
    kept = store.quarantine("tips").set_index("_line")["_text"].to_dict()
    assert kept == {3: "2,NYC,yesterday,ten", 5: "3,NYC,2025-01-01 00:00,x"}


def test_what_the_standard_library_reads_is_what_is_read(ingest, store):
    """Quotes, doubled quotes, delimiters and line feeds within fields, against Python's csv."""
    rng = np.random.default_rng(100)
    pieces = ["N", "Y", ",", '"', " ", "é", ";", "'"]
    rows = [
        [str(n), "x" + "".join(rng.choice(pieces, rng.integers(0, 6))) + "x", "2025-01-01 00:00", n]
        for n in range(400)
    ]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["id", "city", "at", "usd"], *rows])
    report = ingest(file.getvalue())
    assert report.accepted == 400
    assert store.labels()["region"] == tuple(sorted({row[1] for row in rows}))


def test_a_field_over_several_lines_is_one_row(ingest, store):
    content = HEAD + '1,"New\nYork",2025-01-01 00:00,1\n' + row(2) + "3,NYC\n"
    report = ingest(content)
    assert report.read == 3
    assert report.quarantined["too few fields"] == 1
    assert lines_of(store)[5] == "too few fields"


def test_a_file_without_any_row_is_a_source_without_rows(ingest):
    assert ingest(HEAD).read == 0
    assert ingest(HEAD + "\n\n").dialect.endswith("2 blank lines")


def test_one_column_twice_is_refused(ingest):
    with pytest.raises(SourceError, match="'usd' twice in one header"):
        ingest("id,city,at,usd,usd\n1,NYC,2025-01-01 00:00,1,2\n")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (0, "None of the 3 rows of tips could be used; 2 of them because: at is not a time."),
        (1, None),
    ],
)
def test_a_source_of_which_nothing_could_be_used_says_why(ingest, accepted, expected):
    report = ingest(HEAD + row(1) * accepted + "2,NYC,soon,1\n3,NYC,late,1\n4,NYC\n")
    assert report.failure == expected
