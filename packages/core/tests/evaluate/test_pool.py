"""Workers are retried where they are killed, and end with the process that started them."""

import importlib
import os
import signal
import subprocess
import sys
import time

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


# Prints the pids of its workers, then works for a minute.
STARTER = """
import os, sys, time
from pathlib import Path

from dagcast_core.evaluate import map_panels


def work(folder):
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(60)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    map_panels(work, {"a": folder, "b": folder}, folder=folder / "results", workers=2)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process whose parent is gone, and that nobody reaps, is dead all the same.
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.again
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads the state of processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_starter(tmp_path, number):
    script = tmp_path / "starter.py"
    script.write_text(STARTER)

    def restored():
        # Processes in the background are started without Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    starter = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        preexec_fn=restored,
        start_new_session=True,
    )
    try:
        assert until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 120)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert all(map(alive, workers))
        if number == signal.SIGINT:
            # A terminal tells the whole group.
            os.killpg(starter.pid, number)
        else:
            os.kill(starter.pid, number)
        starter.wait(10)
        assert until(lambda: not any(map(alive, workers)), 5)
        said = starter.stderr.read().decode()
        assert said.count("Traceback") == (number == signal.SIGINT)
    finally:
        starter.kill()
        starter.communicate()
