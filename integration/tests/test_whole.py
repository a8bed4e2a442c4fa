"""Files that are there whole or not at all, and never behind a link."""

import os

import pytest

from dagcast._whole import sweep, write_bytes, write_text
from dagcast.errors import ProjectError


def test_link_makes_way_for_the_file(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name, target in (("page.html", victim), ("lost.html", tmp_path / "nowhere")):
        path = tmp_path / name
        path.symlink_to(target)
        write_text(path, "page")
        assert path.read_text() == "page"
        assert not path.is_symlink()
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_stays(tmp_path, kind, linked):
    there = tmp_path / "there"
    there.mkdir() if kind == "folder" else os.mkfifo(there)
    path = there
    if linked:
        path = tmp_path / "link"
        path.symlink_to(there)
    with pytest.raises(ProjectError, match="a file or nothing at"):
        write_bytes(path, b"x")
    assert path.is_symlink() == linked
    assert not there.is_file()
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted({"there", path.name})


def test_failure_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_text(path, "older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                write_text(path, "newer")
        assert path.read_text() == "older"
        assert [item.name for item in tmp_path.iterdir()] == ["page.html"]


def test_a_name_that_is_taken_is_not_given_again(tmp_path):
    path = tmp_path / "1.json"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_text(path, "x", replace=False)
    assert path.is_symlink()


def test_next_writer_of_a_file_removes_what_a_killed_one_left(tmp_path):
    """Beside a file that lies in no project, nobody else would."""
    (tmp_path / ".c[1].json.0123.dagcast.part").write_text("half")
    (tmp_path / ".d.json.0123.dagcast.part").write_text("of another file")
    write_text(tmp_path / "c[1].json", "x")
    left = sorted(item.name for item in tmp_path.iterdir())
    assert left == [".d.json.0123.dagcast.part", "c[1].json"]


def test_unfinished_files_of_nobody_are_removed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".a.0123.dagcast.part").write_text("half")
    (tmp_path / ".b.dagcast.part").symlink_to(victim)
    (tmp_path / ".other.part").write_text("of another program")
    sweep(tmp_path)
    assert victim.read_text() == "mine"
    left = sorted(item.name for item in tmp_path.iterdir())
    assert left == [".b.dagcast.part", ".other.part", "victim"]
