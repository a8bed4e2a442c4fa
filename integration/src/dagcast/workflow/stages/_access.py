"""At any stage: who may sign in at the desk."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.access import Token, grant, revoke, tokens
from dagcast.project import Project
from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class AccessResult(Result):
    """The tokens of a project.

    Attributes:
        folder: the project.
        held: key, whom it signs in, their role, when it was made and when it ends.
        token: the one that was made just now, which is kept nowhere.
    """

    folder: Path
    held: tuple[tuple[str, str, str, str, str], ...]
    token: str = ""

    def tables(self) -> tuple[ResultTable, ...]:
        columns = ("key", "who", "role", "made, UTC", "until, UTC")
        found = [ResultTable("Tokens", columns, self.held)]
        if self.token:
            words = (("Shown this once; whoever has it is who it says:",), (self.token,))
            found.append(ResultTable("Token", (), words))
        return tuple(found)

    def next_command(self) -> str:
        return f"dagcast serve --project {self.folder}"


def grant_access(project: Project, who: str, *, days: float = 90.0) -> AccessResult:
    """Make a token for somebody.

    Raises:
        UsageError: a name that nobody can have, or no time that it lasts.
        ProjectError: the file of tokens is damaged.
    """
    given = grant(project, who, days=days)
    return AccessResult(project.folder, _held(project), given)


def list_access(project: Project) -> AccessResult:
    """The tokens that there are.

    Raises:
        ProjectError: the file of tokens is damaged.
    """
    return AccessResult(project.folder, _held(project))


def revoke_access(project: Project, key: str) -> AccessResult:
    """Take a token back.

    Raises:
        UsageError: there is no such token.
        ProjectError: the file of tokens is damaged.
    """
    revoke(project, key)
    return AccessResult(project.folder, _held(project))


def _held(project: Project) -> tuple[tuple[str, str, str, str, str], ...]:
    return tuple(_row(project, item) for item in tokens(project))


def _row(project: Project, item: Token) -> tuple[str, str, str, str, str]:
    made, until = (moment[:16].replace("T", " ") for moment in (item.made, item.until))
    return (item.key, item.who, project.rules.role_of(item.who) or "none", made, until)
