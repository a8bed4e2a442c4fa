"""Commands that a scheduler runs: the week, and where it stands."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, progress_shown, project_options, result_options

if TYPE_CHECKING:
    import pandas as pd

    from dagcast.workflow import Result

_EXAMPLES = """

    \b
    Examples:
      dagcast week --project north --json
      dagcast week --project north --set week.approve=true --set week.max_change=0.2
"""


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
    "5 waits for a person, else as everywhere." + _EXAMPLES
)
@project_options
@click.option("--who", default=None, help="Who approves, where [week] lets it; the current user.")
@_moment_option
@result_options
def week(folder: Path, settings: tuple[str, ...], who: str | None, now: str | None) -> "Result":
    from dagcast import workflow

    moment = _moment(now)
    with progress_shown() as progress:
        return workflow.week(opened(folder, settings), who=who, now=moment, progress=progress)


@click.command(
    help="Say where the week stands, and take no step; exits as `dagcast week` would now.\n\n"
    "    \b\n"
    "    Examples:\n"
    "      dagcast status --project north\n"
    "      dagcast status --project north --json\n"
)
@project_options
@_moment_option
@result_options
def status(folder: Path, settings: tuple[str, ...], now: str | None) -> "Result":
    from dagcast import workflow

    return workflow.status(opened(folder, settings), now=_moment(now))


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
