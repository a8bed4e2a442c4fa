"""New team packages and the snapshots of their contracts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from dagcast.workflow.common._result import Result, ResultTable

if TYPE_CHECKING:
    from dagcast.exported import Exported
    from dagcast_testing.template import Kind


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
        tables = [ResultTable(f"New in {self.folder.absolute()}", ("file",), rows)]
        if steps:
            tables.append(ResultTable("After that", ("command",), steps))
        return tuple(tables)

    def next_command(self) -> str:
        return self.next_commands[0] if self.next_commands else ""


@final
@dataclass(frozen=True)
class SnapshotResult(Result):
    """Snapshots of contracts that were written.

    Attributes:
        files: written.
        problems: what kept others from being written, one line per model.
    """

    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        if not self.files and not self.problems:
            return (ResultTable("Contracts", (), (("every contract.json is as declared",),)),)
        rows = tuple((str(path),) for path in self.files)
        tables = [ResultTable("Contracts", ("file",), rows)] if rows else []
        if self.problems:
            kept = tuple((problem,) for problem in self.problems)
            tables.append(ResultTable("Not written: changes that need another version", (), kept))
        return tuple(tables)

    def next_command(self) -> str:
        return "git diff --stat" if self.files and not self.problems else ""

    def exit_code(self) -> int:
        return 3 if self.problems else 0


def new(
    name: str,
    *,
    workspace: Path = Path(),
    kind: "Kind | None" = None,
    others: str | None = None,
) -> NewResult:
    """Scaffold a team package that passes conformance unedited.

    Args:
        name: of the package, such as ``weather-sessions``.
        workspace: its root, or the folder to make a repository or a file in.
        kind: ``member`` of a workspace, ``repository`` of its own, or one file for a ``notebook``;
            by default a member where ``workspace`` is one, else a repository.
        others: contracts that a repository's CI checks it against: a file or an address; those of
            what is installed by default.
    """
    from dagcast import scaffold

    kind = kind or ("member" if scaffold.is_workspace(workspace) else "repository")
    if kind == "member":
        made = scaffold.new_package(name, workspace)
    elif kind == "notebook":
        made = scaffold.new_notebook(name, workspace)
    else:
        made = scaffold.new_repository(name, workspace, _others(others))
    return NewResult(
        Path(made.folder), tuple(str(path) for path in made.files), tuple(made.next_commands)
    )


def _others(source: str | None) -> "Exported":
    from dagcast.exported import export_contracts, read_exported

    if source is not None:
        return read_exported(source)
    from dagcast.plugins import load_plugins
    from dagcast.vocabulary import first_config
    from dagcast.workflow.common._assembled import demands

    plugins = load_plugins()
    return export_contracts(plugins, demands(first_config(plugins)))


def snapshot(*, workspace: Path = Path()) -> SnapshotResult:
    """Write the ``contract.json`` of every package in the workspace.

    A contract that changed by more than its version says keeps its package's file as it is.
    """
    from dagcast.evolution import write_snapshots
    from dagcast.plugins import load_plugins

    written, problems = write_snapshots(load_plugins(), workspace)
    return SnapshotResult(written, tuple(map(str, problems)))
