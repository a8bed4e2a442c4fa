"""Commands that bring a project and its data into being."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import (
    Folder,
    opened,
    parsed,
    progress_shown,
    project_options,
    result_options,
    scenario_fields,
)

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.command()
@project_options
@click.option(
    "--name", default=None, show_default="the packages' own", help="Name shown on reports."
)
@click.option(
    "--from",
    "source",
    default=None,
    metavar="FILE|DB:TABLE",
    help="Look at a file, FILE.duckdb:TABLE or postgresql://...#TABLE and propose how it is read.",
)
@result_options
def init(folder: Path, settings: tuple[str, ...], name: str | None, source: str | None) -> "Result":
    """Make an empty project for event files in its folder events/, or for sources of your own."""
    from dagcast import workflow

    return workflow.init(folder, name=name, flags=parsed(settings), source=source)


@click.command()
@project_options
@click.option("--regions", type=click.IntRange(2, 1000), default=12, show_default=True)
@click.option("--weeks", type=click.IntRange(4, 520), default=16, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--world", default=None, help="Name of the simulated marketplace, if several exist.")
@click.option(
    "--scenario",
    multiple=True,
    metavar="NAME|KEY=VALUE",
    help="A scenario that the marketplace ships, such as thresholds, and fields that differ.",
)
@click.option(
    "--play", is_flag=True, help="Live through the horizon under the approved plan instead."
)
@result_options
def simulate(
    folder: Path,
    settings: tuple[str, ...],
    regions: int,
    weeks: int,
    seed: int,
    world: str | None,
    scenario: tuple[str, ...],
    play: bool,
) -> "Result":
    """Write the events of a simulated marketplace, or of the week after the approval."""
    from dagcast import workflow

    with progress_shown() as progress:
        if play:
            return workflow.play(opened(folder, settings), progress=progress)
        return workflow.simulate(
            folder,
            regions=regions,
            weeks=weeks,
            seed=seed,
            world=world,
            scenario=scenario_fields(scenario),
            flags=parsed(settings),
            progress=progress,
        )


@click.command()
@project_options
@click.option(
    "--from",
    "source",
    type=Folder(),
    default=None,
    help="A folder of event files elsewhere; the project's events/ by default.",
)
@result_options
def ingest(folder: Path, settings: tuple[str, ...], source: Path | None) -> "Result":
    """Read event files into the store; bad rows are set aside with their reason."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.ingest(opened(folder, settings), source=source, progress=progress)
