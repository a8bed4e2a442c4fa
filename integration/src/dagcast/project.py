"""A project: one folder that holds settings, events, store, models, plans, reports and the log.

A folder of results is made beside its final name, is written into the log, and only then renamed.
So the log decides: a command that is killed before its line leaves what the next command removes,
one that is killed after it leaves what the next command completes; see `_whole`.
"""

import contextlib
import getpass
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, final

from dagcast._locking import PART
from dagcast._whole import (
    RESERVED,
    abandon,
    claim,
    claimed,
    locked,
    part_of,
    publish,
    require_free,
    staged,
    write_text,
)
from dagcast.config import Config, config_text, load_config
from dagcast.errors import ProjectError
from dagcast.journal import Entry, Journal, Rules, Seen

CONFIG = "dagcast.toml"
"""The file of a project's settings; a folder without it is no project."""
LOG = "log.jsonl"
"""The file that says who did what, when and why."""
_HEAD = "log.head"
FOLDERS = ("events", "store", "models", "plans", "reports")
"""The folders of a project, as a new one has them."""
RELEASED = "released"
"""The folder of released plans, in projects that have any."""


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

    @property
    def released(self) -> Path:
        """Files of approved plans for the product, one folder each; made by the first of them."""
        return self.folder / RELEASED

    @property
    def rules(self) -> Rules:
        """Who may do what about plans."""
        roles, approval = self.config.roles, self.config.approval
        hours = approval.expires_hours
        return Rules(
            {
                "viewer": roles.viewer,
                "analyst": roles.analyst,
                "approver": roles.approver,
                "overruler": roles.overruler,
            },
            approval.alone_up_to,
            approval.up_to,
            None if hours is None else timedelta(hours=hours),
        )

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

    def propose(
        self,
        event: str,
        *,
        plan: str,
        who: str | None,
        why: str,
        details: Mapping[str, Any],
        opened: Seen | None = None,
    ) -> None:
        """Append the line of a plan that was proposed or edited.

        Raises:
            GateError: the rules do not let whoever edits.
            ConflictError: something happened to its parent since that was opened.
            PlanStateError: the parent is superseded or decided.
        """
        who = who or current_user()
        entry = Entry(datetime.now(UTC), who, event, plan, why, dict(details))
        self.journal.propose(entry, rules=self.rules, opened=opened)

    def reserve(self, folder: Path, prefix: str) -> str:
        """Take the next numbered name in a folder of results, such as ``plan-0003``.

        Nobody else gets it, also where two commands ask at once, and no name is given again that
        the log knows. ``making`` fills it; what is not filled when the process ends is free again.
        """
        while True:
            name = self._next_name(folder, prefix)
            part = part_of(folder / name)
            handle = claim(part)
            if handle is None:
                continue
            if not (folder / name).exists() and f"{folder.name}/{name}" not in self.journal.made():
                RESERVED[part] = handle
                return name
            # Another command was faster.
            abandon(part, handle)

    @contextlib.contextmanager
    def making(self, target: Path) -> Iterator[Path]:
        """A hidden folder that becomes ``target`` when the block ends, and vanishes if it fails.

        The block writes the line into the log as its last step. Once the line is there, the folder
        gets its name whatever happens: at the latest by the next command that opens the project.

        Raises:
            ProjectError: something is there already, or another command is making it.
        """
        self.require_inside(target)
        part = part_of(target)
        handle = RESERVED.pop(part, None)
        if handle is None:
            self._complete(target.parent)
            handle = claimed(target)
        try:
            require_free(target)
            if self._known(target):
                raise ProjectError(
                    f"a name that the log does not know, not {target.name}",
                    "one that was given before, although its folder is gone",
                    "Restore the folder from a copy, or choose another name.",
                )
        except BaseException:
            abandon(part, handle)
            raise
        try:
            yield part
            publish(part, target)
        except BaseException:
            known = self._known(target)
            if known is False:
                shutil.rmtree(part, ignore_errors=True)
            elif known:
                with contextlib.suppress(OSError):
                    publish(part, target)
            raise
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A hidden folder for intermediate results, removed when the block or the process ends."""
        part = part_of(self.reports / f"{name}-{secrets.token_hex(4)}")
        handle = claim(part)
        assert handle is not None
        try:
            yield part
        finally:
            abandon(part, handle)

    def newest_fit(self) -> str:
        """The newest fit that the log knows; a folder without a line in the log is none.

        Raises:
            ProjectError: there is none.
        """
        fits = list(self.journal.fits())
        if not fits:
            raise ProjectError(
                f"a result of `dagcast fit` in {self.models}",
                "none in the log",
                f"Run `dagcast fit --project {self.folder}` first.",
            )
        return fits[-1]

    def record_found(
        self, event: str, found: Callable[[tuple[Entry, ...]], Mapping[str, Any] | None]
    ) -> None:
        """Append a line with the details that follow from those there are, or none.

        Nobody else writes meanwhile: what is found about the store is so when it is written.
        """

        def line(entries: tuple[Entry, ...]) -> Entry | None:
            details = found(entries)
            if details is None:
                return None
            now = datetime.now(UTC)
            return Entry(now, current_user(), event, None, "", dict(details))

        self.journal.append_found(line)

    def logged_store(self) -> str | None:
        """The store that the last line about data led to; None where no line says which."""
        return logged(self.journal.entries(), "store")

    def tidy(self) -> None:
        """Complete and remove what commands left that were killed.

        What another command is working on is left alone, and so is everything where this process
        may not write.
        """
        for name in (".", *FOLDERS, RELEASED):
            self._complete(self.folder / name)
        # Models of past rounds.
        for folder in self.reports.iterdir():
            if folder.is_dir() and not folder.is_symlink() and not folder.name.endswith(PART):
                self._complete(folder)

    def _complete(self, folder: Path) -> None:
        for part in sorted(folder.glob(f".*{PART}")):
            # What cannot be opened here keeps nobody from the rest.
            with contextlib.suppress(OSError):
                self._settle(part)

    def _settle(self, part: Path) -> None:
        handle = locked(part)
        if handle is None:
            return
        target = part.with_name(part.name[1 : -len(PART)])
        if self._known(target) and not target.exists():
            publish(part, target)
            os.close(handle)
        else:
            abandon(part, handle)

    def _known(self, target: Path) -> bool | None:
        """Whether the log knows a folder; None where the log cannot be read."""
        try:
            return target.relative_to(self.folder).as_posix() in self.journal.made()
        except (ProjectError, OSError):
            return None

    def _next_name(self, folder: Path, prefix: str) -> str:
        # A plan whose folder is gone keeps its name: the log says what was decided about it.
        names = {path.name.removeprefix(".").removesuffix(PART) for path in folder.iterdir()}
        names |= {Path(made).name for made in self.journal.made()}
        numbers = (name.removeprefix(f"{prefix}-") for name in names if name.startswith(prefix))
        taken = [int(number) for number in numbers if number.isascii() and number.isdigit()]
        return f"{prefix}-{max(taken, default=0) + 1:04d}"

    def require_inside(self, target: Path) -> None:
        """Refuse to write where a link leads out of the project.

        Raises:
            ProjectError: names the link.
        """
        if not target.parent.resolve().is_relative_to(self.folder.resolve()):
            raise ProjectError(
                f"{target.parent} to lie in the project",
                f"a link to {target.parent.resolve()}",
                "Put the folder itself there: what is written must stay in the project.",
            )


def logged(entries: Sequence[Entry], name: str) -> str | None:
    """What the last line about data says of the store; None where it does not say it."""
    for entry in reversed(entries):
        if entry.event in ("ingested", "accepted"):
            found = entry.details.get(name)
            # Lines of earlier versions do not.
            return found if isinstance(found, str) else None
    return None


def create_project(
    folder: Path,
    config: Config,
    *,
    who: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Project:
    """Make a new project in a missing or empty folder, whole or not at all.

    An empty folder stays the one that it is: it may be the current one of this shell or another.

    Args:
        folder: of the project.
        config: its settings.
        who: makes it; the current user by default.
        more: texts of further files that it begins with, by their place in the folder.

    Raises:
        ProjectError: the folder holds something already, or another command is making it.
    """
    folder, more = Path(folder).absolute(), more or {}
    if folder.exists() and (not folder.is_dir() or not _unused(folder, more)):
        state = "a project" if (folder / CONFIG).exists() else "other files"
        raise ProjectError(
            f"a missing or empty folder at {folder}",
            state,
            "Choose another folder with --project, or remove that one.",
        )
    if folder.exists():
        _fill(folder, config, who, more)
        return Project(folder, config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staged(folder) as temporary:
        _write(temporary, config, who, more)
    return Project(folder, config)


def _write(folder: Path, config: Config, who: str | None, more: Mapping[str, str]) -> None:
    """The parts of a project; without the settings, which come last, it is none."""
    for name in FOLDERS:
        (folder / name).mkdir()
    Journal(folder / LOG).append(
        Entry(datetime.now(UTC), who=who or current_user(), event="created")
    )
    for place, text in more.items():
        (folder / place).parent.mkdir(exist_ok=True)
        write_text(folder / place, text)
    write_text(folder / CONFIG, config_text(config))


def _fill(folder: Path, config: Config, who: str | None, more: Mapping[str, str]) -> None:
    """Make a project in a folder that is there."""
    handle = locked(folder)
    if handle is None or not _unused(folder, more):
        if handle is not None:
            os.close(handle)
        raise ProjectError(
            f"nobody else to make {folder}",
            "another command that does",
            "Wait for it and try again.",
        )
    try:
        _empty(folder, more)
        try:
            _write(folder, config, who, more)
        except BaseException:
            _empty(folder, more)
            raise
    finally:
        os.close(handle)


def _unused(folder: Path, more: Mapping[str, str]) -> bool:
    """Whether a folder holds nothing, or no more than a killed `create_project` left there."""
    if (folder / CONFIG).exists():
        return False
    # The folders were made first: a log without them is somebody's own.
    whole = all((folder / name).is_dir() for name in FOLDERS)
    for path in folder.iterdir():
        if path.name in FOLDERS:
            left = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        elif path.name == LOG:
            left = whole and path.is_file() and path.read_bytes().count(b"\n") < 2
        elif path.is_dir() and not path.is_symlink():
            left = whole and all(_same(folder, file, more) for file in path.iterdir())
        else:
            left = whole and (path.name == _HEAD or path.name.endswith(PART)) and path.is_file()
        if not left:
            return False
    return True


def _same(folder: Path, file: Path, more: Mapping[str, str]) -> bool:
    """Whether a file is what will be written there, so that nothing is lost with it."""
    if not file.is_file() or file.is_symlink():
        return False
    text = more.get(file.relative_to(folder).as_posix(), "")
    return file.name.endswith(PART) or file.read_bytes() == text.encode()


def _empty(folder: Path, more: Mapping[str, str]) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            for file in path.iterdir():
                if _same(folder, file, more):
                    file.unlink()
            path.rmdir()
        else:
            path.unlink()


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
    project = Project(folder, config)
    for name in ("store", "models", "plans", "reports"):
        project.require_inside(folder / name / "any")
    project.tidy()
    return project


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
