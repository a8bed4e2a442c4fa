"""`dagcast doctor` says what is wrong and what to do about it."""

import json

import pytest

from dagcast import workflow
from dagcast.config import Config
from dagcast.project import create_project
from dagcast.workflow.stages import _doctor


def checks(found):
    return {item.about: item.check for item in found.findings}


def test_a_sound_project_is_found_sound_and_left_as_it_was(tmp_path):
    project = create_project(tmp_path / "p", Config())
    before = sorted(tmp_path.rglob("*"))
    found = workflow.doctor(project.folder, environment={})
    assert set(checks(found).values()) <= {"ok", "look"}
    assert checks(found)["log"] == checks(found)["results"] == "ok"
    assert found.exit_code() == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert [item.remedy for item in found.findings if item.check == "ok" and item.remedy] == []


def test_a_folder_that_is_no_project_is_none(tmp_path):
    found = workflow.doctor(tmp_path, environment={})
    assert found.folder is None
    assert "is none" in found.findings[-1].found


def test_a_log_that_was_changed_is_wrong(tmp_path):
    project = create_project(tmp_path / "p", Config())
    log = project.folder / "log.jsonl"
    project.record("looked")
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0].replace("created", "creaked"), *lines[1:]]) + "\n")
    found = workflow.doctor(project.folder, environment={})
    assert found.exit_code() == 3
    assert "wrong" in (checks(found)["project"], checks(found).get("log"))


def test_a_bad_variable_is_named(tmp_path):
    project = create_project(tmp_path / "p", Config())
    found = workflow.doctor(project.folder, environment={"DAGCAST_PROJCT": "x"})
    (item,) = [item for item in found.findings if item.check == "wrong"]
    assert "DAGCAST_PROJCT" in item.found


@pytest.mark.parametrize(
    ("attribute", "stand_in", "about", "verdict"),
    [
        ("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1e8}), "disk", "look"),
        ("sys.version_info", (3, 10, 1), "python", "wrong"),
        ("locale.getpreferredencoding", lambda do: "ANSI_X3.4-1968", "locale", "look"),
        ("metadata.version", lambda name: "0.0.1", "packages", "wrong"),
    ],
)
def test_what_the_machine_lacks_is_found(
    tmp_path, monkeypatch, attribute, stand_in, about, verdict
):
    module, name = attribute.split(".")
    monkeypatch.setattr(getattr(_doctor, module), name, stand_in)
    found = workflow.doctor(tmp_path, environment={})
    assert checks(found)[about] == verdict
    json.dumps(found.to_json())
