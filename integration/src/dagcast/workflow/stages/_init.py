"""Stage 1, for events of your own: an empty project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.project import create_project
from dagcast.workflow.common._configured import configured
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._sources import known_quantities


@final
@dataclass(frozen=True)
class InitResult(Result):
    """A new project.

    Attributes:
        folder: where it is.
        proposed: the declaration of a source that was proposed, below the folder.
        unsure: its lines that somebody has to decide.
    """

    folder: Path
    proposed: str = ""
    unsure: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        rows = (
            ("dagcast.toml", "settings: levers, budgets, guardrails, objective"),
            ("events/", "put your event files here"),
            ("log.jsonl", "who did what, when and why"),
            *(((self.proposed, "how your source is read, as proposed"),) if self.proposed else ()),
        )
        tables = [ResultTable(f"Project {self.folder}", ("part", "holds"), rows)]
        if self.unsure:
            lines = tuple((line,) for line in self.unsure)
            tables.append(ResultTable(f"Decide in {self.proposed}", (), lines))
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast ingest --project {self.folder}"


def init(
    folder: Path,
    *,
    name: str | None = None,
    flags: Mapping[str, str] | None = None,
    source: str | None = None,
) -> InitResult:
    """Make an empty project for data of your own, with the first settings of the packages.

    Where no package brings any, ``dagcast.toml`` says in comments what to add.

    Args:
        folder: a missing or empty folder.
        name: shown on reports; the packages' by default.
        flags: dotted settings that differ from the defaults.
        source: a file, ``FILE.duckdb:TABLE`` or ``postgresql://...#TABLE``, of which a declaration
            is proposed.

    Raises:
        ProjectError: the folder holds something.
        ConfigError: a flag is wrong.
        AssemblyError: two packages bring first settings that contradict each other.
        UsageError: the source is none.
        SourceError: the source cannot be read.
    """
    config = configured(flags, **({"name": name} if name else {}))
    if source is None:
        return InitResult(create_project(folder, config).folder)
    from dagcast.plugins import load_plugins
    from dagcast.sources import propose, source_name

    plugins = load_plugins(disable=config.disable)
    tables = {table.name: table for table in plugins.tables}
    text = propose(source, known_quantities(plugins), tables)
    place = f"sources/{source_name(source)}.toml"
    project = create_project(folder, config, more={place: text})
    unsure = tuple(line for line in text.splitlines()[1:] if "unsure" in line or "..." in line)
    return InitResult(project.folder, place, unsure)
