"""At any stage: what people say about a plan, and the switch that stops approvals."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.errors import UsageError
from dagcast.project import Project, current_user
from dagcast.workflow.common._result import Result, ResultTable

# Longer texts belong into a document that a comment names.
_LONGEST = 4000


@final
@dataclass(frozen=True)
class SaidResult(Result):
    """A line that somebody left in the log.

    Attributes:
        folder: the project.
        event: ``commented``, ``halted`` or ``resumed``.
        plan: that it is about, if any.
        who: said it.
        why: the words.
    """

    folder: Path
    event: str
    plan: str | None
    who: str
    why: str

    def tables(self) -> tuple[ResultTable, ...]:
        row = (self.event, self.plan or "", self.who, self.why)
        return (ResultTable("Logged", ("event", "plan", "who", "why"), (row,)),)

    def next_command(self) -> str:
        if self.event == "halted":
            return f"dagcast resume --project {self.folder} --why ..."
        return f"dagcast log --project {self.folder}"


def comment(
    project: Project, plan: str | None = None, *, who: str | None = None, why: str
) -> SaidResult:
    """Leave a comment on a plan, the newest by default; it stays in the log.

    Raises:
        GateError: the rules of the project do not let them.
        UsageError: no plan has that name, or the text is empty or too long.
    """
    who = who or current_user()
    entry = project.journal.note(
        "commented",
        who=who,
        why=_words(why),
        plan=plan or project.journal.find(None).plan,
        act="comment",
        rules=project.rules,
    )
    return SaidResult(project.folder, "commented", entry.plan, who, entry.why)


def halt(project: Project, *, who: str | None = None, why: str) -> SaidResult:
    """Stop all approvals and releases, by people and by robots, until somebody resumes them.

    Raises:
        GateError: the rules of the project do not let them.
        PlanStateError: they are stopped already.
        UsageError: no reason is given.
    """
    return _switch(project, "halted", who, why)


def resume(project: Project, *, who: str | None = None, why: str) -> SaidResult:
    """Let approvals and releases go on.

    Raises:
        GateError: the rules of the project do not let them.
        PlanStateError: they are not stopped.
        UsageError: no reason is given.
    """
    return _switch(project, "resumed", who, why)


def _switch(project: Project, event: str, who: str | None, why: str) -> SaidResult:
    who = who or current_user()
    entry = project.journal.note(
        event, who=who, why=_words(why), plan=None, act="stop", rules=project.rules
    )
    return SaidResult(project.folder, event, None, who, entry.why)


def _words(text: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= _LONGEST:
        raise UsageError(
            f"a text of 1 to {_LONGEST:,} characters", f"{len(text):,}", "Say it in other words."
        )
    return text
