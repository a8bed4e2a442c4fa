"""What a model reads beside its inputs while it runs: the environment, files, the machine."""

import os
import sys
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from dagcast_core.model import Model
from dagcast_testing._source import classes_of

# Where the standard library looks up a variable for whoever asks.
_LOOKING_UP = ("os", "_collections_abc", "collections.abc")
# What Python announces (PEP 578) before it leaves the process, and how a sentence says it.
_EVENTS = {
    "open": "opens {!r}",
    "os.listdir": "lists {!r}",
    "os.scandir": "lists {!r}",
    "sqlite3.connect": "opens {!r}",
    "subprocess.Popen": "starts {!r}",
    "os.system": "starts {!r}",
    "socket.gethostname": "asks the machine's name",
    "socket.getaddrinfo": "asks for the address of {!r}",
    "socket.connect": "connects to another process",
}
_NOT_ASKED = ("importlib", "zoneinfo", "dagcast_testing")
# Who listens now: a hook stays for as long as the process lives.
_listening: list[tuple[frozenset[str], list[str]]] = []
_hooked: list[bool] = []


@contextmanager
def environment_reads(model: Model) -> Iterator[list[str]]:
    """Collect the lines of the model's own package that read the environment meanwhile.

    What libraries look up there for themselves is none of the model's business.
    """
    own = _packages(model)
    kind = type(os.environ)
    read, original = [], kind.__getitem__

    def noticed(environment: Any, key: str) -> str:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") in _LOOKING_UP:
            frame = frame.f_back
        if _package(frame) in own:
            read.append(f"{_place(frame)} reads {key!r} from the environment")
        return original(environment, key)

    kind.__getitem__ = noticed  # type: ignore[method-assign]
    try:
        yield read
    finally:
        kind.__getitem__ = original  # type: ignore[method-assign]


@contextmanager
def outside_reads(model: Model) -> Iterator[list[str]]:
    """Collect the lines of the model's own package that leave the process meanwhile.

    Beside the environment: files, folders, other processes and hosts, also where a library opens
    them for the model. What an import reads, what the package brings along and what is known of
    the world's clocks is the same on every machine, and is not collected.
    """
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked.append(True)
    with environment_reads(model) as read:
        _listening.append((_packages(model), read))
        try:
            yield read
        finally:
            _listening.pop()


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening or event not in _EVENTS:
        return
    own, read = _listening[-1]
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _package(frame) not in own:
        # Imports, and what the suite itself does: a notebook's code stands outside it too.
        if _package(frame) in _NOT_ASKED:
            return
        frame = frame.f_back
    named = arguments[0] if arguments else None
    if frame is None or _brought_along(frame, named):
        return
    read.append(f"{_place(frame)} {_EVENTS[event].format(_text(named))}")


def _brought_along(frame: FrameType, named: Any) -> bool:
    """Whether a file lies in the package that asks for it, or holds a zone's clock changes."""
    if not isinstance(named, (str, bytes, os.PathLike)):
        # A number is a file that is open already.
        return isinstance(named, int)
    path = Path(os.fsdecode(named)).absolute()
    module = sys.modules.get(_package(frame))
    homes = [Path(p) for p in (*getattr(module, "__path__", ()), *zoneinfo.TZPATH)]
    return path.suffix in (".py", ".pyc") or any(path.is_relative_to(home) for home in homes)


def _packages(model: Model) -> frozenset[str]:
    return frozenset(cls.__module__.partition(".")[0] for cls in classes_of(model))


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _text(named: Any) -> Any:
    return os.fsdecode(named) if isinstance(named, (bytes, os.PathLike)) else named
