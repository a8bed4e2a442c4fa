"""Kill, race, fill and mutate: what may happen to a command, in a process of its own each time.

Processes are forked, so that what a command imports is imported once. What a command does to the
disk is seen from inside: Python tells an audit hook before it opens, renames or removes, and the
writes that it does not tell of are wrapped. Libraries in C write past that; random moments and a
limit on the size of files reach those too.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Imported once, and not again in every process that is forked.
import rich.console
import rich.progress
import rich.table

from dagcast import workflow
from dagcast.cli import run
from dagcast.cli._failures import report_failure
from dagcast.journal import Journal
from dagcast.project import LOG, open_project

Action = Callable[[], int]

_TOLD = {
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link",
    "os.symlink", "shutil.rmtree", "fcntl.flock",
}  # fmt: skip
# Seconds that a process may take.
_LONGEST = 300
_WRAPPED = ("pwrite", "write", "fsync")


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        code: its exit code, or minus the signal that ended it.
        out: what it wrote on stdout.
        err: what it wrote on stderr.
        seconds: how long it took.
        beyond: seconds of CPU time that it took after it was told to end, if it was.
    """

    code: int
    out: str
    err: str
    seconds: float
    beyond: float = 0.0

    @property
    def odd(self) -> str:
        """What no command may do, whatever happens to it; empty where it did not."""
        if "Traceback" in self.err or "Exception ignored" in self.err:
            return "a traceback"
        if self.code not in (0, 1, 2, 3, 4, 130, -signal.SIGKILL):
            return f"exit code {self.code}"
        if self.code in (1, 2, 3) and not self.err.strip() and not self.out.strip():
            return "a failure without a word"
        return ""


def command(*arguments: str) -> Action:
    """A command as its words on the command line."""
    return lambda: run(list(arguments))


def answered(action: Action) -> Action:
    """An action that fails as the command line does."""

    def wrapped() -> int:
        try:
            return action()
        except Exception as error:
            return report_failure(error)

    return wrapped


def in_child(
    action: Action,
    *,
    before: Callable[[], None] = lambda: None,
    after: float | None = None,
    told: signal.Signals = signal.SIGKILL,
) -> Outcome:
    """Run an action in a process of its own.

    Args:
        action: returns the exit code.
        before: called in that process first.
        after: tell it to end so many seconds later.
        told: by which signal.
    """
    begun = time.monotonic()
    read = [os.pipe(), os.pipe()]
    pid = os.fork()
    if pid == 0:
        _be_child(action, before, [ends[1] for ends in read])
    for _, write in read:
        os.close(write)
    used = 0.0
    if after is not None:
        time.sleep(after)
        used = _used(pid)
        os.kill(pid, told)
    out, err = (_drained(ends[0]) for ends in read)
    _, status, usage = os.wait4(pid, 0)
    beyond = max(0.0, usage.ru_utime + usage.ru_stime - used) if after is not None else 0.0
    seconds = time.monotonic() - begun
    return Outcome(os.waitstatus_to_exitcode(status), out, err, seconds, beyond)


def _used(pid: int) -> float:
    """Seconds of CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


__imported__ = (rich, workflow.approve, workflow.reject, workflow.log, workflow.init)


def _be_child(action: Action, before: Callable[[], None], streams: Sequence[int]) -> None:
    code = 99
    try:
        for number, handle in enumerate(streams, start=1):
            os.dup2(handle, number)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), "utf-8", errors="backslashreplace")
        sys.stderr = io.TextIOWrapper(
            os.fdopen(2, "wb"), "utf-8", errors="backslashreplace", write_through=True
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # A command that hangs is found to have ended by SIGALRM.
        signal.alarm(_LONGEST)
        before()
        code = action()
    except BaseException as error:
        import traceback

        traceback.print_exception(error)
    finally:
        # Names that are reserved and not filled are freed when a process ends by itself.
        from dagcast._whole import _release

        for end in (_release, sys.stdout.flush, sys.stderr.flush):
            with contextlib.suppress(BaseException):
                end()
        os._exit(code)


def _drained(handle: int) -> str:
    with os.fdopen(handle, "rb") as file:
        return file.read().decode("utf-8", errors="replace")


def states_before_calls(action: Action, folder: Path, kept: Path) -> list[str]:
    """Run an action once, and keep what the disk holds before each of its calls to it.

    That is what a process that is killed there leaves: what it wrote stays, what it has not handed
    to the system yet is lost, and so are its locks, which copies do not have.

    Args:
        action: the command.
        folder: of the project; what lies beside it is kept as well.
        kept: gets a folder for each state that differs from all before it.

    Returns:
        The name of the state before each call.
    """
    kept.mkdir(parents=True)
    told = kept / "states.json"

    def before() -> None:
        seen: list[str] = []

        def keep() -> None:
            state = digest_of(folder.parent)
            if not (kept / state).exists():
                shutil.copytree(folder.parent, kept / state, symlinks=True)
            seen.append(state)

        _watch(folder, keep)
        real = os._exit

        def tell(code: int) -> None:
            told.write_text(json.dumps(seen))
            real(code)

        os._exit = tell  # type: ignore[assignment]

    outcome = in_child(action, before=before)
    assert outcome.code in (0, 3, 4), outcome
    found: list[str] = json.loads(told.read_text())
    return found


def calls_of(action: Action, folder: Path, tell: Callable[[], None]) -> Outcome:
    """Run an action, and call something in its process before each of its calls to the disk."""
    return in_child(action, before=lambda: _watch(folder, tell))


def digest_of(folder: Path) -> str:
    """A digest of all names, links and contents below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = os.readlink(path).encode()
        elif path.is_file():
            content = path.read_bytes()
        else:
            content = b"/"
        found.update(f"{path.relative_to(folder)} {len(content)} ".encode() + content)
    return found.hexdigest()[:32]


