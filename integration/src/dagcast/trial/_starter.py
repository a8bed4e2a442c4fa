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
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, NoReturn, Protocol, final

from dagcast import plugins as installed
from dagcast.trial._child import Work, ignored, run
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
    return _besides(plugins, trial)


def done_tried(work: Work, disable: Sequence[str] = ()) -> Any:
    """What ``work`` makes of the packages that ``load_tried`` would load.

    Where a copy of this process can be the child, it does the work too, and the packages are loaded
    once. Where it can not, as beside other threads, the work is done here.

    Args:
        work: makes what JSON can hold out of the packages.
        disable: as ``load_plugins`` takes it.

    Raises:
        Exception: as ``work`` does.
    """
    trial = None
    if _can_copy():
        trial, told = _tried(disable, work=work)
        if told:
            return told[0]
    trial = trial or try_packages(disable)
    plugins = _besides(installed.load_plugins(disable=(*disable, *trial.refused)), trial)
    return json.loads(json.dumps(work(plugins)))


def _besides(plugins: installed.Plugins, trial: "Trial") -> installed.Plugins:
    """What was loaded, with what the trial found, without those that it refused."""
    disabled = tuple(name for name in plugins.disabled if name not in trial.refused)
    return replace(plugins, problems=(*trial.problems, *plugins.problems), disabled=disabled)


def _can_copy() -> bool:
    """Whether a copy of this process would be whole: other threads are not copied."""
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return False
    with contextlib.suppress(OSError):
        # Libraries have threads that Python does not know.
        return len(os.listdir("/proc/self/task")) == 1
    return False


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
    trial, _ = _tried(disable, path=path, seconds=seconds, memory=memory)
    assert trial is not None
    return trial


