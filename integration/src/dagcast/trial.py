"""Loading packages in a process of their own first, so that none decides how a check ends.

What a package does when it is loaded is its team's business until it ends the process, never
returns, prints into somebody's JSON, or changes what others use. So ``dagcast check`` and the gates
of a release let a child load every package under limits of time and memory, one after another, and
name what it did there; who did that is left out of the process that goes on.

Nothing here keeps a package from harm: it runs with all rights of whoever started the check.
"""

import atexit
import contextlib
import faulthandler
import importlib
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, BinaryIO, final

import pluggy

import dagcast_core.hooks as hooks
from dagcast import plugins as installed
from dagcast_core.contract import Problem

SECONDS = 60.0
"""A package that takes longer to load hangs: 0.3 s are usual."""
MEMORY = 8 << 30
"""Bytes of data that the child may hold; contracts need neither torch nor pandas."""

_FILE_BYTES = 64 << 20
# Where code lies that only says why: not what is to be corrected.
_OURS = tuple(
    os.path.dirname(file) + os.sep for file in (__file__, hooks.__file__, pluggy.__file__)
)
_LIBRARY = os.path.dirname(os.__file__) + os.sep
# What others rely on: functions and classes of these are nobody's to replace.
_SHARED = ("builtins", "os", "json", "hashlib", "io", "pathlib", "threading", "pluggy")
# Whoever replaces it does not decide what is told.
_DUMPS = json.dumps


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
        "DC213",
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
            [sys.executable, "-P", "-m", "dagcast.trial", json.dumps(order)],
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
        if not _ours(file):
            return f" at {file.rsplit('/', 1)[-1]}:{line}"
    return ""


def _ours(file: str) -> bool:
    # A Python without an environment of its own keeps packages below its library.
    library = file.startswith(_LIBRARY) and "-packages" not in file.removeprefix(_LIBRARY)
    return library or file.startswith(("<", *_OURS))


# What follows runs in the child.


@dataclass(frozen=True)
class _State:
    """What loading a package should leave as it was."""

    threads: frozenset[threading.Thread]
    shared: Mapping[tuple[str, str], Any]
    folder: str
    umask: int
    handlers: tuple[Any, ...]
    streams: tuple[int, int]
    printed: int