def killed_at(action: Action, folder: Path, number: int) -> Outcome:
    """Run an action that is killed before one of its calls to the file system, from 0."""

    def before() -> None:
        left = [number]

        def count() -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        _watch(folder, count)

    return in_child(action, before=before)


def _watch(folder: Path, tell: Callable[[], None]) -> None:
    inside = str(folder.parent)
    busy = [False]

    def told() -> None:
        if busy[0]:
            return
        busy[0] = True
        try:
            tell()
        finally:
            busy[0] = False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if busy[0] or event not in _TOLD:
            return
        if event == "fcntl.flock" or any(
            isinstance(item, str | os.PathLike) and str(item).startswith(inside)
            for item in arguments
        ):
            told()

    sys.addaudithook(hook)
    for name in _WRAPPED:
        real = getattr(os, name)

        def wrapped(*given: object, _real: Callable[..., object] = real) -> object:
            if given[0] not in (1, 2):
                told()
            return _real(*given)

        setattr(os, name, wrapped)


def filled_at(action: Action, size: int) -> Outcome:
    """Run an action that can write no file beyond a size, as on a disk that is nearly full."""

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return in_child(action, before=before)


def race(actions: Sequence[Action]) -> list[Outcome]:
    """Run actions at once, all of them let go at one moment."""
    wait, go = os.pipe()
    found: list[tuple[int, int, int]] = []
    for action in actions:
        out, err = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go)

            def before() -> None:
                os.read(wait, 1)

            _be_child(action, before, [out[1], err[1]])
        os.close(out[1])
        os.close(err[1])
        found.append((pid, out[0], err[0]))
    os.close(wait)
    os.close(go)
    outcomes = []
    for pid, out_handle, err_handle in found:
        said = _drained(out_handle), _drained(err_handle)
        _, status = os.waitpid(pid, 0)
        outcomes.append(Outcome(os.waitstatus_to_exitcode(status), *said, 0.0))
    return outcomes


def mutated(data: bytes, random_: random.Random) -> bytes:
    """Data as a hand, a disk or an attacker may change it."""
    kind = random_.randrange(6)
    place = random_.randrange(len(data) + 1)
    end = min(len(data), place + random_.randint(1, 40))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + random_.randbytes(end - place) + data[end:]
    if kind == 2:
        return data[:place] + data[end:]
    if kind == 3:
        return data[:place] + data[place:end] * 2 + data[end:]
    if kind == 4:
        odd = [b"\x00", b"\xff", b"{", b"[" * 5000, b"9" * 5000, b"null", b"-1e999", b'"', b"\n"]
        return data[:place] + random_.choice(odd) + data[place:]
    lines = data.split(b"\n")
    random_.shuffle(lines)
    return b"\n".join(lines)


def view(folder: Path, *, exact: bool) -> object:
    """What a project holds, without moments: files, and the log as people read it.

    Args:
        folder: of the project.
        exact: compare the content of files too; reports of real fits hold seconds.
    """
    if not folder.exists():
        return None
    log: list[object] = []
    if os.path.lexists(folder / LOG):
        found = Journal(folder / LOG).examine()
        log = [found.damage, *((e.event, e.plan, e.why) for e in found.entries)]
    files = {
        path.relative_to(folder).as_posix(): _content(path) if exact else ""
        for path in sorted(folder.rglob("*"))
        if "cache" not in path.parts and not path.name.startswith(("log.", "."))
    }
    return files, log


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


def leftovers(folder: Path, *, writer: bool = False) -> list[str]:
    """What no command may leave when the next one has opened the project.

    Args:
        folder: of the project.
        writer: whether that one wrote, so that nothing hidden is left at all.
    """
    if not folder.exists():
        return [path.name for path in folder.parent.glob(".*.part")]
    with contextlib.suppress(Exception):
        open_project(folder, environment={})
    hidden = [path for path in folder.rglob(".*") if path.name != ".lock"]
    if not writer:
        # Whoever opens a project has nothing to do with releases and holds no lock on the store.
        hidden = [p for p in hidden if p.name.endswith(".part") and "releases" not in p.parts]
    return [str(path.relative_to(folder)) for path in hidden]
