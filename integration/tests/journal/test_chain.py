"""Whoever changes a line, or takes one away, is noticed."""

import json
import random

import pytest

from dagcast.errors import ProjectError

WEEK = "2026-03-02T00:00:00+00:00"


def tampered(lines, kind):
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


@pytest.mark.parametrize("kind", TAMPERING)
def test_changed_log_is_noticed_and_nothing_is_appended(decided, kind, propose):
    lines = decided._path.read_bytes().splitlines()
    changed = tampered(lines, kind)
    assert changed != lines
    data = b"".join(line + b"\n" for line in changed)
    decided._path.write_bytes(data)
    for act in (decided.entries, decided.plans, lambda: propose("plan-0003")):
        with pytest.raises(ProjectError, match=r"log\.jsonl"):
            act()
    assert decided._path.read_bytes() == data


@pytest.mark.again
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


@pytest.mark.parametrize("kind", ["comment changed", "doubled", "moved", "removed", "blank line"])
def test_repair_undoes_no_decision(decided, kind):
    """Whole lines stand behind the changed one."""
    lines = tampered(decided._path.read_bytes().splitlines(), kind)
    data = b"".join(line + b"\n" for line in lines)
    decided._path.write_bytes(data)
    with pytest.raises(ProjectError, match="Restore the log from a copy"):
        decided.repair(who="ana")
    assert decided._path.read_bytes() == data
