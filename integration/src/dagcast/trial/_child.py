"""The child: loads one package after another and tells what that did, on a pipe of its own.

It is a copy of whoever started it, or a program, and ends with the starter.
"""

import atexit
import contextlib
import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import is_
from types import FrameType
from typing import Any

from dagcast import plugins as installed
from dagcast.trial._places import ours

_FILE_BYTES = 64 << 20
# What others rely on: functions and classes of these are nobody's to replace.
_SHARED = ("builtins", "os", "json", "hashlib", "io", "pathlib", "threading", "pluggy")
# Whoever replaces it does not decide what is told.
_DUMPS = json.dumps

Work = Callable[[installed.Plugins], Any]


@dataclass(frozen=True)
class _State:
    """What loading a package should leave as it was."""

    threads: frozenset[threading.Thread]
    folder: str
    umask: int
    handlers: tuple[Any, ...]
    streams: tuple[int, int]
    printed: int


def run(order: Mapping[str, Any], work: Work | None = None) -> None:
    """Load the packages, tell of each what it did, and end.

    Args:
        order: what to load, within which limits, and the handles to tell it on.
        work: is done with the packages that were loaded, and what it returns is told as JSON; where
            it fails nothing is told of it.
    """
    there = frozenset(sys.modules)
    told, stacks = int(order["told"]), int(order["stacks"])
    for handle in (told, stacks):
        os.set_inheritable(handle, False)
    for name in _SHARED:
        importlib.import_module(name)
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks, chain=False)
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    printed = _own_stdout()
    ordinary = _limited(int(order["memory"]))
    pid = os.getpid()
    write, dumps = os.write, _DUMPS

    def tell(kind: str, claim: Any = None, what: Any = "") -> None:
        of = ("", "", "") if claim is None else (claim.name, str(claim), claim.entry_point.value)
        line = memoryview(dumps({"kind": kind, "of": of, "what": what}).encode() + b"\n")
        while line:
            line = line[write(told, line) :]

    put_off = _put_off()
    _note_exits(lambda: tell("leave", what=_place()))

    @contextlib.contextmanager
    def watched(claim: Any) -> Iterator[None]:
        if claim.entry_point.module.partition(".")[0] in there:
            # The starter had loaded it: what that did is done.
            tell("stale")
            os.kill(pid, signal.SIGKILL)
        before, put_off[:] = _state(printed), []
        forks.clear()
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
        replaced = shared.replaced() if order["thorough"] else ()
        for what in (*_changes(before, _state(printed)), *replaced):
            tell("effect", claim, what)
        for place in forks:
            tell("effect", claim, f"a copy of the process{place}")
        later.append((claim, list(put_off)))
        tell("end", claim)

    shared = _Shared()
    forks: list[str] = []
    os.register_at_fork(after_in_parent=lambda: forks.append(_place()))
    later: list[tuple[Any, list[Callable[[], object]]]] = []
    claims: dict[str, Any] = {}

    def noted(claim: Any) -> contextlib.AbstractContextManager[None]:
        claims[str(claim)] = claim
        return watched(claim)

    found = installed.load_plugins(order["disable"], path=order["path"], around=noted)
    if not order["thorough"] and any(shared.replaced()):
        # Looking after each package takes as long as loading it: it is done where somebody did it.
        tell("thorough")
        os.kill(pid, signal.SIGKILL)
    for problem in found.problems:
        # Without the limit it would take what there is.
        if "MemoryError" in problem.found and problem.producer in claims:
            tell("effect", claims[problem.producer], problem.found)
    if work is not None:
        tell("work")
        for limit, value in ordinary.items():
            resource.setrlimit(limit, value)
        # Whoever started this does the work again, and says what is wrong.
        with contextlib.suppress(Exception):
            tell("result", what=work(found))
        _limited(int(order["memory"]))
        tell("worked")
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


def _limited(memory: int) -> dict[int, tuple[int, int]]:
    """Take memory, files and dumps away from this process; returns what it had."""
    had = {}
    for limit, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        had[limit] = resource.getrlimit(limit)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, had[limit][1]))
    return had


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
    own = [frame for frame in frames if not ours(frame.filename)]
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
        os.getcwd(),
        umask,
        tuple(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)),
        (id(sys.stdout), int(ours)),
        printed,
    )


class _Shared:
    """Functions and classes that others use, as they were."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._seen: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._look()

    def replaced(self) -> Iterator[str]:
        """Say once what is no longer as it was, and go on from there."""
        gone = []
        for name, (owner, seen) in self._seen.items():
            now = vars(owner)
            if len(now) == len(seen) and all(map(is_, now.values(), seen.values())):
                continue
            gone += [
                f"{name}.{attribute}"
                for attribute, value in seen.items()
                if _used(value, owner) and now.get(attribute) is not value
            ]
            self._seen[name] = (owner, dict(now))
        if gone:
            more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
            yield f"{', '.join(gone[:3])}{more} replaced, which others use"
        self._look()

    def _look(self) -> None:
        """Add the modules that were imported since."""
        for name in sys.modules.keys() - self._known:
            self._known.add(name)
            module = sys.modules.get(name)
            if name.partition(".")[0] in (*_SHARED, "dagcast", "dagcast_core") and module:
                self._seen[name] = (module, dict(vars(module)))
                for attribute, value in list(vars(module).items()):
                    if isinstance(value, type) and value.__module__ == name:
                        self._seen[f"{name}.{attribute}"] = (value, dict(vars(value)))


def ignored(number: int, frame: FrameType | None) -> None:
    """Ctrl-C reaches the whole group of processes: the one that was started by hand decides."""


def _used(value: Any, owner: Any) -> bool:
    return callable(value) or (
        isinstance(owner, type) and isinstance(value, property | classmethod | staticmethod)
    )


def _changes(before: _State, after: _State) -> Iterator[str]:
    for thread in after.threads - before.threads:
        # One that ends by itself is only slow.
        thread.join(0.0 if thread.daemon else 1.0)
        if thread.is_alive() and not thread.daemon:
            yield f"the thread {thread.name!r}, which keeps the process from ending"
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
