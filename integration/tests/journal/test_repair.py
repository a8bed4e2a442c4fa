"""A repair sets aside what nobody can read, and undoes no decision."""

import pytest

from dagcast.errors import ProjectError


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
