"""Machines that are not as a command expects them; a new one joins by a line in its table.

Commands run in processes of their own, without the rights by which root reads and writes what its
modes forbid.
"""

import ctypes
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from _attempts import Outcome

_MAIN = "from dagcast.cli import main; main()"
_OVERRIDE, _SEARCH, _OWNER = 1 << 1, 1 << 2, 1 << 3


@dataclass(frozen=True)
class Environment:
    """One way in which a machine is broken.

    Attributes:
        name: of it.
        breaks: does it to the project's folder,
        mends: and undoes it.
        variables: of the process; None takes one away.
        shell: how the command is started, ``{}`` standing for it.
        within: called in the process before the command.
        harmless: whether the command does its work all the same.
    """

    name: str
    breaks: Callable[[Path], None] = lambda folder: None
    mends: Callable[[Path], None] = lambda folder: None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    shell: str = "{}"
    within: Callable[[], None] = lambda: None
    harmless: bool = False

    def run(self, folder: Path, words: list[str]) -> Outcome:
        """Run a command there."""
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        for name, value in self.variables.items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value

        def before() -> None:
            _without_overrides()
            self.within()

        command = f'"{sys.executable}" -c "{_MAIN}" ' + " ".join([*words, "--project", str(folder)])
        ran = subprocess.run(
            ["bash", "-c", self.shell.replace("{}", command)],
            env=variables,
            cwd=folder.parent,
            preexec_fn=before,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=300,
        )
        out, err = (text.decode(errors="replace") for text in (ran.stdout, ran.stderr))
        return Outcome(ran.returncode, out, err, 0.0)


def _without_overrides() -> None:
    """Let modes count for root as for anybody."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    class Data(ctypes.Structure):
        _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "kept"))

    libc = ctypes.CDLL(None, use_errno=True)
    header, data = Header(0x20080522, 0), (Data * 2)()
    libc.capget(ctypes.byref(header), data)
    for field_ in ("effective", "permitted", "kept"):
        mask = getattr(data[0], field_) & ~(_OVERRIDE | _SEARCH | _OWNER)
        setattr(data[0], field_, mask)
    if libc.capset(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capset")
    # Programs that root starts get all rights back, unless they are taken for good.
    for right in (1, 2, 3):
        libc.prctl(24, right, 0, 0, 0)


def _modes(place: str, mode: int) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    kept: dict[Path, int] = {}

    def breaks(folder: Path) -> None:
        kept.clear()
        for path in [folder] if place == "." else sorted(folder.glob(place)):
            kept[path] = path.stat().st_mode & 0o777
            path.chmod(mode)
        assert kept, place

    def mends(folder: Path) -> None:
        for path, before in kept.items():
            path.chmod(before)

    return breaks, mends


def _replaced(
    place: str, by: Callable[[Path], None]
) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    def breaks(folder: Path) -> None:
        path, aside = folder / place, folder.parent / "aside"
        path.rename(aside)
        by(path)

    def mends(folder: Path) -> None:
        path, aside = folder / place, folder.parent / "aside"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        aside.rename(path)

    return breaks, mends


def _elsewhere(path: Path) -> None:
    other = path.parent.parent / "elsewhere"
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(path.parent.parent / "aside", other) if (
        path.parent.parent / "aside"
    ).is_dir() else shutil.copy(path.parent.parent / "aside", other)
    path.symlink_to(other)


def _limit(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


ENVIRONMENTS = (
    # Rights,
    Environment("a project nobody may write", *_modes(".", 0o555)),
    Environment("a project nobody may read", *_modes(".", 0o300)),
    Environment("a log nobody may write", *_modes("log.jsonl", 0o444)),
    Environment("a log nobody may read", *_modes("log.jsonl", 0o200)),
    Environment("a head nobody may write", *_modes("log.head", 0o444)),
    Environment("settings nobody may read", *_modes("dagcast.toml", 0)),
    Environment("a store nobody may write", *_modes("store", 0o555)),
    Environment("a manifest nobody may read", *_modes("store/store.json", 0)),
    Environment("ledgers nobody may read", *_modes("store/ledgers/*/*", 0)),
    Environment("a cache nobody may read", *_modes("store/cache", 0)),
    Environment("events nobody may list", *_modes("events", 0)),
    Environment("an event file nobody may read", *_modes("events/*/spend.parquet", 0)),
    Environment("plans nobody may write", *_modes("plans", 0o555)),
    Environment("a plan nobody may read", *_modes("plans/plan-0001", 0)),
    Environment("models nobody may list", *_modes("models", 0)),
    Environment("a fit nobody may read", *_modes("models/fit-0001/*", 0)),
    Environment("reports nobody may write", *_modes("reports", 0o555)),
    # things that are no files,
    Environment("a log that is a folder", *_replaced("log.jsonl", Path.mkdir)),
    Environment("a log that is a pipe", *_replaced("log.jsonl", os.mkfifo)),
    Environment("a log that lies elsewhere", *_replaced("log.jsonl", _elsewhere)),
    Environment("a head that lies elsewhere", *_replaced("log.head", _elsewhere)),
    Environment("a store that is a file", *_replaced("store", Path.touch)),
    Environment("plans that lie elsewhere", *_replaced("plans", _elsewhere)),
    Environment("settings that are a folder", *_replaced("dagcast.toml", Path.mkdir)),
    Environment("a manifest that is a pipe", *_replaced("store/store.json", os.mkfifo)),
    # streams,
    Environment("no standard output", shell="{} >&-"),
    Environment("a full standard output", shell="{} >/dev/full"),
    Environment("no standard error", shell="{} 2>&-", harmless=True),
    Environment("no streams at all", shell="{} <&- >&- 2>&-"),
    Environment("a reader that leaves", shell="{} | true; exit ${PIPESTATUS[0]}"),
    # a folder and variables that are not there,
    Environment("no current folder", shell="mkdir gone; cd gone; rmdir ../gone; {}", harmless=True),
    Environment("a locale of ASCII", variables={"LC_ALL": "C", "PYTHONUTF8": "0"}, harmless=True),
    Environment("a locale that is none", variables={"LC_ALL": "xx_YY.odd"}, harmless=True),
    Environment("a temporary folder that is none", variables={"TMPDIR": "/nowhere"}, harmless=True),
    Environment("no name and no home", variables={"HOME": None, "USER": None, "LOGNAME": None},
                harmless=True),
    Environment("a zone that is none", variables={"TZ": "Nowhere/At_All"}, harmless=True),
    Environment("a terminal that is none", variables={"TERM": "odd", "COLUMNS": "0"},
                harmless=True),
    # and little of everything.
    Environment("twelve open files", within=_limit(resource.RLIMIT_NOFILE, 12)),
    Environment("files of no size", within=_limit(resource.RLIMIT_FSIZE, 0)),
    Environment("200 MB of memory", within=_limit(resource.RLIMIT_DATA, 200_000_000)),
    Environment("a mask that lets nobody", within=lambda: os.umask(0o777) and None),
)  # fmt: skip
