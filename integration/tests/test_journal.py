"""The log is append-only, and a plan's state is what its lines add up to."""

from datetime import UTC, datetime

import pytest

from dagcast.errors import PlanStateError, ProjectError, UsageError
from dagcast.journal import Entry, Journal

WEEK = "2026-03-02T00:00:00+00:00"


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "log.jsonl")


def propose(journal, plan, *, start=WEEK, parent=None):
    details = {"horizon_start": start, "parent": parent}
    event = "edited" if parent else "proposed"
    journal.append(Entry(datetime.now(UTC), "ana", event, plan, details=details))


def test_decisions_keep_who_when_and_why(journal):
    propose(journal, "plan-0001")
    record = journal.decide("plan-0001", "approved", who="ben", why="within the budget")
    assert (record.state, record.entry.who, record.entry.why) == (
        "approved",
        "ben",
        "within the budget",
    )
    assert [entry.event for entry in journal.entries()] == ["proposed", "approved"]


def test_newest_plan_is_meant_where_none_is_named(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002")
    assert journal.find(None).plan == "plan-0002"


def test_superseded_plan_cannot_be_approved(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    before = journal.entries()
    with pytest.raises(PlanStateError, match=r"superseded by plan-0002.*Decide about plan-0002"):
        journal.decide("plan-0001", "approved", who="ben", why="")
    assert journal.entries() == before
    assert journal.decide("plan-0002", "approved", who="ben", why="").parent == "plan-0001"


def test_plan_for_another_week_supersedes_nothing(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", start="2026-03-09T00:00:00+00:00")
    assert journal.decide("plan-0001", "approved", who="ben", why="").state == "approved"


def test_second_approval_for_the_same_hours_needs_the_first_withdrawn(journal):
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    propose(journal, "plan-0002")
    with pytest.raises(PlanStateError, match=r"Withdraw it first: `dagcast reject plan-0001"):
        journal.decide("plan-0002", "approved", who="ben", why="")
    journal.decide("plan-0001", "rejected", who="ben", why="a better one")
    assert journal.decide("plan-0002", "approved", who="ben", why="").state == "approved"


def test_rejected_plan_stays_rejected(journal):
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "rejected", who="ben", why="too dear")
    with pytest.raises(PlanStateError, match=r"rejected since .*ben.*too dear"):
        journal.decide("plan-0001", "approved", who="ben", why="")


def test_unknown_plan_lists_the_known(journal):
    with pytest.raises(ProjectError, match="dagcast plan"):
        _emptied(journal).find(None)
    propose(journal, "plan-0001")
    with pytest.raises(UsageError, match=r"plan-0001.*found 'plan-1'"):
        journal.find("plan-1")


def test_cut_off_line_is_reported_with_its_number(journal):
    propose(journal, "plan-0001")
    with journal._path.open("a") as file:
        file.write('{"at": "2026-')
    with pytest.raises(ProjectError, match="line 2"):
        journal.entries()


def _emptied(journal):
    journal._path.write_text("")
    return journal


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
def test_line_that_is_no_entry_is_named_and_nothing_is_appended(journal, tmp_path, line):
    propose(journal, "plan-0001")
    path = tmp_path / "log.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match="a complete entry in line 2 of"):
        journal.decide("plan-0001", "approved", who="ben", why="")
    assert path.read_bytes() == before


def test_proposal_is_the_line_by_which_a_plan_came_to_be(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    journal.decide("plan-0002", "approved", who="ben", why="")
    assert journal.proposal("plan-0002").event == "edited"
    assert journal.proposal("plan-0001").event == "proposed"
    assert journal.proposal("plan-0003") is None
