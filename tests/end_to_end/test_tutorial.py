"""A newcomer who types the tutorial in an empty folder gets through it."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dagcast import serve, workflow
from dagcast.cli import run
from dagcast.cli._examples import EXAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-plan.md"
TERMINAL = PAGE.parents[1] / "how-to" / "use-the-terminal.md"
TEXT = PAGE.read_text(encoding="utf-8")
# The one command that is there to fail: a package is left out.
REFUSED = "--disable"
# A settings file would say the same; the figures of the tutorial are a reader's own.
QUICK = {"DAGCAST_BACKTEST__ORIGINS": "1", "DAGCAST_UNCERTAINTY__DRAWS": "4"}


# Examples in a help whose work other tests do, and which would take minutes here: they reach the
# stage with arguments that it takes, and end there.
REACHED = {
    "simulate", "fit", "forecast", "validate", "backtest", "compare", "plan", "what-if", "approve",
    "reject", "edit", "retro", "week", "loop", "demo", "data accept", "release propose",
    "release verify", "release promote", "release rollback", "release show", "release",
    "experiments add", "snapshot", "check --conformance", "try", "send-back", "comment", "halt",
    "resume", "access remove", "release plan", "serve",
}  # fmt: skip


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """The folder in which the tutorial was typed.

    On a smaller market than the text names, with fewer origins and draws.
    """
    folder = tmp_path_factory.mktemp("typed")
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) > 12
    assert "--regions 4 --weeks 10" in commands[0]
    commands[0] = commands[0].replace("--regions 4 --weeks 10", "--regions 2 --weeks 8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **QUICK},
            capture_output=True,
            text=True,
            check=False,
        )
        expected = 3 if REFUSED in command else 0
        assert ran.returncode == expected, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return folder


def test_every_command_of_the_tutorial_runs(typed):
    assert list(typed.glob("north/reports/review-plan-*.html"))
    assert list(typed.glob("north/reports/retro-*"))


def reaches(stage, reached):
    """Takes the place of a stage, notes it, and refuses arguments that the stage does not take."""
    signature, name = inspect.signature(stage), stage.__name__

    def called(*args, **kwargs):
        signature.bind(*args, **kwargs)
        reached.append(name)
        raise SystemExit

    return called


@pytest.fixture
def ready(typed, monkeypatch):
    """The folder of the tutorial, and in it what the examples ask for beside its project."""
    monkeypatch.chdir(typed)
    hours = pd.date_range("2026-01-05", periods=800, freq="h", tz="UTC")
    rides = pd.DataFrame({"zone": ["a", "b"] * 400, "pickup": hours, "fare": 9.5})
    rides.to_csv("trips.csv", index=False)
    monday = typed / "deliveries" / "monday"
    if not monday.exists():
        monday.mkdir(parents=True)
        shutil.copy(typed / "north" / "events" / "history" / "coupons.parquet", monday)
    return typed


@pytest.mark.parametrize(
    ("path", "line"), [(path, line) for path, lines in EXAMPLES.items() for line in lines]
)
def test_examples_of_every_help_run(ready, monkeypatch, capsys, path, line):
    """One after the other; integration/tests/test_cli.py sees them in the helps."""
    words = shlex.split(line.partition(">>")[0])[1:]
    pair = " ".join(words[:2])
    called = pair if pair in EXAMPLES else words[0]
    if called in REACHED or (f"{called} --conformance" in REACHED and "--conformance" in line):
        reached = []
        for name in dir(workflow):
            if inspect.isfunction(getattr(workflow, name)) and name != "fresh_folder":
                monkeypatch.setattr(workflow, name, reaches(getattr(workflow, name), reached))
        # It would serve until somebody ends it.
        monkeypatch.setattr(serve, "serve", reaches(serve.serve, reached))
        with pytest.raises(SystemExit):
            run(words)
        assert len(reached) == 1
        return
    code = run(words)
    said = capsys.readouterr()
    assert code == 0, said.err
    assert said.out.strip()
    if "--json" in words:
        json.loads(said.out)


def test_commands_of_the_terminal_page_run(typed, capsys):
    text = TERMINAL.read_text(encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "64"}
    (block,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines():
        ran = subprocess.run(
            ["bash", "-c", line.removeprefix("$ ")],
            cwd=typed,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        shown = [row for row in ran.stdout.splitlines() if not row.startswith("next")]
        assert max(map(len, shown)) <= 64
    (completion,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    asked = (
        f"{completion}\nCOMP_WORDS=(dagcast pro) COMP_CWORD=1; _dagcast_completion dagcast; "
        'echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(
        ["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["promises"]


def test_python_of_the_tutorial_names_what_there_is():
    """The README's test runs the same loop."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    compile(code, PAGE.name, "exec")
    called = re.findall(r"workflow\.(\w+)\(", code)
    assert len(called) > 8
    assert all(callable(getattr(workflow, name)) for name in called)
