"""Commands for the people who write and release packages."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result

_WORKSPACE = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    show_default="the current folder",
    help="The workspace's root.",
)


@click.command()
@click.argument("name")
@_WORKSPACE
@result_options
def new(name: str, workspace: Path) -> "Result":
    """Make a team package NAME that passes conformance, and add it to the workspace."""
    from dagcast import workflow

    return workflow.new(name, workspace=workspace)


@click.command()
@_WORKSPACE
@result_options
def snapshot(workspace: Path) -> "Result":
    """Write the contract.json of every package in the workspace."""
    from dagcast import workflow

    return workflow.snapshot(workspace=workspace)
