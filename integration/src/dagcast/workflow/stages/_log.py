"""At any stage: who did what, when and why, and whether the log is as it was written."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.journal import Entry, Journal
from dagcast.project import LOG, current_user, open_project
from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class LogResult(Result):
    """A log, verified.

    Attributes:
        folder: the project.
        entries: its lines, oldest first, up to the first that is not as it was written.
        digest: of those lines. Whoever keeps it elsewhere can tell later whether they were changed.
        chained_from: first line that carries the digest of those before it; None where none does.
        damage: what is wrong behind those lines; empty where nothing is.
        mendable: whether `dagcast log --repair` sets that aside.
        repaired: what a repair did; empty where there was none.
    """

    folder: Path
    entries: tuple[Entry, ...]
    digest: str
    chained_from: int | None
    damage: str = ""
    mendable: bool = False
    repaired: str = ""

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (str(number), f"{item.at:%Y-%m-%d %H:%M}", item.who, item.event, _about(item), item.why)
            for number, item in enumerate(self.entries, start=1)
        )
        chained = "no line carries the digest of those before it yet"
        if self.chained_from is not None:
            chained = f"chained from line {self.chained_from} on, digest {self.digest}"
        columns = ("line", "at, UTC", "who", "event", "about", "why")
        tables = [ResultTable("Log", columns, rows, f"{len(rows)} lines, {chained}")]
        for title, text in (("Damage", self.damage), ("Repaired", self.repaired)):
            if text:
                tables.append(ResultTable(title, (), ((text,),)))
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast log --repair --project {self.folder}" if self.mendable else ""

    def exit_code(self) -> int:
        return 3 if self.damage else 0


def log(folder: Path, *, repair: bool = False, who: str | None = None) -> LogResult:
    """Show and verify a project's log.

    Args:
        folder: of the project.
        repair: set a damaged tail aside.
        who: repairs; the current user by default.

    Raises:
        ProjectError: no project there, or a log that cannot be repaired: whole lines stand behind
            the damaged one.
    """
    folder = Path(folder).absolute()
    if not (folder / LOG).exists() and not (folder / LOG).is_symlink():
        # It says what is missing.
        open_project(folder)
    journal = Journal(folder / LOG)
    done = ""
    if repair and (made := journal.repair(who=who or current_user())):
        done = f"{made.bytes:,} bytes were set aside"
        done += f" in {made.aside.name}" if made.aside else ""
        done += f"; {made.lost} lines are lost" if made.lost else ""
        done += f". Expected {made.damage.expected.format(log=LOG)}; found {made.damage.found}."
    found = journal.examine()
    damage, mendable = "", False
    if found.damage is not None:
        damage = f"expected {found.damage.expected.format(log=LOG)}; found {found.damage.found}."
        mendable = found.damage.mendable
    return LogResult(
        folder, found.entries, found.digest, found.chained_from, damage, mendable, done
    )


def _about(entry: Entry) -> str:
    return str(entry.plan or entry.details.get("fit") or "")
