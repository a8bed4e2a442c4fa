"""A project: one folder that holds settings, events, store, models, plans, reports and the log.

Folders are written beside their final name and renamed, so that a killed command leaves either the
old state or the new one.
"""

import contextlib
import getpass
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from dagcast.config import Config, config_text, load_config
from dagcast.errors import ProjectError
from dagcast.journal import Entry, Journal

CONFIG = "dagcast.toml"
LOG = "log.jsonl"
FOLDERS = ("events", "store", "models", "plans", "reports")


@final
@dataclass(frozen=True)
class Project:
    """An open project.

    Attributes:
        folder: where it is.
        config: its settings after flags and environment.
    """

    folder: Path
    config: Config

    @property
    def events(self) -> Path:
        """Event files as they arrived."""
        return self.folder / "events"

    @property
    def store(self) -> Path:
        """The metric store."""
        return self.folder / "store"

    @property
    def models(self) -> Path:
        """Fitted collections, one folder each."""
        return self.folder / "models"

    @property
    def plans(self) -> Path:
        """Plans, one folder each."""
        return self.folder / "plans"

    @property
    def reports(self) -> Path:
        """Results of validate, backtest, review and retro."""
        return self.folder / "reports"

    @property
    def journal(self) -> Journal:
        """The append-only log."""
        return Journal(self.folder / LOG)

    def record(
        self,
        event: str,
        *,
        plan: str | None = None,
        who: str | None = None,
        why: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one line to the log."""
        self.journal.append(
            Entry(
                datetime.now(UTC),
                who=who or current_user(),
                event=event,
                plan=plan,
                why=why,
                details=dict(details or {}),
            )
        )

    def next_name(self, folder: Path, prefix: str, known: Iterable[str] = ()) -> str:
        """The next free numbered name in a folder of results, such as ``plan-0003``.

        Args:
            folder: of the results.
            prefix: of their names.
            known: names that are taken although their folder may be gone, as those in the log.
        """
        names = [*(path.name for path in numbered(folder, prefix)), *known]
        numbers = [name.removeprefix(f"{prefix}-") for name in names]
        taken = [int(number) for number in numbers if number.isdigit()]
        return f"{prefix}-{max(taken, default=0) + 1:04d}"

    def latest(self, folder: Path, prefix: str, *, stage: str) -> Path:
        """The newest numbered result in a folder.

        Raises:
            ProjectError: there is none; names the command that makes one.
        """
        paths = numbered(folder, prefix)
        if not paths:
            raise ProjectError(
                f"a result of `dagcast {stage}` in {folder}",
                "none",
                f"Run `dagcast {stage} --project {self.folder}` first.",
            )
        return paths[-1]


def numbered(folder: Path, prefix: str) -> list[Path]:
    """Results ``prefix-0001``, ``prefix-0002``, ... of a folder, oldest first."""
    return sorted(
        path
        for path in folder.glob(f"{prefix}-*")
        if path.name.removeprefix(f"{prefix}-").isdigit()
    )


def create_project(folder: Path, config: Config, *, who: str | None = None) -> Project:
    """Make a new project in a missing or empty folder, whole or not at all.

    Raises:
        ProjectError: the folder holds something already.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        state = "a project" if (folder / CONFIG).exists() else "other files"
        raise ProjectError(
            f"a missing or empty folder at {folder}",
            state,
            "Choose another folder with --project, or remove that one.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staged(folder) as temporary:
        for name in FOLDERS:
            (temporary / name).mkdir()
        (temporary / CONFIG).write_text(config_text(config), encoding="utf-8")
        Journal(temporary / LOG).append(
            Entry(datetime.now(UTC), who=who or current_user(), event="created")
        )
    return Project(folder, config)


def open_project(
    folder: Path,
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Project:
    """Open an existing project and verify that it is whole.

    Args:
        folder: the project's folder.
        flags: dotted settings that win over the environment and the file.
        environment: variables; the process's own by default.

    Raises:
        ProjectError: no project there, or a half-written one; names what is missing.
        ConfigError: ``dagcast.toml`` is wrong.
    """
    folder = Path(folder).absolute()
    parts = (CONFIG, LOG, *FOLDERS)
    present = [name for name in parts if (folder / name).exists()]
    missing = [name for name in parts if name not in present]
    if CONFIG not in present and len(present) < 2:
        raise ProjectError(
            f"a dagcast project (a folder with {CONFIG}) at {folder}",
            "no such folder" if not folder.exists() else _listing(folder),
            "Name the project with --project FOLDER, or make one with "
            "`dagcast init --project FOLDER` or `dagcast simulate --project FOLDER`.",
        )
    if missing:
        raise ProjectError(
            f"a whole project at {folder} ({', '.join(parts)})",
            f"a half-written one without {', '.join(missing)}",
            "Restore what is missing from a copy, or make the project again in another folder.",
        )
    environment = os.environ if environment is None else environment
    config = load_config(folder / CONFIG, flags=flags, environment=environment)
    entries = Journal(folder / LOG).entries()
    if not entries or entries[0].event != "created":
        raise ProjectError(
            f"{folder / LOG} to begin with the project's creation",
            "an empty log" if not entries else f"the event {entries[0].event!r}",
            "The log was cut or replaced: restore it from a copy.",
        )
    return Project(folder, config)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends, and vanishes if it fails.

    An existing target is replaced; readers see the old folder or the new one, never a mixture.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        if target.exists() and any(target.iterdir()):
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            os.replace(target, old / "was")
            os.replace(temporary, target)
            shutil.rmtree(old)
        else:
            os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def current_user() -> str:
    """Name of the person or service account that runs the process."""
    try:
        return os.environ.get("DAGCAST_USER") or getpass.getuser()
    except (KeyError, OSError):  # no account database, as in a bare container
        return f"uid-{os.getuid()}"


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
