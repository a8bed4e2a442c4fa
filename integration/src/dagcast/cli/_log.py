"""The command that shows who decided what."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import parsed, project_options, result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.command()
@project_options
@click.option(
    "--repair",
    is_flag=True,
    help="Set a damaged tail aside, as a full disk may leave one; the log says so.",
)
@click.option("--who", default=None, help="Who repairs; the current user by default.")
@result_options
def log(folder: Path, settings: tuple[str, ...], repair: bool, who: str | None) -> "Result":
    """Show and verify the log of who did what, when and why; exit 3 if it was changed."""
    from dagcast import workflow

    parsed(settings)
    return workflow.log(folder, repair=repair, who=who)
