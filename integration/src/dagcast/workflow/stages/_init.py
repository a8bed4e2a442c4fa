"""Stage 1, for events of your own: an empty project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.project import create_project
from dagcast.workflow.common._configured import configured
from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class InitResult(Result):
    """A new, empty project."""

    folder: Path

    def tables(self) -> tuple[ResultTable, ...]:
        rows = (
            ("dagcast.toml", "settings: levers, budgets, guardrails, objective"),
            ("events/", "put your event files here"),
            ("log.jsonl", "who did what, when and why"),
        )
        return (ResultTable(f"Project {self.folder}", ("part", "holds"), rows),)

    def next_command(self) -> str:
        return f"dagcast ingest --project {self.folder}"


def init(
    folder: Path, *, name: str | None = None, flags: Mapping[str, str] | None = None
) -> InitResult:
    """Make an empty project for events of your own, with the first settings of the packages.

    Where no package brings any, ``dagcast.toml`` says in comments what to add.

    Args:
        folder: a missing or empty folder.
        name: shown on reports; the packages' by default.
        flags: dotted settings that differ from the defaults.

    Raises:
        ProjectError: the folder holds something.
        ConfigError: a flag is wrong.
        AssemblyError: two packages bring first settings that contradict each other.
    """
    project = create_project(folder, configured(flags, **({"name": name} if name else {})))
    return InitResult(project.folder)
