"""The command line answers bad input in one paragraph and leaves the disk as it was."""

import hashlib
import json
import subprocess
import sys

import pytest

from dagcast.cli import _COMMANDS, run
from dagcast.config import Config
from dagcast.project import create_project

# What each command needs besides a project; `init`, `demo` and `simulate` make their own.
ARGUMENTS = {
    "ingest": [],
    "check": [],
    "fit": [],
    "validate": [],
    "backtest": [],
    "compare": ["eta=dagcast-eta", "eta=other-eta"],
    "plan": [],
    "what-if": ["proposal.csv"],
    "review": [],
    "approve": [],
    "reject": ["--why", "x"],
    "edit": ["--scale", "0.5", "--why", "x"],
    "retro": [],
}

# These work on the workspace, not on a project.
PACKAGE_COMMANDS = {"new", "snapshot", "release"}


def tree(folder):
    """Every file and folder below with its content's hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that must fail; returns its one paragraph."""

    def _refused(*arguments, code=2):
        before = tree(tmp_path)
        assert run([str(argument) for argument in arguments]) == code
        captured = capsys.readouterr()
        assert tree(tmp_path) == before
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert "\n\n" not in captured.err.strip()
        return " ".join(captured.err.split())

    return _refused


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "p", Config())


def test_help_imports_neither_torch_nor_rich_nor_a_team_and_is_fast():
    code = (
        "import sys, time; from dagcast.cli import run; run(['--help']);"
        "bad = [m for m in sys.modules if m.split('.')[0] in "
        "('torch', 'pandas', 'rich', 'pydantic', 'plotly') or m.startswith('dagcast_')];"
        "print('LOADED', bad, 'CPU', time.process_time())"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded, cpu = output.split("LOADED ")[1].split(" CPU ")
    assert loaded == "[]"
    # 0.3 s is the promise; the margin is for coverage tools and busy machines.
    assert float(cpu) < 0.6
    for name in _COMMANDS:
        assert f"  {name} " in output


@pytest.mark.parametrize("name", list(_COMMANDS))
def test_every_command_has_help_with_project_and_json(name, capsys):
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: dagcast" in text
    if name not in PACKAGE_COMMANDS:
        assert "--project" in text
        assert "--json" in text


def test_tests_cover_every_command_that_needs_a_project():
    assert set(ARGUMENTS) == set(_COMMANDS) - {"init", "simulate", "demo"} - PACKAGE_COMMANDS


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_command_without_project_says_what_to_do(refused, tmp_path, name):
    text = refused(name, *ARGUMENTS[name], "--project", tmp_path)
    assert text.startswith("dagcast: expected a dagcast project (a folder with dagcast.toml) at")
    assert "found an empty folder" in text
    assert "dagcast init --project FOLDER" in text


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_command_on_half_written_project_names_what_is_missing(refused, project, name):
    project.store.rmdir()
    text = refused(name, *ARGUMENTS[name], "--project", project.folder)
    assert "found a half-written one without store." in text


@pytest.mark.parametrize("name", ["init", "simulate", "demo"])
def test_making_a_project_refuses_a_folder_with_other_things(refused, tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    text = refused(name, "--project", tmp_path)
    assert "notes.txt" in text or "other files" in text


def test_project_folder_comes_from_the_environment(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGCAST_PROJECT", str(tmp_path / "elsewhere"))
    assert "elsewhere" in refused("fit")


def test_bad_setting_names_the_line(refused, project):
    path = project.folder / "dagcast.toml"
    path.write_text(path.read_text().replace("origins = 4", "orgins = 4"))
    text = refused("backtest", "--project", project.folder)
    assert "'orgins' at dagcast.toml line" in text
    assert "Did you mean 'origins'?" in text


def test_bad_flag_is_blamed_on_the_flag(refused, project):
    assert "--set backtest.origins" in refused(
        "backtest", "--project", project.folder, "--set", "backtest.origins=0"
    )
    assert "KEY=VALUE" in refused("backtest", "--project", project.folder, "--set", "x")


def test_misspelt_command_suggests_the_nearest(refused):
    assert "Did you mean 'validate'?" in refused("validat")


def test_stage_before_its_input_names_the_command_to_run(refused, project):
    assert "dagcast ingest" in refused("ingest", "--project", project.folder)
    assert "dagcast ingest" in refused("fit", "--project", project.folder)
    for name in ("review", "approve"):
        assert "dagcast plan" in refused(name, "--project", project.folder)


def test_init_makes_a_project_and_says_so_as_json(tmp_path, capsys):
    assert run(["init", "--project", str(tmp_path / "p"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(tmp_path / "p")}
    assert run(["init", "--project", str(tmp_path / "q"), "--set", "backtest.origins=3"]) == 0
    assert "origins = 3" in (tmp_path / "q" / "dagcast.toml").read_text()
    assert "dagcast ingest --project" in capsys.readouterr().out


def test_interruption_ends_with_130(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dagcast.workflow.init", interrupted)
    assert run(["init", "--project", str(tmp_path / "p")]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_defect_keeps_its_traceback(monkeypatch, capsys, tmp_path):
    def broken(*_, **__):
        return 1 / 0

    monkeypatch.setattr("dagcast.workflow.init", broken)
    assert run(["init", "--project", str(tmp_path / "p")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
