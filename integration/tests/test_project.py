"""Projects are made whole or not at all, and a broken one is recognised."""

import pytest

from dagcast.config import Config
from dagcast.errors import ProjectError
from dagcast.project import FOLDERS, create_project, open_project, staged, write_text


def test_created_project_opens_with_its_settings(tmp_path):
    created = create_project(tmp_path / "p", Config(name="north"))
    opened = open_project(tmp_path / "p", environment={})
    assert opened == created
    assert [entry.event for entry in opened.journal.entries()] == ["created"]


def test_creation_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectError, match=r"missing or empty folder.*other files"):
        create_project(tmp_path, Config())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_killed_creation_leaves_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dagcast.project.config_text", fail)
    with pytest.raises(KeyboardInterrupt):
        create_project(tmp_path / "p", Config())
    assert list(tmp_path.iterdir()) == []


def test_folder_without_project_says_how_to_make_one(tmp_path):
    with pytest.raises(ProjectError, match=r"an empty folder.*dagcast init"):
        open_project(tmp_path)
    with pytest.raises(ProjectError, match="no such folder"):
        open_project(tmp_path / "none")


@pytest.mark.parametrize("part", ["dagcast.toml", "log.jsonl", *FOLDERS])
def test_half_written_project_names_the_missing_part(tmp_path, part):
    project = create_project(tmp_path / "p", Config())
    path = project.folder / part
    path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(ProjectError, match=f"half-written one without {part}"):
        open_project(project.folder)


def test_staged_folder_replaces_the_old_one_only_when_complete(tmp_path):
    target = tmp_path / "result"
    with staged(target) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(FileNotFoundError), staged(target) as folder:
        (folder / "none" / "a").write_text("2")
    assert (target / "a").read_text() == "1"
    with staged(target) as folder:
        (folder / "b").write_text("3")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_text_is_written_whole(tmp_path):
    write_text(tmp_path / "a.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_results_are_numbered_without_gaps_reused(tmp_path):
    project = create_project(tmp_path / "p", Config())
    assert project.next_name(project.plans, "plan") == "plan-0001"
    (project.plans / "plan-0007").mkdir()
    assert project.next_name(project.plans, "plan") == "plan-0008"
    with pytest.raises(ProjectError, match="dagcast fit"):
        project.latest(project.models, "fit", stage="fit")
