"""The command that runs the whole loop."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import parsed, progress_shown, project_options, result_options, show

if TYPE_CHECKING:
    from dagcast.workflow import Result


@click.command()
@project_options
@click.option("--regions", type=click.IntRange(2, 1000), default=12, show_default=True)
@click.option("--weeks", type=click.IntRange(6, 520), default=16, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@result_options
def demo(
    folder: Path,
    settings: tuple[str, ...],
    regions: int,
    weeks: int,
    seed: int,
) -> "Result":
    """Run every stage in one fresh folder (default: dagcast-demo in the current one)."""
    from dagcast import workflow

    context = click.get_current_context()
    quiet = bool(context.params.get("as_json"))
    with progress_shown() as progress:
        if str(folder) == ".":
            folder = workflow.fresh_folder(Path("dagcast-demo"))
        return workflow.demo(
            folder,
            regions=regions,
            weeks=weeks,
            seed=seed,
            flags=parsed(settings),
            progress=progress,
            on_result=(lambda result: None) if quiet else show,
        )
