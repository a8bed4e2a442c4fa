"""The process that waits: starts a child, follows what it tells, and blames who ended it."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, final

from dagcast import plugins as installed
from dagcast.trial._places import ours
from dagcast_core.contract import Problem

SECONDS = 60.0
"""A package that takes longer to load hangs: 0.3 s are usual."""
MEMORY = 8 << 30
"""Bytes of data that the child may hold; contracts need neither torch nor pandas."""


@final
@dataclass(frozen=True)
class Trial:
    """What loading did in the child.

    Attributes:
        problems: one for each thing that a package did and should not.
        refused: entry points that did it, which are not to be loaded again.
    """

    problems: tuple[Problem, ...] = ()
    refused: tuple[str, ...] = ()


def load_tried(disable: Sequence[str] = ()) -> installed.Plugins:
    """What ``load_plugins`` loads once a child has tried it; who did harm there is left out.

    Args:
        disable: as ``load_plugins`` takes it.
    """
    trial = try_packages(disable)
    plugins = installed.load_plugins(disable=(*disable, *trial.refused))
    disabled = tuple(name for name in plugins.disabled if name not in trial.refused)
    return replace(plugins, problems=(*trial.problems, *plugins.problems), disabled=disabled)


def try_packages(
    disable: Sequence[str] = (),
    *,
    path: Sequence[str] | None = None,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Trial:
    """Load every installed package in a child process, and say what that did besides.

    What is wrong with a package that loads without harm is found by ``load_plugins``.

    Args:
        disable: entry points or distributions that are not loaded at all.
        path: folders to look for distributions in; default ``sys.path``.
        seconds: that one package may take,
        memory: and bytes that it may hold.
    """
    found: dict[str, list[Problem]] = {}
    while True:
        child = _Child([*disable, *found], path, memory)
        try:
            child.follow(seconds)
        finally:
            child.end()
        for blamed, what in child.effects:
            found.setdefault(blamed.name, []).append(_problem(blamed, what))
        if child.finished:
            break
        # Whatever ended it between two packages would end it again.
        last = child.begun or _Blamed("", "", sys.executable)
        found.setdefault(last.name, []).append(_problem(last, child.how))
        if child.begun is None:
            break
    problems = tuple(problem for items in found.values() for problem in items)
    return Trial(problems, tuple(name for name in found if name))


def _problem(blamed: "_Blamed", what: str) -> Problem:
    return Problem.of(
        "DC215",
        blamed.value,
        producer=blamed.origin,
        expected="a package that only declares things when it is loaded",
        found=what,
        fix=f"remove that, or disable {blamed.name!r}" if blamed.name else "repair the environment",
    )


@dataclass(frozen=True)
class _Blamed:
    """An entry point as the child names it."""

    name: str
    origin: str
    value: str


@dataclass
class _Child:
    """The process that loads, as its starter sees it."""

    disable: list[str]
    path: Sequence[str] | None
    memory: int
    begun: _Blamed | None = None
    finished: bool = False
    hung: float = 0.0
    left: str = ""
    how: str = ""
    effects: list[tuple[_Blamed, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        read, write = os.pipe()
        self.stacks = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        order = {
            "disable": self.disable,
            "path": None if self.path is None else list(self.path),
            "memory": self.memory,
            "told": write,
            "stacks": self.stacks.fileno(),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dagcast.trial._child", json.dumps(order)],
            # It ends when this end of its stdin is closed, however this process ends.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write, self.stacks.fileno()),
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        os.close(write)
        self.told = os.fdopen(read, "rb", buffering=0)

    def follow(self, seconds: float) -> None:
        """Read what it tells until it ends, or says nothing for too long."""
        held, deadline = b"", time.monotonic() + seconds
        while not self.finished:
            ready, _, _ = select.select([self.told], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.hung = seconds
                # Its stack says where; a process that answers no signal says nothing.
                self.process.send_signal(signal.SIGUSR1)
                time.sleep(0.2)
                return
            data = self.told.read(65536)
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                self._hear(line)
                deadline = time.monotonic() + seconds

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            kind, blamed = said["kind"], _Blamed(*said.get("of", ("", "", "")))
            what = str(said.get("what", ""))
        except (ValueError, TypeError, KeyError, RecursionError):
            # A package wrote into the pipe, which tells nothing.
            return
        if kind == "begin":
            self.begun = blamed
        elif kind == "effect":
            self.effects.append((blamed, what))
        elif kind == "leave":
            self.left = what
        elif kind == "end":
            self.begun = None
        self.finished = kind == "finished"

    def _how(self) -> str:
        """How it ended before it had finished, in words."""
        place = _first_own(self.stacks)
        if self.hung:
            return f"nothing after {self.hung:g} s{place}"
        code = self.process.returncode
        if code < 0:
            return f"the end of the process by {signal.Signals(-code).name}{place}"
        return f"the end of the process with exit code {code}{self.left or place}"

    def end(self) -> None:
        """End it and whatever it started in its group."""
        if self.hung or self.finished:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            # What it started and left behind.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.how = self._how()
        self.stacks.close()
        self.told.close()


def _first_own(stacks: BinaryIO) -> str:
    """The innermost line of a package in stacks that faulthandler wrote."""
    stacks.seek(0)
    text = stacks.read(65536).decode(errors="replace")
    for file, line in re.findall(r'File "([^"]+)", line (\d+)', text):
        if not ours(file):
            return f" at {file.rsplit('/', 1)[-1]}:{line}"
    return ""
