"""New team packages and the snapshots of their contracts."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class NewResult(Result):
    """A scaffolded package.

    Attributes:
        folder: where it is.
        files: what was written.
        next_commands: what to run, in order.
    """

    folder: Path
    files: tuple[str, ...]
    next_commands: tuple[str, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple((name,) for name in self.files)
        steps = tuple((command,) for command in self.next_commands[1:])
        tables = [ResultTable(f"New package {self.folder}", ("file",), rows)]
        if steps:
            tables.append(ResultTable("After that", ("command",), steps))
        return tuple(tables)

    def next_command(self) -> str:
        return self.next_commands[0] if self.next_commands else ""


@final
@dataclass(frozen=True)
class SnapshotResult(Result):
    """Snapshots of contracts that were written."""

    files: tuple[Path, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        return (ResultTable("Contracts", ("file",), tuple((str(path),) for path in self.files)),)

    def next_command(self) -> str:
        return "git diff --stat"


def new(name: str, *, workspace: Path = Path()) -> NewResult:
    """Scaffold a team package that passes conformance unedited.

    Args:
        name: of the package, such as ``weather-sessions``.
        workspace: its root.
    """
    from dagcast.scaffold import new_package

    made = new_package(name, workspace)
    return NewResult(
        Path(made.folder), tuple(str(path) for path in made.files), tuple(made.next_commands)
    )


def snapshot(*, workspace: Path = Path()) -> SnapshotResult:
    """Write the ``contract.json`` of every package in the workspace."""
    from dagcast.evolution import write_snapshots
    from dagcast.plugins import load_plugins

    return SnapshotResult(tuple(write_snapshots(load_plugins(), workspace)))
