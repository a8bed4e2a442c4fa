"""Commands for the people who write and release packages."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dagcast.cli._common import (
    Folder,
    opened,
    progress_shown,
    project_options,
    result_options,
    told,
)

if TYPE_CHECKING:
    from dagcast.workflow import Result

_WORKSPACE = click.option(
    "--workspace",
    type=Folder(exists=True),
    default=Path(),
    show_default="the current folder",
    help="The workspace's root, or the folder of a package in a repository of its own.",
)


@click.command()
@click.argument("name")
@_WORKSPACE
@click.option(
    "--as",
    "kind",
    type=click.Choice(["member", "repository", "notebook"]),
    default=None,
    show_default="a member where the folder is a workspace, else a repository",
    help="A member of the workspace, a repository of its own with CI, or one file for a notebook.",
)
@click.option(
    "--against",
    "others",
    metavar="FILE_OR_ADDRESS",
    default=None,
    show_default="the contracts of what is installed",
    help="Contracts that the repository's CI checks it against.",
)
@result_options
def new(
    name: str,
    workspace: Path,
    kind: Literal["member", "repository", "notebook"] | None,
    others: str | None,
) -> "Result":
    """Make a team package NAME that passes conformance, in a workspace or anywhere."""
    from dagcast import workflow

    return workflow.new(name, workspace=workspace, kind=kind, others=others)


@click.command()
@_WORKSPACE
@result_options
def snapshot(workspace: Path) -> "Result":
    """Write the contract.json of every package in the workspace."""
    from dagcast import workflow

    return workflow.snapshot(workspace=workspace)


_RELEASES = click.option(
    "--releases",
    type=Folder(),
    default=Path("integration/releases"),
    show_default=True,
    help="Folder of releases.",
)


@click.group()
def release() -> None:
    """Propose, verify, promote, roll back and show integration releases; release a plan."""


@release.command("plan")
@click.argument("name", required=False)
@project_options
@click.option("--who", default=None, help="Who releases it; the current user by default.")
@result_options
def release_plan(
    name: str | None, folder: Path, settings: tuple[str, ...], who: str | None
) -> "Result":
    """Write the files of approved plan NAME for the product, where its approval could not."""
    from dagcast import workflow

    project = opened(folder, settings)
    return told(project, workflow.release_plan(project, name, who=who))


@release.command()
@click.argument("name")
@_RELEASES
@click.option(
    "--sources",
    type=Folder(exists=True),
    default=None,
    show_default="the one that holds the releases",
    help="The repository that the packages are built from, whose commit is noted.",
)
@result_options
def propose(name: str, releases: Path, sources: Path | None) -> "Result":
    """Describe the installed packages as candidate NAME."""
    from dagcast import workflow

    return workflow.propose_release(name, releases=releases, sources=sources)


@release.command()
@click.argument("name")
@_RELEASES
@click.option("--together", is_flag=True, help="Allow several changed packages at once.")
@click.option(
    "--afresh",
    default="",
    metavar="REASON",
    help="Why figures begin anew that were measured on other data than the current release's.",
)
@result_options
def verify(name: str, releases: Path, together: bool, afresh: str) -> "Result":
    """Run every gate on candidate NAME; exit 3 if one fails."""
    from dagcast import workflow

    with progress_shown() as progress:
        return workflow.verify_release(
            name, releases=releases, together=together, afresh=afresh, progress=progress
        )


@release.command()
@click.argument("name")
@_RELEASES
@result_options
def promote(name: str, releases: Path) -> "Result":
    """Make verified candidate NAME the current release."""
    from dagcast import workflow

    return workflow.promote_release(name, releases=releases)


@release.command()
@_RELEASES
@click.option("--to", default=None, help="Which release; the one before by default.")
@result_options
def rollback(releases: Path, to: str | None) -> "Result":
    """Make an earlier release current again."""
    from dagcast import workflow

    return workflow.rollback_release(to=to, releases=releases)


@release.command()
@click.argument("name", required=False)
@_RELEASES
@result_options
def show(name: str | None, releases: Path) -> "Result":
    """Show release NAME, the current one by default."""
    from dagcast import workflow

    return workflow.show_release(name, releases=releases)
