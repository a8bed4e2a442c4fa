"""Logs to read, change and decide in."""

from datetime import UTC, datetime

import pytest

from dagcast.journal import Entry, Journal

WEEK = "2026-03-02T00:00:00+00:00"


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "log.jsonl")


@pytest.fixture
def propose(journal):
    """Propose a plan in the journal of the test."""

    def proposed(plan, *, start=WEEK, parent=None):
        details = {"horizon_start": start, "parent": parent}
        event = "edited" if parent else "proposed"
        journal.append(Entry(datetime.now(UTC), "ana", event, plan, details=details))

    return proposed


@pytest.fixture
def decided(journal, propose):
    """A log with decisions in it."""
    journal.append(Entry(datetime.now(UTC), "ana", "created"))
    propose("plan-0001")
    journal.decide("plan-0001", "rejected", who="ben", why="dear")
    propose("plan-0002")
    journal.decide("plan-0002", "approved", who="ben", why="")
    journal.append(Entry(datetime.now(UTC), "ana", "noted"))
    return journal
