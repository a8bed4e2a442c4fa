"""Commands that a scheduler runs: the week, and where it stands."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import (
    opened,
    parsed,
    progress_shown,
    project_options,
    result_options,
    scenario_fields,
    show,
    told,
)

if TYPE_CHECKING:
    import pandas as pd

    from dagcast.workflow import Result


def _moment_option(function: "click.decorators.FC") -> "click.decorators.FC":
    return click.option(
        "--now",
        default=None,
        metavar="MOMENT",
        help="By which data are judged to be stale, such as 2026-03-09T06:00Z; the clock else.",
    )(function)


@click.command(
    help="Do all that the week asks for, and say where it stands.\n\n"
    "Ingests what is new, judges the data, looks back at the past week, fits, validates, forecasts "
    "the newest past week, plans and writes the page; then waits for approval, or approves within "
    "the limits of [week] in dagcast.toml. Run again it changes nothing; killed it goes on. --json "
    "prints one line.\n\n"
    "Exit codes: 0 approved or nothing to do, 3 stale data or a gate not passed, 4 infeasible, "
    "5 waits for a person, else as everywhere."
)
@project_options
@click.option("--who", default=None, help="Who approves, where [week] lets it; the current user.")
@_moment_option
@result_options
def week(folder: Path, settings: tuple[str, ...], who: str | None, now: str | None) -> "Result":
    from dagcast import workflow

    moment = _moment(now)
    with progress_shown() as progress:
        project = opened(folder, settings)
        found = workflow.week(project, who=who, now=moment, progress=progress)
    return told(project, found)


@click.command(
    help="Say where the week stands, and take no step; exits as `dagcast week` would now.\n\n"
)
@project_options
@_moment_option
@result_options
def status(folder: Path, settings: tuple[str, ...], now: str | None) -> "Result":
    from dagcast import workflow

    return workflow.status(opened(folder, settings), now=_moment(now))


@click.command(
    help="Live through weeks of a simulated market, each planned by `dagcast week`.\n\n"
    "A plan that passes the gate of approval is carried out, else the operator's rule is. Each "
    "week is judged by replay beside the operator's rule, the first plan repeated, no spend, and "
    "the best that a search finds which may ask the truth. Killed it goes on.\n\n"
)
@project_options
@click.option("--weeks", type=click.IntRange(1, 200), default=12, show_default=True)
@click.option("--regions", type=click.IntRange(2, 1000), default=4, show_default=True)
@click.option(
    "--history", type=click.IntRange(4, 260), default=12, show_default=True, help="Weeks before."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--scenario",
    multiple=True,
    metavar="NAME|KEY=VALUE",
    help="A scenario that the marketplace ships, such as tiring, and fields that differ.",
)
@click.option(
    "--evaluations",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Plans a week that the search which knows the truth may try.",
)
@result_options
def loop(
    folder: Path,
    settings: tuple[str, ...],
    weeks: int,
    regions: int,
    history: int,
    seed: int,
    scenario: tuple[str, ...],
    evaluations: int,
) -> "Result":
    from dagcast import workflow

    quiet = bool(click.get_current_context().params.get("as_json"))
    with progress_shown() as progress:
        if str(folder) == ".":
            folder = Path("dagcast-loop")
        return workflow.loop(
            folder,
            weeks=weeks,
            regions=regions,
            history=history,
            seed=seed,
            scenario=scenario_fields(scenario),
            flags=parsed(settings),
            evaluations=evaluations,
            progress=progress,
            on_week=(lambda result: None) if quiet else show,
        )


def _moment(text: str | None) -> "pd.Timestamp | None":
    if text is None:
        return None
    import pandas as pd

    try:
        found = pd.Timestamp(text)
        if pd.isna(found):
            raise ValueError
    except ValueError as error:
        raise click.UsageError(
            f"--now takes a moment such as 2026-03-09T06:00Z; found {text!r}."
        ) from error
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
