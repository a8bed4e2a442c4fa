"""Commands about measured effects."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, project_options, result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.group()
def experiments() -> None:
    """Measured effects: register, list and show them."""


@experiments.command(
    help="Register the experiments of FILE, JSON or TOML.\n\n"
    "FILE holds one experiment, a list, or a set with covariances. In place of estimate and "
    "standard error one may have a table `rows`: the file of its raw rows, and its columns.\n\n"
    "    \b\n"
    "    Examples:\n"
    "      dagcast experiments add boost.toml --project north --why 'trial of March'\n"
    "      dagcast experiments add found.json --project north --json\n"
)
@project_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--who", default=None, help="Who registers them; the current user by default.")
@click.option("--why", default="", help="The reason, for the log.")
@result_options
def add(folder: Path, settings: tuple[str, ...], file: Path, who: str | None, why: str) -> "Result":
    from dagcast import workflow

    return workflow.add_experiments(opened(folder, settings), file, who=who, why=why)


@experiments.command("list")
@project_options
@result_options
def list_(folder: Path, settings: tuple[str, ...]) -> "Result":
    """List the experiments that came with the events or were registered."""
    from dagcast import workflow

    return workflow.list_experiments(opened(folder, settings))


@experiments.command()
@project_options
@click.argument("name")
@result_options
def show(folder: Path, settings: tuple[str, ...], name: str) -> "Result":
    """Show experiment NAME: arms, cells, where its figure comes from, what models say of it."""
    from dagcast import workflow

    return workflow.show_experiment(opened(folder, settings), name)
