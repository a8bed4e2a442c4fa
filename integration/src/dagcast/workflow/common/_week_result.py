"""Where the week stands, as `week` and `status` say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from dagcast.workflow.common._position import STEPS, Position
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._standing import Standing

_NEXT: Mapping[str, str] = {
    "due": "dagcast week --project {folder}",
    "stale": "dagcast data list --project {folder}",
    "infeasible": "dagcast review {plan} --project {folder}",
    "waiting": "dagcast approve {plan} --project {folder} --why ...",
    "rejected": "dagcast edit {plan} --project {folder} --why ...",
}
_LOOK: Mapping[str, str] = {
    "quality": "dagcast data quality --project {folder}",
    "fit": "dagcast fit --project {folder}",
    "gates": "dagcast validate --project {folder}",
    "approve": "dagcast review --project {folder}",
}


@final
@dataclass(frozen=True)
class WeekResult(Result):
    """Where the week stands.

    Attributes:
        folder: the project.
        state: ``waiting`` for a person, ``approved``, ``running`` (the hours of an approved plan
            are not over), ``stale`` or ``refused`` (data or a gate), ``infeasible``, ``rejected``,
            ``due`` (a step can be taken), ``failed``, or ``busy`` (another command is at it).
        step: at which it stands.
        why: in words.
        week: first hour to decide about, ISO UTC; None where nobody knows.
        known: the hour after the last that was observed, ISO UTC.
        fit: the newest fit, where the week got so far.
        plan: the plan that is open or decided for these hours.
        ran: steps that were taken just now, each with what came of it.
        page: the page on which the plan is decided, where it was written.
        code: the exit code.
        standing: data, fit, gates and plans, where somebody asked for them.
    """

    one_line: ClassVar[bool] = True

    folder: Path
    state: str
    step: str
    why: str
    week: str | None
    known: str | None
    fit: str | None
    plan: str | None
    ran: tuple[tuple[str, str], ...]
    page: Path | None
    code: int
    standing: Standing | None = None

    def tables(self) -> tuple[ResultTable, ...]:
        title = f"Week from {self.week[:16].replace('T', ' ')} UTC" if self.week else "Week"
        ran = dict(self.ran)
        at = STEPS.index(self.step) if self.step in STEPS else 0
        rows = []
        for k, name in enumerate(STEPS):
            if name == self.step:
                said = f"{ran[name]}; {self.why}" if name in ran else self.why
                rows.append((name, self.state, said))
            elif name in ran:
                rows.append((name, "done", ran[name]))
            else:
                rows.append((name, "done" if k < at else "to come", ""))
        steps = ResultTable(title, ("step", "state", "what"), tuple(rows))
        return (steps, *(self.standing.tables() if self.standing else ()))

    def next_command(self) -> str:
        command = _NEXT.get(self.state, "")
        if self.state in ("refused", "failed"):
            command = _LOOK.get(self.step, "")
        return command.format(folder=self.folder, plan=self.plan or "")

    def exit_code(self) -> int:
        return self.code

    def to_json(self) -> dict[str, Any]:
        """One flat object; the exit code is in it under ``exit_code``."""
        found = Result.to_json(self)
        found["exit_code"] = found.pop("code")
        if self.standing is None:
            del found["standing"]
        found["next"] = self.next_command()
        return found


def week_result(
    folder: Path,
    found: Position,
    ran: tuple[tuple[str, str], ...] = (),
    *,
    reports: Path | None = None,
    code: int | None = None,
) -> WeekResult:
    """A position as a result.

    Args:
        folder: the project.
        found: where it stands.
        ran: steps that were taken, with what came of each.
        reports: folder of the pages.
        code: the exit code, where an error has its own.
    """
    page = None
    if reports is not None and found.plan is not None:
        path = reports / f"review-{found.plan}.html"
        page = path if path.is_file() else None
    return WeekResult(
        folder,
        found.state,
        found.step,
        found.why,
        found.week,
        found.known,
        found.fit,
        found.plan,
        ran,
        page,
        found.code if code is None else code,
    )
