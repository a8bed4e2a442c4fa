"""At any stage: whether machine, installation and project are as the commands need them."""

import locale
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias, final

from dagcast._locking import PART
from dagcast.config import is_setting
from dagcast.errors import answers_input
from dagcast.figures import counted, listed
from dagcast.project import CONFIG, LOG, Project, current_user, open_project
from dagcast.workflow.common._result import Result, ResultTable

Verdict: TypeAlias = Literal["ok", "look", "wrong"]
_FREE, _MEMORY = 2e9, 2e9
# The log of a machine whose clock was wrong lies in the future.
_SKEW = timedelta(minutes=5)


@final
@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        about: what was looked at.
        check: ``ok``, ``look`` where it may do harm, ``wrong`` where it does.
        found: in words.
        remedy: what to do; empty where nothing is to be done.
    """

    about: str
    check: Verdict
    found: str
    remedy: str = ""


@final
@dataclass(frozen=True)
class DoctorResult(Result):
    """What was looked at, and what to do about it.

    Attributes:
        folder: the project, or None where there is none.
        findings: in the order in which they were looked at.
    """

    folder: Path | None
    findings: tuple[Finding, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple((item.about, item.check, item.found) for item in self.findings)
        tables = [ResultTable("Doctor", ("what", "check", "found"), rows)]
        if todo := tuple((item.about, item.remedy) for item in self.findings if item.remedy):
            tables.append(ResultTable("To do", ("about", "what"), todo))
        return tuple(tables)

    def next_command(self) -> str:
        return "" if self.folder is None else f"dagcast status --project {self.folder}"

    def exit_code(self) -> int:
        return 3 if any(item.check == "wrong" for item in self.findings) else 0


def doctor(
    folder: Path,
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> DoctorResult:
    """Look at the machine, the installation and, where there is one, the project.

    Nothing is repaired, and nothing is left behind.

    Args:
        folder: of the project; a folder that is none is said to be none.
        flags: dotted settings that win over the file.
        environment: variables; the process's own by default.
    """
    variables = os.environ if environment is None else environment
    folder = Path(folder).absolute()
    findings = [*_machine(folder), *_installed(), _named(variables)]
    if not any((folder / name).exists() for name in (CONFIG, LOG)):
        said = f"{folder} is none; machine and installation were looked at alone"
        return DoctorResult(None, (*findings, Finding("project", "ok", said)))
    findings += _project(folder, flags, variables)
    return DoctorResult(folder, tuple(findings))


def _machine(folder: Path) -> Iterator[Finding]:
    least = ">=3.11"
    version = ".".join(map(str, sys.version_info[:3]))
    right = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if right else "wrong", f"{version}; needs {least}")
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _FREE
    yield Finding(
        "disk",
        "ok" if enough else "look",
        f"{free / 1e9:,.1f} GB free at {place}",
        "" if enough else "Free some space: a full disk ends commands, though nothing is lost.",
    )
    yield _memory()
    yield _writable(place)
    encoding = locale.getpreferredencoding(False)
    plain = encoding.lower().replace("-", "") in ("utf8", "utf8sig")
    yield Finding(
        "locale",
        "ok" if plain else "look",
        encoding,
        "" if plain else "Set LC_ALL=C.UTF-8: other letters are shown as escapes.",
    )
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    yield Finding("processors", "ok", f"{os.cpu_count() or 1}; {threads} for each process")


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        free = known["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        return Finding("memory", "ok", "this system does not say how much is free")
    enough = free >= _MEMORY
    remedy = "Close other programs, or set backtest.workers = 1."
    said = f"{free / 1e9:,.1f} GB free"
    return Finding("memory", "ok" if enough else "look", said, "" if enough else remedy)


def _writable(place: Path) -> Finding:
    """Whether files can be made, locked and renamed there, as every command does."""
    import fcntl

    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "Give this user the right to write there, on a file system that knows locks."
        return Finding("files", "wrong", f"{place}: {error.strerror}", remedy)
    return Finding("files", "ok", f"{place} can be written and locked by {current_user()}")


def _installed() -> Iterator[Finding]:
    """Whether every requirement of every package of ours is met, and whether the packages fit."""
    from packaging.requirements import Requirement

    missing, ours = [], []
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        entered = distribution.entry_points.select(group="dagcast.models")
        if name != "dagcast" and not name.startswith("dagcast-") and not entered:
            continue
        ours.append(f"{name} {distribution.version}")
        for text in distribution.requires or ():
            need = Requirement(text)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            try:
                has = metadata.version(need.name)
            except metadata.PackageNotFoundError:
                missing.append(f"{name} needs {need}, which is not installed")
                continue
            if not need.specifier.contains(has, prereleases=True):
                missing.append(f"{name} needs {need}, and {has} is installed")
    said = (
        "; ".join(missing)
        if missing
        else f"{counted(len(ours), 'package')}: {listed(sorted(ours))}"
    )
    remedy = "Install what is missing with the tool that made this environment." if missing else ""
    yield Finding("packages", "wrong" if missing else "ok", said, remedy)
    yield _contracts()


def _contracts() -> Finding:
    from dagcast.plugins import load_plugins

    try:
        load_plugins()
    except Exception as error:
        if not answers_input(error):
            raise
        first = (str(error).splitlines() or [""])[0]
        return Finding("contracts", "wrong", first, "Run `dagcast check --no-project`.")
    return Finding("contracts", "ok", "every package declares what it makes and reads")


def _named(variables: Mapping[str, str]) -> Finding:
    names = sorted(name for name in variables if name.startswith("DAGCAST_"))
    settings = [name for name in names if is_setting(name)]
    said = f"{listed(settings)} win over dagcast.toml" if settings else "none sets a setting"
    return Finding("variables", "ok", said)


def _project(
    folder: Path, flags: Mapping[str, str] | None, variables: Mapping[str, str]
) -> Iterator[Finding]:
    try:
        project = open_project(folder, flags=flags, environment=variables)
    except Exception as error:
        if not answers_input(error):
            raise
        yield Finding("project", "wrong", _said(error), "See the message of any other command.")
        return
    yield Finding("project", "ok", f"{project.config.name} at {folder}")
    yield _log(project)
    for about, look in (("results", _results), ("gates", _gates), ("work", _work)):
        try:
            yield look(project)
        except Exception as error:
            if not answers_input(error) and not isinstance(error, OSError):
                raise
            yield Finding(about, "wrong", _said(error))


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _log(project: Project) -> Finding:
    found = project.journal.examine()
    if found.damage is not None:
        said = f"expected {found.damage.expected.format(log=LOG)}; found {found.damage.found}"
        return Finding("log", "wrong", said, f"See `dagcast log --project {project.folder}`.")
    last = found.entries[-1].at
    if last > datetime.now(UTC) + _SKEW:
        return Finding(
            "log",
            "look",
            f"its last line is of {last:%Y-%m-%d %H:%M} UTC, which is still to come",
            "Set the clock of this machine, or of the one that wrote it.",
        )
    return Finding("log", "ok", f"{counted(len(found.entries), 'line')}, as they were written")


def _results(project: Project) -> Finding:
    from dagcast.workflow.common._damage import found_damage

    damage = found_damage(project, deep=False)
    if damage:
        said = "; ".join(text.splitlines()[0] for text in damage)
        return Finding("results", "wrong", said, f"See `dagcast check --project {project.folder}`.")
    return Finding("results", "ok", "store, fits and plans are as they were written")


def _gates(project: Project) -> Finding:
    from dagcast.workflow.common._gates import failed_gates

    fits = list(project.journal.fits())
    failed = failed_gates(project, fits[-1]) if fits else []
    if failed:
        return Finding("gates", "look", "; ".join(failed), "A plan of this fit will be refused.")
    return Finding("gates", "ok", "the newest fit passed what it was put through")


def _work(project: Project) -> Finding:
    """Whether anybody else is at work; what killed commands left was swept when it was opened."""
    left = sorted(p.name for p in project.folder.glob(f"*/.*{PART}"))
    if left:
        return Finding("work", "look", f"another command is at work: {listed(left)}")
    return Finding("work", "ok", "no other command is at work")
