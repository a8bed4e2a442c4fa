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


@data.command("list")
@project_options
@result_options
def list_(folder: Path, settings: tuple[str, ...]) -> "Result":
    """List the tables of the store: metrics, labels, hours, rows."""
    from dagcast import workflow

    return workflow.data_list(opened(folder, settings))


@data.command()
@project_options
@click.argument("metric")
@click.option("--as-of", default=None, metavar="MOMENT", help="As known then; all by default.")
@result_options
def show(folder: Path, settings: tuple[str, ...], metric: str, as_of: str | None) -> "Result":
    """Show METRIC label by label: hours, missing ones, zeros, mean and range."""
    from dagcast import workflow

    return workflow.data_show(opened(folder, settings), metric, as_of=as_of)


@data.command()
@project_options
@result_options
def quality(folder: Path, settings: tuple[str, ...]) -> "Result":
    """Say what looks wrong: rows set aside, holes, constant runs, jumps, shifted clocks."""
    from dagcast import workflow

    return workflow.data_quality(opened(folder, settings))


@data.command()
@project_options
@click.option("--as-of", required=True, metavar="MOMENT", help="What was known then,")
@click.option("--to", default=None, metavar="MOMENT", help="and what then; all by default.")
@click.argument("metrics", nargs=-1)
@result_options
def diff(
    folder: Path,
    settings: tuple[str, ...],
    as_of: str,
    to: str | None,
    metrics: tuple[str, ...],
) -> "Result":
    """Compare what was known of METRICS, or of all, at two moments: what a revision changed."""
    from dagcast import workflow

    return workflow.data_diff(opened(folder, settings), as_of, to, metrics)
