"""Too little memory is said to be that: no damaged file, no end of the process."""

import resource
from types import SimpleNamespace

import duckdb
import pytest

from dagcast_core.data import MemoryLimitError
from dagcast_core.data._batch import execute
from dagcast_core.data._memory import LEAST, _used, room
from dagcast_core.data._source import connect


def limited(monkeypatch, left):
    limit = _used()["VmData"] + left
    limits = {resource.RLIMIT_DATA: limit, resource.RLIMIT_AS: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], limits[kind]))


def test_no_limit_leaves_all_room(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert room() is None


def test_a_limit_leaves_what_is_not_used_yet(monkeypatch):
    limited(monkeypatch, 4 * LEAST)
    assert room() == pytest.approx(4 * LEAST, abs=2**26)


def test_nothing_is_begun_where_threads_would_not_start(monkeypatch):
    """Libraries end the process there with SIGSEGV or SIGABRT."""
    limited(monkeypatch, LEAST // 2)
    with pytest.raises(
        MemoryLimitError, match=r"found too little \([\d,]+ MB left of the [\d,]+ MB"
    ):
        room()


def test_memory_that_runs_out_is_no_damage(rides_table):
    """The database says so with an error that is of the same kind as that of a damaged file."""

    def exhausted(statement):
        raise duckdb.OutOfMemoryException("Out of Memory Error: no block\n\nPossible solutions:")

    with pytest.raises(MemoryLimitError, match=r"too little \(Out of Memory Error: no block\)"), (
        connect()
    ):  # fmt: skip
        execute(SimpleNamespace(execute=exhausted), "SELECT 1", None, rides_table)
