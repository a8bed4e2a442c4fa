"""Commands about measured effects."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, project_options, result_options

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.group()
def experiments() -> None:
    """Measured effects: design a trial; register, list and show what was measured."""


@experiments.command(
    help="Register the experiments of FILE, JSON or TOML.\n\n"
    "FILE holds one experiment, a list, or a set with covariances. In place of estimate and "
    "standard error one may have a table `rows`: the file of its raw rows, and its columns.\n\n"
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


@experiments.command(
    help="Say what a switchback would find on OUTCOME before it is run.\n\n"
    "Trials that change nothing are laid over the outcome's own history and estimated as a real "
    "one would be; how far they scatter is the standard error, and power follows from it.\n\n"
)
@project_options
@click.argument("outcome")
@click.option("--lever", default=None, help="What is switched; the project's only lever if left.")
@click.option("--weeks", default=2, show_default=True, help="Length of the trial.")
@click.option(
    "--window",
    "windows",
    type=int,
    multiple=True,
    help="Hours of a window; may be repeated.  [default: 14, 28, 42 and 84]",
)
@click.option(
    "--washout",
    type=int,
    default=None,
    help="Hours at the start of a window that do not count.  [default: as long as models remember]",
)
@click.option("--label", "labels", multiple=True, help="Takes part; all that are alive by default.")
@click.option(
    "--together", is_flag=True, help="All labels switch at once, as where they take from others."
)
@click.option("--effect", type=float, default=None, help="Whose power is wanted.")
@click.option("--draws", default=400, show_default=True, help="Trials laid over the history.")
@click.option(
    "--schedule",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="CSV to write: windows and arms of the trial that finds most.",
)
@click.option("--start", default=None, help="First hour of the schedule, UTC; of the plan if left.")
@click.option("--seed", default=0, show_default=True, help="Of the coins.")
@result_options
def design(
    folder: Path,
    settings: tuple[str, ...],
    outcome: str,
    lever: str | None,
    weeks: int,
    windows: tuple[int, ...],
    washout: int | None,
    labels: tuple[str, ...],
    together: bool,
    effect: float | None,
    draws: int,
    schedule: Path | None,
    start: str | None,
    seed: int,
) -> "Result":
    from dagcast import workflow

    return workflow.design(
        opened(folder, settings),
        outcome,
        lever=lever,
        weeks=weeks,
        windows=windows or workflow.WINDOWS,
        washout=washout,
        labels=labels,
        together=together,
        effect=effect,
        draws=draws,
        schedule=schedule,
        start=start,
        seed=seed,
    )
