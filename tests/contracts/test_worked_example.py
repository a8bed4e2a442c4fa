"""The page "Write a team package" does what it says, line by line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagcast.scaffold import new_package

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-team-package.md"
NAME = "weather-sessions"


def blocks():
    """Files that the page shows, by their path in the workspace."""
    found = re.findall(r"```python\n# (packages/\S+)\n(.*?)```", PAGE.read_text(), flags=re.S)
    return dict(found)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copy(ROOT / "pyproject.toml", workspace)
    made = new_package(NAME, workspace)
    for path, text in blocks().items():
        assert path in made.files
        (workspace / path).write_text(text)
    info = workspace / "site" / f"{made.module}-0.1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {made.distribution}\nVersion: 0.1.0\n"
    )
    info.joinpath("entry_points.txt").write_text(
        f"[dagcast.models]\n{NAME} = {made.module}.plugin\n"
    )
    return made


def run(package, *arguments):
    path = [str(package.folder / "src"), str(package.folder.parents[1] / "site")]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_model_of_the_page_takes_about_25_lines():
    code = [
        line
        for text in blocks().values()
        for line in re.sub(r'""".*?"""', "", text, flags=re.S).splitlines()
        if line.strip() and not line.startswith(("from", "import", "#"))
    ]
    assert len(blocks()) == 2
    assert len(code) <= 26


def test_model_of_the_page_obeys_the_model_contract(package):
    ran = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests")
    assert ran.returncode == 0, ran.stdout + ran.stderr


SWAP = """
from dagcast.assembly import build_collection, check_assembly
from dagcast.plugins import load_plugins

plugins = load_plugins()
both = check_assembly(plugins)
print([p.code + " " + p.name for p in both.problems])
choice = {"weather_sessions": "dagcast-weather-sessions"}
swapped = check_assembly(plugins, serving=choice)
print([p.code for p in swapped.problems])
labels = {"region": ("north", "south"), "incentive": ("bonus",)}
market = build_collection(plugins, labels, choice)
print("rain-sessions" in market.order, "weather-sessions" in market.order)
"""


def test_model_of_the_page_is_refused_until_it_is_chosen_and_then_serves(package):
    ran = run(package, "-c", SWAP)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["['DC103 weather_sessions']", "[]", "True False"]