def _run(order: Mapping[str, Any]) -> None:
    told, stacks = int(order["told"]), int(order["stacks"])
    for handle in (told, stacks):
        os.set_inheritable(handle, False)
    for name in _SHARED:
        importlib.import_module(name)
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks, chain=False)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    printed = _own_stdout()
    for limit, value in (
        (resource.RLIMIT_DATA, int(order["memory"])),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    pid = os.getpid()
    write = os.write

    def tell(kind: str, claim: Any = None, what: str = "") -> None:
        of = ("", "", "") if claim is None else (claim.name, str(claim), claim.entry_point.value)
        write(told, _DUMPS({"kind": kind, "of": of, "what": what}).encode() + b"\n")

    put_off = _put_off()
    _note_exits(lambda: tell("leave", what=_place()))

    @contextlib.contextmanager
    def watched(claim: Any) -> Iterator[None]:
        before, put_off[:] = _state(printed), []
        forks: list[str] = []
        os.register_at_fork(after_in_parent=lambda: forks.append(_place()))
        tell("begin", claim)
        try:
            yield
        except Exception:
            # What `load_plugins` has to say about it is said where it matters.
            pass
        except BaseException as error:
            tell("effect", claim, f"{type(error).__name__}{_place(error)}")
        if os.getpid() != pid:
            # A copy that the package made of this process.
            os._exit(0)
        for what in _changes(before, _state(printed)):
            tell("effect", claim, what)
        for place in forks:
            tell("effect", claim, f"a copy of the process{place}")
        later.append((claim, list(put_off)))
        tell("end", claim)

    later: list[tuple[Any, list[Callable[[], object]]]] = []
    claims: dict[str, Any] = {}

    def noted(claim: Any) -> contextlib.AbstractContextManager[None]:
        claims[str(claim)] = claim
        return watched(claim)

    found = installed.load_plugins(order["disable"], path=order["path"], around=noted)
    for problem in found.problems:
        # Without the limit it would take what there is.
        if "MemoryError" in problem.found and problem.producer in claims:
            tell("effect", claims[problem.producer], problem.found)
    for claim, calls in later:
        # What it put off until the process ends.
        tell("begin", claim)
        for call in reversed(calls):
            with contextlib.suppress(Exception):
                call()
        tell("end", claim)
    tell("finished")
    # No thread is waited for.
    os.kill(pid, signal.SIGKILL)


def _end_with_the_starter() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


def _own_stdout() -> int:
    """Let stdout be a file that nobody sees, and whose size tells that something was printed."""
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
    sys.stdout = open(1, "w", closefd=False, buffering=1)  # noqa: SIM115 (as long as the process)
    return os.fstat(1).st_ino


def _put_off() -> list[Callable[[], object]]:
    """A list of what is registered from now on for the end of the process."""
    real, found = atexit.register, list[Callable[[], object]]()

    def register(function: Callable[..., Any], *given: Any, **named: Any) -> Callable[..., Any]:
        found.append(lambda: function(*given, **named))
        return real(function, *given, **named)

    atexit.register = register  # type: ignore[assignment]
    return found


def _note_exits(note: Callable[[], None]) -> None:
    real = os._exit

    def exit_at(code: int) -> None:
        note()
        real(code)

    os._exit = exit_at  # type: ignore[assignment]


def _place(error: BaseException | None = None) -> str:
    frames = (
        traceback.extract_stack(sys._getframe(1))
        if error is None
        else traceback.extract_tb(error.__traceback__)
    )
    own = [frame for frame in frames if not _ours(frame.filename)]
    return f" at {own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}" if own else ""


def _state(inode: int) -> _State:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    try:
        ours, printed = os.fstat(1).st_ino == inode, os.fstat(1).st_size
    except OSError:
        ours, printed = False, 0
    umask = os.umask(0)
    os.umask(umask)
    return _State(
        frozenset(threading.enumerate()),
        dict(_shared()),
        os.getcwd(),
        umask,
        tuple(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)),
        (id(sys.stdout), int(ours)),
        printed,
    )


def _shared() -> Iterator[tuple[tuple[str, str], Any]]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in (*_SHARED, "dagcast", "dagcast_core") or module is None:
            continue
        for attribute, value in list(vars(module).items()):
            if callable(value):
                yield (name, attribute), value
            if isinstance(value, type) and value.__module__ == name:
                for member, inner in list(vars(value).items()):
                    if callable(inner) or isinstance(inner, property | classmethod | staticmethod):
                        yield (name, f"{attribute}.{member}"), inner


def _changes(before: _State, after: _State) -> Iterator[str]:
    for thread in after.threads - before.threads:
        # One that ends by itself is only slow.
        thread.join(0.0 if thread.daemon else 1.0)
        if thread.is_alive() and not thread.daemon:
            yield f"the thread {thread.name!r}, which keeps the process from ending"
    replaced = [
        f"{name}.{attribute}"
        for (name, attribute), value in before.shared.items()
        if after.shared.get((name, attribute)) is not value
    ]
    if replaced:
        more = f" and {len(replaced) - 3} more" if len(replaced) > 3 else ""
        yield f"{', '.join(replaced[:3])}{more} replaced, which others use"
    if after.streams != before.streams:
        yield "another standard output"
    elif after.printed > before.printed:
        yield f"{after.printed - before.printed:,} bytes on standard output, which holds results"
    for what, old, new in (
        ("the current folder", before.folder, after.folder),
        ("the umask", before.umask, after.umask),
        ("what Ctrl-C does", before.handlers, after.handlers),
    ):
        if old != new:
            yield f"a change of {what}"


def _ignored(number: int, frame: FrameType | None) -> None:
    """Ctrl-C reaches the whole group of processes: the one that was started by hand decides."""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _ignored)
    _run(json.loads(sys.argv[1]))
