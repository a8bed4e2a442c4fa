"""Commands about plans: make, weigh, decide, look back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, progress_shown, project_options, result_options, told

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.command()
@project_options
@click.option("--replay", default=None, metavar="PLAN", help="Solve a plan's problem again.")
@click.option(
    "--risk",
    type=click.Choice(["none", "mean", "cvar", "quantile"]),
    default=None,
    help="How draws of the parameters are weighed: short for --set risk.measure=...",
)
@click.option(
    "--stability",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Fit at N earlier weeks too, and say how far the plan moves.",
)
@result_options
def plan(
    folder: Path,
    settings: tuple[str, ...],
    replay: str | None,
    risk: str | None,
    stability: int | None,
) -> "Result":
    """Optimise the levers over the horizon and propose the plan; exit 4 if it is infeasible."""
    from dagcast import workflow

    if replay is not None and (risk is not None or stability is not None):
        raise click.UsageError("--replay takes a plan as it was: leave out --risk and --stability.")
    if risk is not None:
        settings = (*settings, f"risk.measure={risk}")
    with progress_shown() as progress:
        project = opened(folder, settings)
        if replay is not None:
            return workflow.replay(project, replay, progress=progress)
        made = workflow.plan(project, stability=stability or 0, progress=progress)
    return told(project, made)


@click.command("what-if")
@project_options
@click.argument("proposal", type=click.Path(path_type=Path))
@result_options
def what_if(folder: Path, settings: tuple[str, ...], proposal: Path) -> "Result":
    """Forecast a PROPOSAL as plans are; cells that it leaves out get nothing, or keep their price.

    PROPOSAL is CSV or Parquet with the labels of each cell, its hour with zone, and its value.
    """
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.what_if(opened(folder, settings), proposal, progress=progress)


@click.command()
@project_options
@click.option("--plan", "name", default=None, help="The plan; the newest by default.")
@result_options
def review(folder: Path, settings: tuple[str, ...], name: str | None) -> "Result":
    """Write the page on which people decide about a plan."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.review(opened(folder, settings), name, progress=progress)


@click.command()
@project_options
@click.argument("name", required=False)
@click.option("--who", default=None, help="Who decides; the current user by default.")
@click.option("--why", default="", help="The reason, for the log.")
@click.option(
    "--despite",
    default=None,
    metavar="REASON",
    help="Approve it although the gate found something; findings and reason are logged.",
)
@result_options
def approve(
    folder: Path,
    settings: tuple[str, ...],
    name: str | None,
    who: str | None,
    why: str,
    despite: str | None,
) -> "Result":
    """Approve plan NAME, the newest by default; exit 3 if something stands against it."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.approve(project, name, who=who, why=why, despite=despite))


@click.command()
@project_options
@click.argument("name", required=False)
@click.option("--who", default=None, help="Who decides; the current user by default.")
@click.option("--why", required=True, help="The reason, for the log.")
@result_options
def reject(
    folder: Path, settings: tuple[str, ...], name: str | None, who: str | None, why: str
) -> "Result":
    """Reject plan NAME, or withdraw its approval."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.reject(project, name, who=who, why=why))


@click.command("send-back")
@project_options
@click.argument("name", required=False)
@click.option("--who", default=None, help="Who decides; the current user by default.")
@click.option("--why", required=True, help="What to change, for the log.")
@result_options
def send_back(
    folder: Path, settings: tuple[str, ...], name: str | None, who: str | None, why: str
) -> "Result":
    """Send plan NAME back to be edited; it stays open, and nothing approves it by itself."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.send_back(project, name, who=who, why=why))


@click.command()
@project_options
@click.argument("name", required=False)
@click.option("--who", default=None, help="Who says it; the current user by default.")
@click.option("--why", required=True, metavar="TEXT", help="The comment, for the log.")
@result_options
def comment(
    folder: Path, settings: tuple[str, ...], name: str | None, who: str | None, why: str
) -> "Result":
    """Leave a comment on plan NAME, the newest by default."""
    from dagcast import workflow

    return workflow.comment(opened(folder, settings), name, who=who, why=why)


@click.command()
@project_options
@click.option("--who", default=None, help="Who stops them; the current user by default.")
@click.option("--why", required=True, help="The reason, for the log.")
@result_options
def halt(folder: Path, settings: tuple[str, ...], who: str | None, why: str) -> "Result":
    """Stop all approvals and releases, by people and by robots, until `dagcast resume`."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.halt(project, who=who, why=why))


@click.command()
@project_options
@click.option("--who", default=None, help="Who resumes them; the current user by default.")
@click.option("--why", required=True, help="The reason, for the log.")
@result_options
def resume(folder: Path, settings: tuple[str, ...], who: str | None, why: str) -> "Result":
    """Let approvals and releases go on."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.resume(project, who=who, why=why))


@click.command()
@project_options
@click.argument("name", required=False)
@click.option(
    "--cells",
    type=click.Path(path_type=Path),
    default=None,
    help="CSV or Parquet with the labels, hours and new values of some cells.",
)
@click.option("--scale", type=click.FloatRange(min=0), default=None, help="Multiply the plan.")
@click.option("--lever", default=None, help="Scale only this lever.")
@click.option("--where", multiple=True, metavar="DIM=LABEL", help="Scale only these labels.")
@click.option("--who", default=None, help="Who edits; the current user by default.")
@click.option("--why", required=True, help="The reason, for the log.")
@result_options
def edit(
    folder: Path,
    settings: tuple[str, ...],
    name: str | None,
    cells: Path | None,
    scale: float | None,
    lever: str | None,
    where: tuple[str, ...],
    who: str | None,
    why: str,
) -> "Result":
    """Change cells of plan NAME and propose the result as a new plan."""
    from dagcast import workflow

    project = opened(folder, settings)
    with progress_shown() as progress:
        made = workflow.edit(
            project,
            name,
            cells=cells,
            scale=scale,
            lever=lever,
            where=_labels(where),
            who=who,
            why=why,
            progress=progress,
        )
    return told(project, made)


def _labels(pairs: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        dim, equals, label = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--where takes DIM=LABEL; found {pair!r}.")
        found.setdefault(dim, []).append(label)
    return found


@click.command()
@project_options
@click.option("--plan", "name", default=None, help="The plan; the approved one by default.")
@result_options
def retro(folder: Path, settings: tuple[str, ...], name: str | None) -> "Result":
    """Compare a carried-out plan with what would have been best, and attribute the regret."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.retro(opened(folder, settings), name, progress=progress)


@click.command()
@project_options
@result_options
def promises(folder: Path, settings: tuple[str, ...]) -> "Result":
    """Count which promises of past plans were kept: by outcome, row, day ahead, gain and lever."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.promises(opened(folder, settings), progress=progress)
