"""Tables fit the terminal, long steps say how far they are, and only states have a colour."""

import io
import sys

import pytest

from dagcast.cli._pace import Pace
from dagcast.cli._tables import columns_of, painter, table_lines, terminal_width, wrapped
from dagcast.workflow import ResultTable

LONG = ResultTable(
    "Experiments that were measured in the weeks before the first plan was carried out",
    ("experiment", "outcome", "estimate", "where it comes from", "file", "state"),
    (
        ("boost-hours", "incremental_driver_hours", "1,234.5", "a trial of two weeks in March",
         "/srv/projects/north/events/experiment-boost-hours/trial.toml", "agrees"),
        ("streak", "rides", "-3.0", "", "found.json", "contradicts"),
    ),
    "an interval of 95 % holds what would be found again nineteen times out of twenty",
)  # fmt: skip


def shown(table, width, **options):
    return list(table_lines(table, width, **options))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 140])
def test_table_fits_and_breaks_no_figure(width):
    lines = shown(LONG, width)
    assert max(map(columns_of, lines)) <= width
    assert any("1,234.5" in line for line in lines) or "estimate" in " ".join(lines)
    body = lines[: lines.index("", lines.index("") + 1)]
    left_out = [head for head in LONG.columns if head.split()[0] not in " ".join(body)]
    said = " ".join(" ".join(lines).split())
    assert all(head in said for head in left_out)
    assert ("too narrow for" in said) == bool(left_out)


def test_wide_table_keeps_every_cell_in_one_line():
    lines = shown(LONG, 200)
    assert "too narrow" not in " ".join(lines)
    (row,) = [line for line in lines if "boost-hours " in line]
    assert all(cell in row for cell in LONG.rows[0])


def test_words_are_not_broken_while_they_fit():
    words = ("trials", "of", "two", "weeks", "in", "March", "and", "one", "in", "April")
    for width in range(7, 40):
        assert " ".join(wrapped(" ".join(words), width)).split() == list(words)
    assert wrapped("/srv/projects/north/events", 12) == ["/srv/", "projects/", "north/events"]
    assert wrapped("", 10) == [""]


def test_letters_take_the_columns_that_they_take():
    assert columns_of("北京") == 4
    assert columns_of("e\N{COMBINING ACUTE ACCENT}") == 1
    lines = shown(ResultTable("", ("city", "n"), (("北京市海淀区", "1"), ("Rome", "22"))), 24)
    assert len({columns_of(line) for line in lines if line.endswith(("1", "22"))}) == 1


def test_only_states_are_coloured():
    lines = shown(LONG, 200, paint=lambda text, code: f"<{code}>{text}")
    assert "<32>agrees" in " ".join(lines)
    assert "<31>contradicts" in " ".join(lines)
    (row,) = [line for line in lines if "streak" in line]
    assert row.count("<") == 1
    same = ResultTable("", ("region", "rides"), (("agrees", "1"), ("failed", "2")))
    assert "<3" not in " ".join(shown(same, 80, paint=lambda text, code: f"<{code}>{text}"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, variables, coloured):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert ("\x1b[32m" in painter()("ok", "32")) is coloured
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert painter()("ok", "32") == "ok"


@pytest.mark.parametrize(
    ("told", "width"), [("64", 64), ("200", 200), ("3", 24), ("wide", 80), ("", 80), ("0", 80)]
)
def test_columns_say_how_wide(monkeypatch, told, width):
    monkeypatch.setenv("COLUMNS", told)
    assert terminal_width() == width


def test_long_steps_say_how_far_they_are_and_how_long_they_take():
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.line("drawing", 0.0) == "drawing"
    said = []
    for second in range(1, 60):
        now[0] = float(second)
        said.append(pace.line("drawing", second / 60))
    assert [line for line in said if line] == [
        "drawing: 17%, about 50 s left",
        "drawing: 33%, about 40 s left",
        "drawing: 50%, about 30 s left",
        "drawing: 67%, about 20 s left",
        "drawing: 83%, about 10 s left",
    ]
    # The next step says itself at once, and knows nothing of its own time yet.
    assert pace.line("reading", None) == "reading"
    assert pace.line("reading", None) == ""
    assert pace.line("optimising, step 1", 0.0) == "optimising, step 1"
    assert pace.line("optimising, step 2", 0.1) == ""
    now[0] += 3600
    assert pace.line("optimising, step 900", 0.1).startswith("optimising, step 900: 10%, about 9.0")
