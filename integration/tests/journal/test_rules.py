"""Who may do what: every door asks the same rules, and the log asks them again under its lock."""

from datetime import UTC, datetime, timedelta

import pytest

from dagcast.errors import GateError, PlanStateError
from dagcast.journal import ConflictError, Entry, Journal, Rules, Seen

NAMED = {
    "viewer": ("cleo",),
    "analyst": ("ana",),
    "approver": ("ben", "dan"),
    "overruler": ("eve",),
}
ACTS = ("read", "comment", "edit", "approve", "reject", "send back", "stop", "overrule")


def rules(**options):
    return Rules(NAMED, **options)


def offer(journal, plan="plan-0001", *, who="ana", parent=None, spend=900.0, at=None):
    """Propose a plan that spends so much."""
    details = {
        "horizon_start": "2026-03-02T00:00:00+00:00",
        "parent": parent,
        "seal": f"seal of {plan}",
        "spend": {"USD": spend},
    }
    event = "edited" if parent else "proposed"
    journal.append(Entry(at or datetime.now(UTC), who, event, plan, details=details))


def approve(journal, who, plan="plan-0001", **options):
    options.setdefault("rules", rules())
    return journal.decide(plan, "approved", who=who, why="", **options)


@pytest.mark.parametrize(
    ("who", "may"), [("cleo", 1), ("ana", 3), ("ben", 7), ("eve", 8), ("stranger", 0)]
)
def test_each_role_may_do_what_those_before_it_may(who, may):
    assert [rules().may(who, act) for act in ACTS] == [k < may for k in range(len(ACTS))]


def test_everybody_decides_where_no_approver_is_named():
    assert all(Rules().may("anybody", act) for act in ACTS)
    # Whoever is named is what they are named.
    some = Rules({"viewer": ("cleo",)})
    assert some.may("ben", "overrule")
    assert not some.may("cleo", "comment")
    only = Rules({"overruler": ("eve",)})
    assert (only.may("ben", "approve"), only.may("ben", "overrule")) == (True, False)
    without = Rules({"approver": ("ben",)})
    assert without.may("ben", "overrule")
    assert not without.may("cleo", "read")


def test_refusal_names_who_may():
    with pytest.raises(GateError, match=r"one of ben, dan, eve to approve plans; found ana, an an"):
        rules().require("ana", "approve")
    with pytest.raises(GateError, match="one of eve to approve plans despite findings; found ben"):
        rules().require("ben", "overrule")


@pytest.mark.parametrize("decision", ["approved", "rejected", "sent back"])
@pytest.mark.parametrize("who", ["cleo", "ana", "stranger"])
def test_the_lock_asks_again(journal, decision, who):
    offer(journal)
    before = journal.entries()
    with pytest.raises(GateError, match="one of ben"):
        journal.decide(None, decision, who=who, why="x", rules=rules())
    assert journal.entries() == before


def test_nobody_approves_an_edit_of_their_own_nor_what_was_edited_from_it(journal):
    offer(journal)
    offer(journal, "plan-0002", who="ben", parent="plan-0001")
    offer(journal, "plan-0003", who="dan", parent="plan-0002")
    for who in ("ben", "dan"):
        with pytest.raises(GateError, match=f"{who} edited it, and nobody approves an edit of"):
            approve(journal, who, "plan-0003")
    # Rejecting it is no approval.
    assert approve(journal, "eve", "plan-0003").state == "approved"


def test_one_person_alone_may_approve_their_edits(journal):
    """Where nobody is named, nobody is told apart."""
    offer(journal)
    offer(journal, "plan-0002", who="ana", parent="plan-0001")
    assert approve(journal, "ana", "plan-0002", rules=Rules()).state == "approved"


def test_above_the_amount_two_different_people_approve(journal):
    limited = rules(alone_up_to=1000.0)
    offer(journal, spend=1000.5)
    first = approve(journal, "ben", rules=limited)
    assert (first.state, first.endorsement.who) == ("proposed", "ben")
    with pytest.raises(GateError, match="ben approved it already; above 1,000 another has to"):
        approve(journal, "ben", rules=limited)
    second = approve(journal, "dan", rules=limited)
    assert (second.state, second.endorsement, second.entry.details["with"]) == (
        *("approved", None),
        "ben",
    )
    assert [entry.event for entry in journal.entries()] == ["proposed", "endorsed", "approved"]


def test_up_to_the_amount_one_suffices(journal):
    offer(journal, spend=1000.0)
    assert approve(journal, "ben", rules=rules(alone_up_to=1000.0)).state == "approved"


def test_sending_back_takes_the_first_approval_with_it(journal):
    limited = rules(alone_up_to=10.0)
    offer(journal)
    approve(journal, "ben", rules=limited)
    back = journal.decide(None, "sent back", who="dan", why="less in EWR", rules=limited)
    assert (back.state, back.endorsement, back.returned.why) == ("proposed", None, "less in EWR")
    assert approve(journal, "dan", rules=limited).state == "proposed"
    assert approve(journal, "ben", rules=limited).state == "approved"


def test_nobody_approves_more_than_they_may(journal):
    limited = rules(up_to={"ben": 500.0})
    offer(journal)
    with pytest.raises(GateError, match="it spends 900, and ben approves up to 500"):
        approve(journal, "ben", rules=limited)
    assert approve(journal, "dan", rules=limited).state == "approved"


