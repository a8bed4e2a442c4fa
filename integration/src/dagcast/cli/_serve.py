"""The desk in the browser, and the tokens by which people sign in there."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagcast.cli._common import opened, parsed, project_options, result_options
from dagcast.errors import UsageError

if TYPE_CHECKING:
    from dagcast.workflow import Result

_NEEDED = ("starlette", "uvicorn", "python_multipart")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(
    help="Serve the desk: weeks, plans, edits, comparisons, decisions, on this machine alone.\n\n"
    "Needs dagcast[app]. Prints the address by which whoever starts it signs in; others sign in by "
    "tokens of `dagcast access`. Who may do what is said in [roles] and [approval] of "
    "dagcast.toml."
)
@project_options
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. Any but loopback lets every machine of the network try, over "
    "connections that anybody between can read: put a proxy with TLS in front.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
def serve(folder: Path, settings: tuple[str, ...], host: str, port: int) -> int:
    project = opened(folder, settings)
    _require_app()
    from dagcast.project import current_user
    from dagcast.serve import serve as run

    if host not in _LOOPBACK:
        click.echo(
            f"dagcast: listening on {host}: whoever reaches this machine may try to sign in, and "
            "what is sent can be read on the way unless a proxy with TLS stands in front. Name "
            "the desk's host in [serve] hosts.",
            err=True,
        )

    def say(address: str) -> None:
        click.echo(f"Sign in as {current_user()}: {address}", err=True)
        click.echo("Ctrl-C ends it.", err=True)

    run(
        project.folder,
        flags=parsed(settings),
        owner=current_user(),
        host=host,
        port=port,
        say=say,
    )
    return 0


def _require_app() -> None:
    """Refuse to serve without what that needs.

    Raises:
        UsageError: says what to install.
    """
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            "what the desk is made with",
            f"no {', '.join(name.replace('_', '-') for name in missing)}",
            'Install it: python -m pip install "dagcast[app]", or in the workspace '
            "`uv sync --all-packages --extra app`.",
        )


@click.group()
def access() -> None:
    """Make, list and take back the tokens by which people sign in at the desk."""


@access.command()
@click.argument("name")
@project_options
@click.option("--days", type=click.FloatRange(0, 3660, min_open=True), default=90.0,
              show_default=True, help="How long it lasts.")  # fmt: skip
@result_options
def add(name: str, folder: Path, settings: tuple[str, ...], days: float) -> "Result":
    """Make a token for NAME; it is shown this once."""
    from dagcast import workflow

    return workflow.grant_access(opened(folder, settings), name, days=days)


@access.command("list")
@project_options
@result_options
def list_(folder: Path, settings: tuple[str, ...]) -> "Result":
    """List the tokens that there are, without what they are."""
    from dagcast import workflow

    return workflow.list_access(opened(folder, settings))


@access.command()
@click.argument("key")
@project_options
@result_options
def remove(key: str, folder: Path, settings: tuple[str, ...]) -> "Result":
    """Take the token KEY back; whoever signed in by it is signed out."""
    from dagcast import workflow

    return workflow.revoke_access(opened(folder, settings), key)
