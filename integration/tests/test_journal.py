"""The log is append-only, and a plan's state is what its lines add up to."""

import errno
import json
import os
import random
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
    with pytest.raises(ProjectError, match=r"(a complete entry in )?line 2 of .*log\.jsonl"):
        journal.decide("plan-0001", "approved", who="ben", why="")
    assert path.read_bytes() == before


def test_proposal_is_the_line_by_which_a_plan_came_to_be(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    journal.decide("plan-0002", "approved", who="ben", why="")
    assert journal.proposal("plan-0002").event == "edited"
    assert journal.proposal("plan-0001").event == "proposed"
    assert journal.proposal("plan-0003") is None


def test_rejected_edit_leaves_its_parent_open_again(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    journal.decide("plan-0002", "rejected", who="ben", why="too dear")
    assert journal.plans()["plan-0001"].state == "proposed"
    assert journal.decide("plan-0001", "approved", who="ben", why="").state == "approved"


def test_rejected_edit_does_not_revive_a_parent_that_a_newer_plan_replaced(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    propose(journal, "plan-0003")
    journal.decide("plan-0003", "rejected", who="ben", why="")
    states = {name: record.state for name, record in journal.plans().items()}
    assert states == {
        "plan-0001": "superseded",
        "plan-0002": "superseded",
        "plan-0003": "rejected",
    }


def test_edits_of_edits_open_one_by_one(journal):
    propose(journal, "plan-0001")
    propose(journal, "plan-0002", parent="plan-0001")
    propose(journal, "plan-0003", parent="plan-0002")
    journal.decide("plan-0003", "rejected", who="ben", why="")
    assert journal.plans()["plan-0002"].state == "proposed"
    assert journal.plans()["plan-0001"].state == "superseded"
    journal.decide("plan-0002", "rejected", who="ben", why="")
    assert journal.plans()["plan-0001"].state == "proposed"


@pytest.mark.parametrize("event", ["played", "looked back"])
def test_what_was_carried_out_is_final(journal, event):
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    journal.append(Entry(datetime.now(UTC), "ana", event, "plan-0001"))
    with pytest.raises(PlanStateError, match="carried out, which is final"):
        journal.decide("plan-0001", "rejected", who="ben", why="late")
    propose(journal, "plan-0002")
    with pytest.raises(PlanStateError, match=r"no approved plan.*It was carried out"):
        journal.decide("plan-0002", "approved", who="ben", why="")


def test_looking_back_at_a_plan_that_nobody_approved_decides_nothing(journal):
    propose(journal, "plan-0001")
    journal.append(Entry(datetime.now(UTC), "ana", "looked back", "plan-0001"))
    assert journal.decide("plan-0001", "rejected", who="ben", why="").state == "rejected"
    with pytest.raises(PlanStateError, match="to be approved before it is played"):
        journal.append(Entry(datetime.now(UTC), "ana", "played", "plan-0001"))


def test_name_of_a_plan_is_given_once(journal):
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    before = journal.entries()
    with pytest.raises(PlanStateError, match=r"a new name for each plan, not plan-0001.*approved"):
        propose(journal, "plan-0001")
    assert journal.entries() == before


def test_edit_of_a_plan_that_was_decided_meanwhile_is_refused(journal):
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "approved", who="ben", why="")
    with pytest.raises(PlanStateError, match=r"plan-0001, the parent of plan-0002, to be proposed"):
        propose(journal, "plan-0002", parent="plan-0001")


@pytest.mark.parametrize("event", ["fitted", "ingested"])
def test_decision_rests_on_what_was_there_when_it_was_checked(journal, event):
    propose(journal, "plan-0001")
    checked = len(journal.entries())
    journal.append(Entry(datetime.now(UTC), "ana", event, details={"fit": "fit-0002"}))
    with pytest.raises(PlanStateError, match=f"{event} meanwhile by ana"):
        journal.decide("plan-0001", "approved", who="ben", why="", checked=checked)
    state = journal.decide("plan-0001", "approved", who="ben", why="", checked=checked + 1).state
    assert state == "approved"


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
def test_whatever_is_in_a_comment_is_one_line(journal, why):
    propose(journal, "plan-0001")
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


def test_log_of_an_earlier_version_is_chained_from_the_next_line_on(journal):
    """Its lines are read as they are, and are covered by the first line that is appended."""
    old = [
        {"at": WEEK, "who": "x", "event": "created", "plan": None, "why": "", "details": {}},
        {"at": WEEK, "who": "x", "event": "proposed", "plan": "plan-0001",
         "details": {"horizon_start": WEEK}},
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in old)
    journal._path.write_text(text)
    assert journal.examine().chained_from is None
    journal.decide("plan-0001", "approved", who="ben", why="")
    assert journal.examine().chained_from == 3
    changed = journal._path.read_text().replace('"created"', '"creatd"')
    journal._path.write_text(changed)
    with pytest.raises(ProjectError, match=r"line 3 of .* a line was changed, moved or removed"):
        journal.entries()


def _tampered(lines, kind):
    """The lines after somebody changed them; hashes are not made right again."""
    lines = list(lines)
    if kind == "comment changed":
        lines[2] = lines[2].replace(b'"dear"', b'"fine"')
    elif kind == "decision turned":
        lines[2] = lines[2].replace(b'"rejected"', b'"approved"')
    elif kind == "doubled":
        lines.insert(3, lines[2])
    elif kind == "moved":
        lines[2], lines[3] = lines[3], lines[2]
    elif kind == "removed":
        del lines[2]
    elif kind == "cut off at the end":
        del lines[-1]
    elif kind == "last line changed":
        lines[-1] = lines[-1].replace(b'"ana"', b'"eve"')
    elif kind == "forged line at the end":
        lines.append(lines[-1].replace(b'"ana"', b'"eve"'))
    elif kind == "line without digest":
        values = json.loads(lines[-1])
        del values["prev"]
        lines[-1] = json.dumps(values).encode()
    elif kind == "emptied":
        lines = []
    elif kind == "first line gone":
        del lines[0]
    elif kind == "blank line":
        lines.insert(2, b"")
    return lines


TAMPERING = [
    "comment changed", "decision turned", "doubled", "moved", "removed", "cut off at the end",
    "last line changed", "forged line at the end", "line without digest", "emptied",
    "first line gone", "blank line",
]  # fmt: skip


@pytest.fixture
def decided(journal):
    """A log with decisions in it."""
    journal.append(Entry(datetime.now(UTC), "ana", "created"))
    propose(journal, "plan-0001")
    journal.decide("plan-0001", "rejected", who="ben", why="dear")
    propose(journal, "plan-0002")
    journal.decide("plan-0002", "approved", who="ben", why="")
    journal.append(Entry(datetime.now(UTC), "ana", "noted"))
    return journal


@pytest.mark.parametrize("kind", TAMPERING)
def test_changed_log_is_noticed_and_nothing_is_appended(decided, kind):
    lines = decided._path.read_bytes().splitlines()
    changed = _tampered(lines, kind)
    assert changed != lines
    data = b"".join(line + b"\n" for line in changed)
    decided._path.write_bytes(data)
    for act in (decided.entries, decided.plans, lambda: propose(decided, "plan-0003")):
        with pytest.raises(ProjectError, match=r"log\.jsonl"):
            act()
    assert decided._path.read_bytes() == data


def test_log_without_its_head_is_noticed(decided):
    decided._path.with_suffix(".head").unlink()
    with pytest.raises(ProjectError, match=r"log\.head beside"):
        decided.entries()
    assert decided.repair(who="ana").damage.found == "none"
    assert decided.entries()[-1].event == "repaired"


def test_head_that_lags_behind_is_what_a_killed_append_leaves(decided):
    """The line is on the disk before it is counted."""
    head = decided._path.with_suffix(".head")
    before = head.read_bytes()
    propose(decided, "plan-0003")
    head.write_bytes(before)
    assert "plan-0003" in decided.plans()
    propose(decided, "plan-0004")
    assert int(head.read_bytes()[:12]) == len(decided.entries()) == 8


@pytest.mark.parametrize(
    "tail",
    [b'{"at": "2026-', b"\x00" * 4096, b"\xff\xfe\n", b"[1, 2]\n", b'{"a": 1}\n{"b": 2}', b"\n\n"],
)
def test_damaged_tail_is_set_aside_with_what_was_lost(decided, tail):
    whole = decided._path.read_bytes()
    entries = decided.entries()
    decided._path.write_bytes(whole + tail)
    with pytest.raises(ProjectError, match="dagcast log --repair"):
        decided.decide("plan-0002", "rejected", who="ben", why="")
    assert decided._path.read_bytes() == whole + tail
    found = decided.repair(who="ana")
    assert found.aside.read_bytes() == tail
    *kept, last = decided.entries()
    assert tuple(kept) == entries
    assert (last.event, last.who, last.details["bytes"]) == ("repaired", "ana", len(tail))
    assert last.details["aside"] == found.aside.name
    assert decided.repair(who="ana") is None


def test_two_glued_lines_are_set_aside(decided):
    lines = decided._path.read_bytes().splitlines(keepends=True)
    decided._path.write_bytes(b"".join(lines[:-2]) + lines[-2].rstrip() + lines[-1])
    found = decided.repair(who="ana")
    assert found.lost == 0
    assert b'"approved"' in found.aside.read_bytes()
    assert decided.plans()["plan-0002"].state == "proposed"


def test_lines_that_were_cut_off_are_counted_by_the_repair(decided):
    lines = decided._path.read_bytes().splitlines(keepends=True)
    decided._path.write_bytes(b"".join(lines[:-2]))
    found = decided.repair(who="ana")
    assert (found.lost, found.aside) == (2, None)
    assert decided.entries()[-1].details["lost"] == 2


@pytest.mark.parametrize("kind", ["comment changed", "doubled", "moved", "removed", "blank line"])
def test_repair_undoes_no_decision(decided, kind):
    """Whole lines stand behind the changed one."""
    lines = _tampered(decided._path.read_bytes().splitlines(), kind)
    data = b"".join(line + b"\n" for line in lines)
    decided._path.write_bytes(data)
    with pytest.raises(ProjectError, match="Restore the log from a copy"):
        decided.repair(who="ana")
    assert decided._path.read_bytes() == data


def test_lost_final_newline_glues_nothing(decided):
    data = decided._path.read_bytes()
    decided._path.write_bytes(data.rstrip(b"\n"))
    propose(decided, "plan-0003")
    assert decided._path.read_bytes().startswith(data)
    assert "plan-0003" in decided.plans()


@pytest.mark.parametrize("room", [0, 1, 60, 10_000])
@pytest.mark.parametrize("what", ["write", "sync"])
def test_full_disk_leaves_the_log_as_it_was(decided, monkeypatch, room, what):
    before = decided._path.read_bytes(), decided._path.with_suffix(".head").read_bytes()
    left = [room]
    real = os.pwrite

    def pwrite(handle, data, offset):
        data = data[: left[0]]
        left[0] -= len(data)
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data, offset)

    def fsync(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", pwrite)
    if what == "sync":
        monkeypatch.setattr(os, "fsync", fsync)
    if room < 10_000 or what == "sync":
        with pytest.raises(OSError, match="No space|Input/output"):
            decided.decide("plan-0002", "rejected", who="ben", why="x" * 60)
    monkeypatch.undo()
    after = decided._path.read_bytes(), decided._path.with_suffix(".head").read_bytes()
    assert after == before
    assert decided.decide("plan-0002", "rejected", who="ben", why="").state == "rejected"


def test_interrupted_append_is_whole_or_not_at_all(decided, monkeypatch):
    real = os.fsync
    before = decided._path.read_bytes()

    def fsync(handle):
        real(handle)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        decided.decide("plan-0002", "rejected", who="ben", why="")
    assert decided._path.read_bytes() == before
    assert decided.plans()["plan-0002"].state == "approved"


@pytest.mark.parametrize("name", ["log.jsonl", "log.head"])
def test_links_are_not_followed(decided, tmp_path, name):
    path, victim = decided._path.with_name(name), tmp_path / "victim"
    path.rename(victim)
    path.symlink_to(victim)
    before = victim.read_bytes()
    for act in (decided.entries, lambda: propose(decided, "plan-0003")):
        with pytest.raises(ProjectError, match="a link to"):
            act()
    assert victim.read_bytes() == before


def test_pipe_in_place_of_the_log_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises((ProjectError, OSError)):
        Journal(tmp_path / "log.jsonl").entries()


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


def test_any_bytes_are_a_log_or_a_refusal(decided):
    """A thousand changes of bytes: what is read is what was written, or the log is refused."""
    data, entries = decided._path.read_bytes(), decided.entries()
    random_ = random.Random(7)
    noticed = 0
    for _ in range(1000):
        changed = bytearray(data)
        for _ in range(random_.randint(1, 3)):
            place = random_.randrange(len(changed))
            changed[place : place + random_.randint(0, 4)] = random_.randbytes(
                random_.randint(0, 4)
            )
        decided._path.write_bytes(bytes(changed))
        try:
            assert decided.entries() == entries
        except ProjectError:
            noticed += 1
    assert noticed > 950


def test_nobody_withdraws_an_approval_that_they_do_not_know_of(journal):
    propose(journal, "plan-0001")
    seen = journal.find("plan-0001").state
    journal.decide("plan-0001", "approved", who="ben", why="")
    with pytest.raises(PlanStateError, match=r"proposed still; found plan-0001 approved .*ben"):
        journal.decide("plan-0001", "rejected", who="ana", why="", seen=seen)
    journal.decide("plan-0001", "rejected", who="ana", why="", seen="approved")
