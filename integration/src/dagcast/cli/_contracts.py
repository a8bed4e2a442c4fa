"""Commands about what packages promise each other."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import result_options, show_text

if TYPE_CHECKING:
    from dagcast.workflow import Result

_SOURCE = click.option(
    "--from",
    "source",
    metavar="FILE_OR_ADDRESS",
    default=None,
    show_default="what is installed",
    help="Exported contracts, a wheel of them, a released manifest or a contract.json.",
)


@click.group()
def contracts() -> None:
    """List, show, copy and export what packages promise each other."""


@contracts.command(name="list")
@_SOURCE
@result_options
def list_(source: str | None) -> "Result":
    """List every quantity: its unit, its dims, who makes it and who reads it."""
    from dagcast import workflow

    return workflow.list_contracts(source)


@contracts.command()
@click.argument("quantity")
@_SOURCE
@result_options
def show(quantity: str, source: str | None) -> "Result":
    """Show what is promised of QUANTITY, by whom and for whom."""
    from dagcast import workflow

    return workflow.show_contract(quantity, source)


@contracts.command()
@click.argument("quantity")
@_SOURCE
def copy(quantity: str, source: str | None) -> None:
    """Print the declaration of QUANTITY as Python, to paste into another team's contract."""
    from dagcast import workflow

    show_text(workflow.show_contract(quantity, source).source)


@contracts.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="contracts.json")
@result_options
def export(file: Path) -> "Result":
    """Write the contracts of all installed packages to FILE (contracts.json by default).

    A FILE such as contracts_in_force-2026.11.1-py3-none-any.whl is a wheel that holds them and no
    model: teams install it and run `dagcast check --against contracts-in-force`.
    """
    from dagcast import workflow

    return workflow.export_contracts(file)
