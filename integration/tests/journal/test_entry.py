"""A line of the log is one entry, whatever is in its comment."""

import json
from datetime import UTC, datetime

import pytest

from dagcast.errors import ProjectError
from dagcast.journal import Entry

WEEK = "2026-03-02T00:00:00+00:00"


def test_cut_off_line_is_reported_with_its_number(journal, propose):
    propose("plan-0001")
    with journal._path.open("a") as file:
        file.write('{"at": "2026-')
    with pytest.raises(ProjectError, match="line 2"):
        journal.entries()


@pytest.mark.parametrize(
    "line",
    [
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "proposed", "plan": "plan-0002"}',
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "edited", "details": {}}',
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "approved", "plan": "plan-9"}',
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "fitted", "details": [1]}',
        b'{"at": "yesterday", "who": "x", "event": "fitted"}',
        b"[1, 2]",
        b"\xff\xfe",
    ],
)
def test_line_that_is_no_entry_is_named_and_nothing_is_appended(journal, tmp_path, line, propose):
    propose("plan-0001")
    path = tmp_path / "log.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match=r"(a complete entry in )?line 2 of .*log\.jsonl"):
        journal.decide("plan-0001", "approved", who="ben", why="")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", "", ".hidden", "x" * 101, "a\nb"])
@pytest.mark.parametrize("key", ["plan", "parent", "fit", "page"])
def test_names_that_lead_out_of_the_project_are_refused(journal, key, name):
    details = {"horizon_start": WEEK, key: name}
    plan = name if key == "plan" else "plan-0001"
    with pytest.raises((ValueError, KeyError)):
        journal.append(Entry(datetime.now(UTC), "ana", "proposed", plan, details=details))
    line = {"at": WEEK, "who": "x", "event": "proposed", "plan": plan, "details": details}
    journal._path.write_text(json.dumps(line) + "\n")
    with pytest.raises(ProjectError, match="a complete entry in line 1"):
        journal.entries()


ODD = [
    "good\u2028plan",
    "a\u2029b",
    "a\x85b",
    "caf\udce9",
    "nul\x00",
    "a\nb\r\nc",
    "\U0001f600 é",
    "{}",
]


@pytest.mark.parametrize("why", ODD)
def test_whatever_is_in_a_comment_is_one_line(journal, why, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who=why, why=why)
    entry = journal.entries()[-1]
    assert (entry.who, entry.why) == (why, why)
    data = journal._path.read_bytes()
    assert data.count(b"\n") == 2
    assert data.isascii()


def test_separators_that_an_earlier_version_wrote_raw_are_read(journal):
    line = {"at": WEEK, "who": "x", "event": "created", "why": "good\u2028plan\x85"}
    journal._path.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    assert journal.entries()[0].why == "good\u2028plan\x85"


def test_figures_that_are_none_become_null(journal):
    journal.append(Entry(datetime.now(UTC), "x", "noted", details={"a": [float("nan"), 1.5]}))
    assert journal.entries()[0].details == {"a": [None, 1.5]}


@pytest.mark.parametrize(
    "line",
    [
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "a", "event": "b"}',
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "a", "details": ' + b"[" * 100_000,
        b'{"at": "2026-03-01T00:00Z", "who": 1, "event": "a"}',
        b'{"at": 5, "who": "x", "event": "a"}',
        b'{"at": "2026-03-01T00:00Z", "who": "x", "event": "a", "details": {"a": %s}}'
        % (b"9" * 5000),
    ],
)
def test_odd_json_is_no_entry(journal, line):
    journal._path.write_bytes(line + b"\n")
    with pytest.raises(ProjectError, match="a complete entry in line 1"):
        journal.entries()


@pytest.mark.parametrize("at", ["0001-01-01T00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_time_beyond_all_calendars_is_none(journal, at):
    journal._path.write_text(json.dumps({"at": at, "who": "x", "event": "created"}) + "\n")
    with pytest.raises(ProjectError, match="a complete entry in line 1"):
        journal.entries()
