"""An append is whole or not at all, and goes nowhere else."""

import errno
import os

import pytest

from dagcast.errors import ProjectError
from dagcast.journal import Journal


def test_lost_final_newline_glues_nothing(decided, propose):
    data = decided._path.read_bytes()
    decided._path.write_bytes(data.rstrip(b"\n"))
    propose("plan-0003")
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
def test_links_are_not_followed(decided, tmp_path, name, propose):
    path, victim = decided._path.with_name(name), tmp_path / "victim"
    path.rename(victim)
    path.symlink_to(victim)
    before = victim.read_bytes()
    for act in (decided.entries, lambda: propose("plan-0003")):
        with pytest.raises(ProjectError, match="a link to"):
            act()
    assert victim.read_bytes() == before


def test_pipe_in_place_of_the_log_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises((ProjectError, OSError)):
        Journal(tmp_path / "log.jsonl").entries()