def _tried(
    disable: Sequence[str],
    *,
    path: Sequence[str] | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    work: Work | None = None,
) -> tuple[Trial | None, tuple[Any, ...]]:
    """Try the packages in children until one of them loads all that are left.

    Returns:
        What they did, and what the last child made of them with ``work``, or nothing where it
        failed. No trial where a copy of this process cannot tell, because it has a package already.
    """
    found: dict[str, list[Problem]] = {}
    thorough = work is None

    def trial() -> Trial:
        problems = tuple(problem for items in found.values() for problem in items)
        return Trial(problems, tuple(name for name in found if name))

    def worked(plugins: installed.Plugins) -> Any:
        assert work is not None
        return work(_besides(plugins, trial()))

    while True:
        child = _Child(
            [*disable, *found],
            path,
            MEMORY if memory is None else memory,
            None if work is None else worked,
            thorough,
        )
        try:
            child.follow(SECONDS if seconds is None else seconds)
        finally:
            child.end()
        if child.stale:
            return None, ()
        if child.thorough and not thorough:
            thorough = True
            continue
        for blamed, what in child.effects:
            found.setdefault(blamed.name, []).append(_problem(blamed, what))
        if child.finished:
            if work is not None and child.effects:
                # It worked with packages that are refused.
                continue
            break
        if child.working:
            # No package was being loaded: this process does the work, and sees what is wrong.
            break
        # Whatever ended it between two packages would end it again.
        last = child.begun or _Blamed("", "", sys.executable)
        found.setdefault(last.name, []).append(_problem(last, child.how))
        if child.begun is None:
            break
    if not child.finished:
        return trial(), ()
    if child.text:
        # What the packages and the work wrote on standard error.
        print(child.text, end="", file=sys.stderr)
    return trial(), child.result


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
    work: Work | None = None
    thorough: bool = True
    begun: _Blamed | None = None
    working: bool = False
    finished: bool = False
    stale: bool = False
    result: tuple[Any, ...] = ()
    hung: float = 0.0
    left: str = ""
    how: str = ""
    text: str = ""
    effects: list[tuple[_Blamed, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        read, write = os.pipe()
        # Closed by `end`.
        self.stacks, self.said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        order = {
            "disable": self.disable,
            "path": None if self.path is None else list(self.path),
            "memory": self.memory,
            "thorough": self.thorough,
            "told": write,
            "stacks": self.stacks.fileno(),
        }
        # It ends when this end of its stdin is closed, however this process ends.
        stdin, self.life = os.pipe()
        if self.work is not None:
            self.process: _Process = _Copy(order, self.work, stdin, self.said.fileno())
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dagcast.trial._program", json.dumps(order)],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(write, self.stacks.fileno()),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        os.close(stdin)
        os.close(write)
        self.told = os.fdopen(read, "rb", buffering=0)

    def follow(self, seconds: float) -> None:
        """Read what it tells until it ends, or says nothing for too long."""
        held, deadline = b"", time.monotonic() + seconds
        while not self.finished:
            # What is done with the packages may take as long as it does here.
            left = None if self.working else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self.told], [], [], left)
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
            what = said.get("what", "")
        except (ValueError, TypeError, KeyError, RecursionError):
            # A package wrote into the pipe, which tells nothing.
            return
        if kind == "begin":
            self.begun = blamed
        elif kind == "effect":
            self.effects.append((blamed, str(what)))
        elif kind == "leave":
            self.left = str(what)
        elif kind in ("work", "worked"):
            self.working = kind == "work"
        elif kind == "result":
            self.result = (what,)
        elif kind == "stale":
            self.stale = True
        elif kind == "thorough":
            self.thorough = True
        elif kind == "end":
            self.begun = None
        self.finished = kind == "finished"

    def _how(self) -> str:
        """How it ended before it had finished, in words."""
        place = _first_own(self.stacks)
        if self.hung:
            return f"nothing after {self.hung:g} s{place}"
        code = self.process.returncode
        assert code is not None
        if code < 0:
            return f"the end of the process by {signal.Signals(-code).name}{place}"
        return f"the end of the process with exit code {code}{self.left or place}"

    def end(self) -> None:
        """End it and whatever it started in its group."""
        if self.hung or self.finished:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self.life)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            # What it started and left behind.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.how = self._how()
        self.said.seek(0)
        self.text = self.said.read().decode(errors="replace")
        for file in (self.stacks, self.said, self.told):
            file.close()


class _Process(Protocol):
    """A child, however it was started."""

    pid: int

    @property
    def returncode(self) -> Any: ...

    def send_signal(self, number: int, /) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


@final
class _Copy:
    """A copy of this process that loads the packages, and goes on with them."""

    def __init__(self, order: dict[str, Any], work: Work, stdin: int, stderr: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            # What is held back would be written twice.
            with contextlib.suppress(Exception):
                stream.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _become_child(order, work, stdin, stderr)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(["a copy of this process"], timeout or 0.0)
            else:
                time.sleep(0.0005)
        return self.returncode


def _become_child(order: dict[str, Any], work: Work, stdin: int, stderr: int) -> NoReturn:
    leave = os._exit
    try:
        os.setsid()
        signal.signal(signal.SIGINT, ignored)
        os.dup2(stdin, 0)
        os.dup2(stderr, 2)
        sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
        # Other handles are this process's, which nobody here should keep open; their numbers stay
        # taken, because objects remember them.
        nothing = os.open(os.devnull, os.O_RDWR)
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in (0, 1, 2, nothing, order["told"], order["stacks"]):
                with contextlib.suppress(OSError):
                    os.dup2(nothing, int(name), inheritable=False)
        run(order, work)
    finally:
        leave(70)


def _first_own(stacks: BinaryIO) -> str:
    """The innermost line of a package in stacks that faulthandler wrote."""
    stacks.seek(0)
    text = stacks.read(65536).decode(errors="replace")
    for file, line in re.findall(r'File "([^"]+)", line (\d+)', text):
        if not ours(file):
            return f" at {file.rsplit('/', 1)[-1]}:{line}"
    return ""
