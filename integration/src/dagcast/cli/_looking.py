"""Commands that look and hand on: whether all is well, and what a plan holds as a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dagcast.cli._common import opened, parsed, project_options, result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.command()
@project_options
@result_options
def doctor(folder: Path, settings: tuple[str, ...]) -> "Result":
    """Look at machine, installation and project; exit 3 if something is wrong.

    Nothing is changed. Each line says what was found, and what to do where something is to be done.
    """
    from dagcast import workflow

    return workflow.doctor(folder, flags=parsed(settings))


@click.command()
@project_options
@click.argument("name", required=False)
@click.option(
    "--what",
    type=click.Choice(["decisions", "forecasts", "totals"]),
    default="decisions",
    show_default=True,
    help="Cells of the levers, outcomes by row and hour, or sums.",
)
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    show_default="PLAN-WHAT.csv",
    help="File that ends with .csv, .parquet or .json.",
)
@result_options
def export(
    folder: Path,
    settings: tuple[str, ...],
    name: str | None,
    what: Literal["decisions", "forecasts", "totals"],
    file: Path | None,
) -> "Result":
    """Write what plan NAME, the newest by default, decides or expects as a table.

    Hours stand in UTC and by the clock of their row; nothing is rounded.
    """
    from dagcast import workflow

    project = opened(folder, settings)
    plan = project.journal.find(name).plan
    return workflow.export(project, plan, what=what, file=file or Path(f"{plan}-{what}.csv"))
