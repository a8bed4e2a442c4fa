"""Commands about models: check, fit, forecast, validate, backtest, compare, try."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from dagcast.cli._common import (
    opened,
    opened_if_any,
    progress_shown,
    project_options,
    result_options,
    serving_of,
    show,
    show_text,
)
from dagcast.cli._stdout import reserved

if TYPE_CHECKING:
    from dagcast.workflow import Result

# Seconds between looks at what was saved.
_POLL = 0.5


@click.command()
@project_options
@click.option(
    "--no-project",
    is_flag=True,
    help="Check what is installed, without a project; so does a folder that is none.",
)
@click.option("--disable", multiple=True, metavar="NAME", help="Leave out an entry point.")
@click.option(
    "--against",
    metavar="FILE_OR_ADDRESS",
    help="Exported contracts, a released manifest or contract.json: what is installed is compared "
    "with it, and what is not takes part.",
)
@click.option(
    "--conformance",
    is_flag=False,
    flag_value="all",
    default=None,
    metavar="[PACKAGE]",
    help="Run the behavioural suite of one package, or of all.",
)
@click.option(
    "--deep", is_flag=True, help="Verify every byte of the store, not a sample of each file."
)
@result_options
def check(
    folder: Path,
    settings: tuple[str, ...],
    no_project: bool,
    disable: tuple[str, ...],
    against: str | None,
    conformance: str | None,
    deep: bool,
) -> "Result":
    """Assemble the contracts of all packages, and verify the project; exit 3 if one fails."""
    from dagcast import workflow

    project = opened_if_any(folder, settings, no_project)
    return workflow.check(
        project,
        folder=Path(),
        disable=disable,
        serving=serving_of(settings) if project is None else None,
        against=against,
        conformance=conformance,
        deep=deep,
    )


@click.command()
@project_options
@click.option("--no-project", is_flag=True, help="Draw what is installed, without a project.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    show_default=True,
    help="How it is drawn.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the links as JSON.")
def graph(
    folder: Path, settings: tuple[str, ...], no_project: bool, form: str, as_json: bool
) -> int:
    """Draw which model makes what for whom, to stdout; exit 3 if the packages do not fit."""
    from dagcast import workflow

    with reserved():
        result = workflow.graph(opened_if_any(folder, settings, no_project))
    if as_json or result.exit_code():
        show(result, as_json=as_json)
    else:
        show_text(result.drawn(form))
    code: int = result.exit_code()
    return code


@click.command()
@project_options
@result_options
def fit(folder: Path, settings: tuple[str, ...]) -> "Result":
    """Fit each model on its own data, then all together with the experiments."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.fit(opened(folder, settings), progress=progress)


@click.command()
@project_options
@click.option("--quantity", "quantities", multiple=True, help="Only these; what is observed else.")
@result_options
def forecast(folder: Path, settings: tuple[str, ...], quantities: tuple[str, ...]) -> "Result":
    """Forecast the horizon by the newest fit, fitting first where there is none."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.forecast(opened(folder, settings), quantities=quantities, progress=progress)


@click.command()
@project_options
@click.option("--leave-one-out", is_flag=True, help="Refit without each experiment in turn.")
@result_options
def validate(folder: Path, settings: tuple[str, ...], leave_one_out: bool) -> "Result":
    """Compare each experiment's measured effect with the model's; exit 3 if one disagrees."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.validate(
            opened(folder, settings), leave_one_out=leave_one_out, progress=progress
        )


@click.command()
@project_options
@click.option("--quantity", "quantities", multiple=True, help="Only these; the file's by default.")
@click.option(
    "--by",
    type=click.Choice(["mase", "regret"]),
    default="mase",
    help="Errors of the forecasts, or regret of the plans that follow from them.",
)
@result_options
def backtest(
    folder: Path, settings: tuple[str, ...], quantities: tuple[str, ...], by: str
) -> "Result":
    """Refit at past origins on what was known by then; compare the forecasts, or the plans."""
    from dagcast import workflow

    if by == "regret" and quantities:
        raise click.UsageError("--quantity goes with --by mase; regret is that of the objective.")
    with progress_shown() as progress:
        if by == "regret":
            return workflow.backtest_regret(opened(folder, settings), progress=progress)
        return workflow.backtest(
            opened(folder, settings), quantities=quantities or None, progress=progress
        )


@click.command()
@project_options
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@click.option(
    "--by",
    type=click.Choice(["mase", "regret"]),
    default="mase",
    help="Errors of forecasts, or regret of plans.",
)
@result_options
def compare(
    folder: Path,
    settings: tuple[str, ...],
    candidates: tuple[str, ...],
    by: Literal["mase", "regret"],
) -> "Result":
    """Compare candidates by one backtest; exit 3 if one is worse than the first.

    A CANDIDATE is `installed` (as the project is), a package that serves a quantity such as
    eta=my-eta, or a hyperparameter such as models.eta.trip_time=30; commas join several.
    """
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.compare(opened(folder, settings), candidates, by=by, progress=progress)


@click.command("try")
@project_options
@click.argument("model")
@click.option("--with-downstream", is_flag=True, help="Fit the models that read of it as well.")
@click.option("--keep", is_flag=True, help="Take it as it is now as the one to compare with.")
@click.option("--no-conformance", is_flag=True, help="Leave out the tests of the model contract.")
@click.option("--watch", is_flag=True, help="Try again whenever a file of its package is saved.")
@result_options
def try_(
    folder: Path,
    settings: tuple[str, ...],
    model: str,
    with_downstream: bool,
    keep: bool,
    no_conformance: bool,
    watch: bool,
) -> "Result":
    """Fit a changed model alone, and compare it with the one in force; exit 3 if it is worse.

    MODEL is a model's name, or a distribution's for all of its models. The first time, what is
    installed is kept as the one in force.
    """
    from dagcast import workflow

    if watch:
        again = ["try", model, "--project", str(folder)]
        again += [part for setting in settings for part in ("--set", setting)]
        again += ["--with-downstream"] * with_downstream + ["--no-conformance"] * no_conformance
        _run_at_each_save(again, workflow.package_folder(opened(folder, settings), model))
    with progress_shown() as progress:
        return workflow.try_(
            opened(folder, settings),
            model,
            downstream=with_downstream,
            keep=keep,
            conformance=not no_conformance,
            progress=progress,
        )


def _run_at_each_save(arguments: list[str], package: Path) -> NoReturn:
    """Run a command in a process of its own, which imports what was saved, until Ctrl-C."""
    command = [sys.executable, "-c", "from dagcast.cli import main; main()", *arguments]
    seen: dict[Path, int] = {}
    while True:
        now = {}
        for file in package.rglob("*.py"):
            # An editor may be about to replace it.
            with contextlib.suppress(OSError):
                now[file] = file.stat().st_mtime_ns
        if now != seen:
            seen = now
            subprocess.run(command, check=False)
            click.echo(f"Waiting for a change below {package}; Ctrl-C ends this.", err=True)
        time.sleep(_POLL)
