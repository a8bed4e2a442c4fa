"""A plan's state is what its lines add up to."""

from datetime import UTC, datetime

import pytest

from dagcast.errors import PlanStateError, ProjectError, UsageError
from dagcast.journal import Entry


def test_decisions_keep_who_when_and_why(journal, propose):
    propose("plan-0001")
    record = journal.decide("plan-0001", "approved", who="ben", why="within the budget")
    assert (record.state, record.entry.who, record.entry.why) == (
        "approved",
        "ben",
        "within the budget",
    )
    assert [entry.event for entry in journal.entries()] == ["proposed", "approved"]


def test_newest_plan_is_meant_where_none_is_named(journal, propose):
    propose("plan-0001")
    propose("plan-0002")
    assert journal.find(None).plan == "plan-0002"


def test_superseded_plan_cannot_be_approved(journal, propose):
    propose("plan-0001")
    propose("plan-0002", parent="plan-0001")
    before = journal.entries()
    with pytest.raises(PlanStateError, match=r"superseded by plan-0002.*Decide about plan-0002"):
        journal.decide("plan-0001", "approved", who="ben", why="")
    assert journal.entries() == before
    assert journal.decide("plan-0002", "approved", who="ben", why="").parent == "plan-0001"


def test_plan_for_another_week_supersedes_nothing(journal, propose):
    propose("plan-0001")
    propose("plan-0002", start="2026-03-09T00:00:00+00:00")
    assert journal.decide("plan-0001", "approved", who="ben", why="").state == "approved"