def test_an_amount_that_nobody_knows_is_above_every_limit(journal, propose):
    propose("plan-0001")
    with pytest.raises(GateError, match="does not say what it spends"):
        approve(journal, "ben", rules=rules(alone_up_to=1e9))
    assert approve(journal, "ben").state == "approved"


def test_proposals_expire(journal):
    short = rules(expires=timedelta(hours=72))
    offer(journal, at=datetime.now(UTC) - timedelta(hours=73))
    with pytest.raises(GateError, match=r"it expired at .*; propose it again"):
        approve(journal, "ben", rules=short)
    assert journal.decide(None, "rejected", who="ben", why="old", rules=short).state == "rejected"


def test_nothing_is_approved_while_approvals_are_stopped(journal):
    offer(journal)
    stop = {"plan": None, "act": "stop", "rules": rules()}
    with pytest.raises(GateError, match="to stop and resume approvals; found ana"):
        journal.note("halted", who="ana", why="x", **stop)
    journal.note("halted", who="ben", why="prices are wrong", **stop)
    with pytest.raises(PlanStateError, match="approvals to be open"):
        journal.note("halted", who="dan", why="x", **stop)
    with pytest.raises(GateError, match=r"stopped since .* by ben: prices are wrong"):
        approve(journal, "dan")
    journal.note("resumed", who="dan", why="mended", **stop)
    assert approve(journal, "dan").state == "approved"


@pytest.mark.parametrize("kind", ["edited", "sent back", "large"])
def test_no_robot_approves_what_wants_a_person(journal, kind):
    limited = rules(alone_up_to=1000.0)
    offer(journal, spend=2000.0 if kind == "large" else 900.0)
    name = "plan-0001"
    if kind == "edited":
        name = "plan-0002"
        offer(journal, name, parent="plan-0001")
    if kind == "sent back":
        journal.decide(None, "sent back", who="dan", why="less", rules=limited)
    words = {"edited": "which a person approves", "sent back": "dan sent it", "large": "two people"}
    with pytest.raises(GateError, match=words[kind]):
        approve(journal, "ben", name, rules=limited, automatic=True)
    assert approve(journal, "ben", name, rules=limited).plan == name


def test_decision_on_what_was_seen_is_taken(journal):
    offer(journal)
    seen = journal.seen(None)[2]
    assert Seen.read(str(seen)) == seen
    # What concerns other plans, and pages that were written, are no reason to look again.
    journal.append(Entry(datetime.now(UTC), "ana", "reviewed", "plan-0001"))
    assert approve(journal, "ben", opened=seen).state == "approved"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("commented", r"ana commented on plan-0001 at \d\d:\d\d UTC: careful"),
        ("endorsed", "dan approved as the first of two plan-0001"),
        ("edited", "dan edited plan-0002"),
        ("ingested", "dan ingested at"),
        ("halted", "dan halted at"),
        ("approved", "dan approved plan-0001"),
    ],
)
def test_conflict_says_who_did_what_meanwhile(journal, event, words):
    offer(journal)
    seen = journal.seen(None)[2]
    if event == "commented":
        journal.note(event, who="ana", why="careful", plan=None, act="comment", rules=rules())
        journal.note(
            event, who="ana", why="careful", plan="plan-0001", act="comment", rules=rules()
        )
    elif event == "edited":
        offer(journal, "plan-0002", who="dan", parent="plan-0001")
    else:
        plan = None if event in ("ingested", "halted") else "plan-0001"
        journal.append(Entry(datetime.now(UTC), "dan", event, plan))
    before = journal.entries()
    with pytest.raises(ConflictError, match=words) as caught:
        approve(journal, "ben", opened=seen)
    assert len(caught.value.since) == 1
    assert journal.entries() == before


@pytest.mark.parametrize("lie", ["seal", "digest", "count"])
def test_decision_about_another_plan_or_log_is_refused(journal, lie):
    offer(journal)
    count, digest, seal = str(journal.seen(None)[2]).split(":")
    given = {"seal": (count, digest, "other"), "digest": (count, "0" * 64, seal)}
    opened = Seen.read(":".join(given.get(lie, ("9", digest, seal))))
    with pytest.raises(ConflictError, match=r"another (sha256|log)"):
        approve(journal, "ben", opened=opened)


@pytest.mark.parametrize("text", ["", "1:2", "x:y:z", "-1:a:b", "\N{SUPERSCRIPT TWO}:a:b"])
def test_what_nobody_can_have_seen_is_no_look(text):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        Seen.read(text)


def test_replay_of_the_log_gives_the_state(journal, tmp_path):
    offer(journal)
    limited = rules(alone_up_to=10.0)
    approve(journal, "ben", rules=limited)
    approve(journal, "dan", rules=limited)
    again = Journal(tmp_path / "log.jsonl")
    assert again.plans() == journal.plans()
    assert again.find(None).entry.details["with"] == "ben"


def test_forged_second_approval_by_the_first_is_refused(journal):
    offer(journal)
    for who, refused in (("ben", False), ("ben", True)):
        entry = Entry(datetime.now(UTC), who, "endorsed", "plan-0001")
        if refused:
            with pytest.raises(PlanStateError, match="another approver of plan-0001 than ben"):
                journal.append(entry)
        else:
            journal.append(entry)
