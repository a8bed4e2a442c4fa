"""A newcomer who types the tutorial in an empty folder gets through it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from dagcast import workflow

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-plan.md"
TEXT = PAGE.read_text(encoding="utf-8")
# The one command that is there to fail: a package is left out.
REFUSED = "--disable"
# A settings file would say the same; the figures of the tutorial are a reader's own.
QUICK = {"DAGCAST_BACKTEST__ORIGINS": "1", "DAGCAST_UNCERTAINTY__DRAWS": "4"}


def test_every_command_of_the_tutorial_runs(tmp_path):
    """On a smaller market than the text names, with fewer origins and draws."""
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) > 12
    assert "--regions 4 --weeks 10" in commands[0]
    commands[0] = commands[0].replace("--regions 4 --weeks 10", "--regions 2 --weeks 8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **QUICK},
            capture_output=True,
            text=True,
            check=False,
        )
        expected = 3 if REFUSED in command else 0
        assert ran.returncode == expected, f"{command}\n{ran.stdout}\n{ran.stderr}"
    assert list(tmp_path.glob("north/reports/review-plan-*.html"))
    assert list(tmp_path.glob("north/reports/retro-*"))


def test_python_of_the_tutorial_names_what_there_is():
    """The README's test runs the same loop."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    compile(code, PAGE.name, "exec")
    called = re.findall(r"workflow\.(\w+)\(", code)
    assert len(called) > 8
    assert all(callable(getattr(workflow, name)) for name in called)
