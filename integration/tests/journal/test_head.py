"""The head counts the lines, and is never behind by more than one."""

import pytest

from dagcast.errors import ProjectError


def test_log_without_its_head_is_noticed(decided):
    decided._path.with_suffix(".head").unlink()
    with pytest.raises(ProjectError, match=r"log\.head beside"):
        decided.entries()
    assert decided.repair(who="ana").damage.found == "none"
    assert decided.entries()[-1].event == "repaired"


def test_head_that_lags_behind_is_what_a_killed_append_leaves(decided, propose):
    """The line is on the disk before it is counted."""
    head = decided._path.with_suffix(".head")
    before = head.read_bytes()
    propose("plan-0003")
    head.write_bytes(before)
    assert "plan-0003" in decided.plans()
    propose("plan-0004")
    assert int(head.read_bytes()[:12]) == len(decided.entries()) == 8
