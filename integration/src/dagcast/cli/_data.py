"""Commands about what is in the store."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, project_options, result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.group()
def data() -> None:
    """What is in the store, and what may be."""


@data.command()
@project_options
@click.argument("dim")
@click.argument("labels", nargs=-1, required=True)
@result_options
def accept(folder: Path, settings: tuple[str, ...], dim: str, labels: tuple[str, ...]) -> "Result":
    """Accept LABELS of DIM whose rows were set aside as new; `ingest` then takes the rows."""
    from dagcast import workflow

    return workflow.accept_labels(opened(folder, settings), dim, labels)
