"""Pools of workers retry what was killed."""

import importlib

import pytest

from dagcast_core.evaluate import map_panels

# A spawned process imports the function that it runs, and cannot import a test by its path.
SQUARE = """
import os
from dagcast_core.tensor import IndexTensor, Panel

def square(task):
    number, mark = task
    if number == 3 and not mark.exists():
        mark.touch()
        os._exit(1)
    return Panel([IndexTensor(float(number**2), {}, "square")])
"""


def test_a_killed_worker_is_retried(tmp_path, monkeypatch):
    """The task that lost its process is run again, and no other result is lost."""
    (tmp_path / "squares_for_a_test.py").write_text(SQUARE)
    monkeypatch.syspath_prepend(tmp_path)
    square = importlib.import_module("squares_for_a_test").square
    tasks = {str(number): (number, tmp_path / "mark") for number in (1, 2, 3)}
    found = map_panels(square, tasks, folder=tmp_path / "results", workers=2)
    assert [panel["square"].item() for panel in found.values()] == [1, 4, 9]
    assert (tmp_path / "mark").exists()


def test_several_workers_need_a_folder():
    """They hand over their results in files."""
    with pytest.raises(ValueError, match="give a folder"):
        map_panels(print, {"1": 1, "2": 2}, workers=2)