def test_second_approval_for_the_same_hours_needs_the_first_withdrawn(journal, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    propose("plan-0002")
    with pytest.raises(PlanStateError, match=r"Withdraw it first: `dagcast reject plan-0001"):
        journal.decide("plan-0002", "approved", who="ben", why="")
    journal.decide("plan-0001", "rejected", who="ben", why="a better one")
    assert journal.decide("plan-0002", "approved", who="ben", why="").state == "approved"


def test_rejected_plan_stays_rejected(journal, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "rejected", who="ben", why="too dear")
    with pytest.raises(PlanStateError, match=r"rejected since .*ben.*too dear"):
        journal.decide("plan-0001", "approved", who="ben", why="")


def _emptied(journal):
    journal._path.write_text("")
    return journal


def test_unknown_plan_lists_the_known(journal, propose):
    with pytest.raises(ProjectError, match="dagcast plan"):
        _emptied(journal).find(None)
    propose("plan-0001")
    with pytest.raises(UsageError, match=r"plan-0001.*found 'plan-1'"):
        journal.find("plan-1")


def test_proposal_is_the_line_by_which_a_plan_came_to_be(journal, propose):
    propose("plan-0001")
    propose("plan-0002", parent="plan-0001")
    journal.decide("plan-0002", "approved", who="ben", why="")
    assert journal.proposal("plan-0002").event == "edited"
    assert journal.proposal("plan-0001").event == "proposed"
    assert journal.proposal("plan-0003") is None


def test_rejected_edit_leaves_its_parent_open_again(journal, propose):
    propose("plan-0001")
    propose("plan-0002", parent="plan-0001")
    journal.decide("plan-0002", "rejected", who="ben", why="too dear")
    assert journal.plans()["plan-0001"].state == "proposed"
    assert journal.decide("plan-0001", "approved", who="ben", why="").state == "approved"


def test_rejected_edit_does_not_revive_a_parent_that_a_newer_plan_replaced(journal, propose):
    propose("plan-0001")
    propose("plan-0002", parent="plan-0001")
    propose("plan-0003")
    journal.decide("plan-0003", "rejected", who="ben", why="")
    states = {name: record.state for name, record in journal.plans().items()}
    assert states == {
        "plan-0001": "superseded",
        "plan-0002": "superseded",
        "plan-0003": "rejected",
    }


def test_edits_of_edits_open_one_by_one(journal, propose):
    propose("plan-0001")
    propose("plan-0002", parent="plan-0001")
    propose("plan-0003", parent="plan-0002")
    journal.decide("plan-0003", "rejected", who="ben", why="")
    assert journal.plans()["plan-0002"].state == "proposed"
    assert journal.plans()["plan-0001"].state == "superseded"
    journal.decide("plan-0002", "rejected", who="ben", why="")
    assert journal.plans()["plan-0001"].state == "proposed"


@pytest.mark.parametrize("event", ["played", "looked back"])
def test_what_was_carried_out_is_final(journal, event, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    journal.append(Entry(datetime.now(UTC), "ana", event, "plan-0001"))
    with pytest.raises(PlanStateError, match="carried out, which is final"):
        journal.decide("plan-0001", "rejected", who="ben", why="late")
    propose("plan-0002")
    with pytest.raises(PlanStateError, match=r"no approved plan.*It was carried out"):
        journal.decide("plan-0002", "approved", who="ben", why="")


def test_looking_back_at_a_plan_that_nobody_approved_decides_nothing(journal, propose):
    propose("plan-0001")
    journal.append(Entry(datetime.now(UTC), "ana", "looked back", "plan-0001"))
    assert journal.decide("plan-0001", "rejected", who="ben", why="").state == "rejected"
    with pytest.raises(PlanStateError, match="to be approved before it is played"):
        journal.append(Entry(datetime.now(UTC), "ana", "played", "plan-0001"))


def test_name_of_a_plan_is_given_once(journal, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    before = journal.entries()
    with pytest.raises(PlanStateError, match=r"a new name for each plan, not plan-0001.*approved"):
        propose("plan-0001")
    assert journal.entries() == before


def test_edit_of_a_plan_that_was_decided_meanwhile_is_refused(journal, propose):
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    with pytest.raises(PlanStateError, match=r"plan-0001, the parent of plan-0002, to be proposed"):
        propose("plan-0002", parent="plan-0001")


@pytest.mark.parametrize("event", ["fitted", "ingested"])
def test_decision_rests_on_what_was_there_when_it_was_checked(journal, event, propose):
    propose("plan-0001")
    checked = len(journal.entries())
    journal.append(Entry(datetime.now(UTC), "ana", event, details={"fit": "fit-0002"}))
    with pytest.raises(PlanStateError, match=f"{event} meanwhile by ana"):
        journal.decide("plan-0001", "approved", who="ben", why="", checked=checked)
    state = journal.decide("plan-0001", "approved", who="ben", why="", checked=checked + 1).state
    assert state == "approved"


def test_nobody_withdraws_an_approval_that_they_do_not_know_of(journal, propose):
    propose("plan-0001")
    seen = journal.find("plan-0001").state
    journal.decide("plan-0001", "approved", who="ben", why="")
    with pytest.raises(PlanStateError, match=r"proposed still; found plan-0001 approved .*ben"):
        journal.decide("plan-0001", "rejected", who="ana", why="", seen=seen)
    journal.decide("plan-0001", "rejected", who="ana", why="", seen="approved")


@pytest.mark.parametrize(
    ("event", "details"),
    [
        ("fitted", {"fit": "fit-0001", "seal": "another"}),
        ("simulated", {"made": "events/history"}),
        ("played", {"made": "events/history"}),
    ],
)
def test_folder_of_results_is_made_once(journal, propose, event, details):
    """A second line would say that another digest counts."""
    propose("plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    journal.append(Entry(datetime.now(UTC), "ana", "fitted", details={"fit": "fit-0001"}))
    journal.append(Entry(datetime.now(UTC), "ana", "simulated", details={"made": "events/history"}))
    plan = "plan-0001" if event == "played" else None
    before = journal.entries()
    with pytest.raises(PlanStateError, match="a new name for each folder of results"):
        journal.append(Entry(datetime.now(UTC), "eve", event, plan, details=details))
    assert journal.entries() == before
