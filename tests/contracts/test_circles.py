"""The gate against import circles names each of them, and nothing else."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "imports.py"


def judged(folder, **files):
    """Exit status and lines of the gate for a package of these files."""
    package = folder / "planted"
    package.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (package / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "planted"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    return done.returncode, [line for line in lines if line.startswith("import circle: ")]


def test_files_without_a_circle_pass(tmp_path):
    assert judged(
        tmp_path, a="import planted.b\nimport planted.c", b="import planted.c", c="import json"
    ) == (0, [])


def test_circle_of_three_files_is_named_link_by_link(tmp_path):
    status, lines = judged(
        tmp_path, a="from planted import b", b="from planted.c import x", c="import planted.a"
    )
    assert status == 1
    (line,) = lines
    files = line.removeprefix("import circle: ").split(" -> ")
    assert files[0] == files[-1]
    links = set(itertools.pairwise(files))
    assert links == {
        ("planted.a", "planted.b"),
        ("planted.b", "planted.c"),
        ("planted.c", "planted.a"),
    }


def test_two_circles_are_both_named(tmp_path):
    status, lines = judged(
        tmp_path,
        a="import planted.b",
        b="import planted.a",
        c="import planted.d",
        d="import planted.c",
    )
    assert status == 1
    assert {frozenset(line.removeprefix("import circle: ").split(" -> ")) for line in lines} == {
        frozenset({"planted.a", "planted.b"}),
        frozenset({"planted.c", "planted.d"}),
    }


def test_import_inside_a_function_opens_no_circle(tmp_path):
    late = "def f():\n    from planted import b\n    return b\n"
    status, lines = judged(tmp_path, a=late, b="import planted.a")
    assert (status, len(lines)) == (1, 1)


def test_import_for_type_checkers_closes_no_circle(tmp_path):
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from planted import b\n"
    assert judged(tmp_path, a=typed, b="import planted.a") == (0, [])


@pytest.mark.parametrize("published", ["from planted.a import x", "'published on first use'"])
def test_import_of_the_package_that_a_file_lies_in_is_a_circle(tmp_path, published):
    status, lines = judged(tmp_path, __init__=published, a="from planted import x")
    assert status == 1
    assert len(lines) == 1
    assert "planted.a -> planted" in lines[0]
