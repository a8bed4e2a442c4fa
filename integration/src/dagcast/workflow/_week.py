"""One week from new data to a plan that waits to be decided: every stage in its turn.

The log says which step comes next (`common/_position`), so the command is a loop: look, take the
step, look again. Killed anywhere it goes on there; run again it finds nothing to do.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dagcast.errors import GateError, ProjectError, answers_input, code_of
from dagcast.figures import counted, listed
from dagcast.project import Project
from dagcast.workflow.common._declared_limits import beyond_limits, week_limits
from dagcast.workflow.common._position import WEEK, Position, position
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._week_result import WeekResult, week_result
from dagcast.workflow.stages._backtest import backtest
from dagcast.workflow.stages._data import data_quality
from dagcast.workflow.stages._decide import approve
from dagcast.workflow.stages._fit import fit
from dagcast.workflow.stages._ingest import ingest
from dagcast.workflow.stages._plan import plan
from dagcast.workflow.stages._promises import promises
from dagcast.workflow.stages._retro import retro
from dagcast.workflow.stages._review import review
from dagcast.workflow.stages._validate import validate

if TYPE_CHECKING:
    import pandas as pd

_LOCK = ".week.lock"


def week(
    project: Project,
    *,
    who: str | None = None,
    now: "pd.Timestamp | None" = None,
    progress: Progress = silent,
) -> WeekResult:
    """Take every step of the week that can be taken, and say where it stands then.

    Ingest what is new, judge the data, look back at the past week, fit from the last fit, validate,
    forecast the newest past week, plan, write the page, and wait for approval or approve within the
    limits of ``[week]``. A second run changes nothing, and one that was killed goes on.

    Args:
        project: the project.
        who: approves, where the settings let it; the current user by default.
        now: the moment by which data are judged to be stale; the clock by default.
        progress: told what is going on.

    Returns:
        Where the week stands. What ends a stage, such as a limit that is written wrongly, is in
        the result as well: ``failed``, with the exit code of the error.
    """
    ran: list[tuple[str, str]] = []
    with _alone(project) as alone:
        if not alone:
            why = "another `dagcast week` works on this project"
            return week_result(project.folder, Position("busy", "ingest", why))
        found, code = Position("due", "ingest", ""), None
        try:
            found = position(project, ingested=False)
            while found.state == "due":
                progress(f"{found.step}: {found.why}", None)
                ran.append((found.step, _STEPS[found.step](project, found, who, progress)))
                before, found = found, position(project, now=now)
                _require_progress(before, found)
        except Exception as error:
            if not answers_input(error):
                raise
            refused = isinstance(error, GateError)
            state: Any = "refused" if refused else "failed"
            found = Position(
                state, found.step, str(error), found.week, found.known, found.fit, found.plan
            )
            code = code_of(error)
    return week_result(project.folder, found, tuple(ran), reports=project.reports, code=code)


def _require_progress(before: Position, found: Position) -> None:
    """Refuse to take a step for ever that does not lead on."""
    if found.state == "due" and found.step == before.step and found.subject == before.subject:
        raise ProjectError(
            f"the step {before.step} to be done once it was taken",
            f"that it is due again: {found.why}",
            "Another command may have changed the project meanwhile: run `dagcast week` again.",
        )


@contextlib.contextmanager
def _alone(project: Project) -> Iterator[bool]:
    """Whether no other week is at work; the lock goes with the process."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(project.folder / _LOCK, flags, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def _ingest(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    found = ingest(project, progress=progress)
    if found.failures:
        raise ProjectError(
            "rows of every source that can be used", "; ".join(found.failures), "Correct the files."
        )
    rows = sum(item.accepted for item in found.counts)
    return f"{rows:,} new rows" if rows else "nothing new"


def _quality(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    found = data_quality(project)
    totals = _rows(project)
    before = _judged(project)
    refused = []
    for table, (read, aside) in totals.items():
        old = before.get(table, (0, 0))
        new, lost = read - old[0], aside - old[1]
        if new > 0 and lost / new > project.config.week.max_set_aside:
            refused.append(f"{lost:,} of {new:,} new rows of {table} could not be used")
    if refused:
        limit = project.config.week.max_set_aside
        refused = [f"{listed(refused)}; max_set_aside of [week] is {limit:g}"]
    _done(
        project,
        "quality",
        rows={table: list(pair) for table, pair in totals.items()},
        findings=len(found.found),
        **({"refused": refused[0], "limit": limit} if refused else {}),
    )
    return counted(len(found.found), "finding")


def _rows(project: Project) -> dict[str, tuple[int, int]]:
    """Rows read and set aside of each table, duplicates apart: a full export is all of them."""
    from dagcast_core.data import MetricStore

    totals: dict[str, tuple[int, int]] = {}
    for report in MetricStore(project.store).reports():
        read, aside = totals.get(report.table, (0, 0))
        lost = sum(report.quarantined.values())
        totals[report.table] = (read + report.read, aside + lost)
    return totals


def _judged(project: Project) -> Mapping[str, tuple[int, int]]:
    """The same when the data were last found to be good."""
    for entry in reversed(project.journal.entries()):
        details = entry.details
        good = entry.event == WEEK and details.get("step") == "quality"
        if good and not details.get("refused"):
            return {table: (int(a), int(b)) for table, (a, b) in details["rows"].items()}
    return {}


def _promises(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    unread = []
    for name in at.subject:
        try:
            retro(project, name, progress=progress)
        except Exception as error:
            # A week that cannot be looked at is no reason to decide nothing about the next.
            if not answers_input(error):
                raise
            unread.append(f"{name}: {error}")
    found = promises(project, progress=progress)
    _done(project, "promises", words=found.words, **({"unread": unread} if unread else {}))
    said = found.words or "no week of a plan is over"
    return f"{said}; not looked back at {listed(unread)}" if unread else said


def _fit(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    found = fit(project, warm=True, progress=progress)
    moved = "; ".join(found.refused)
    return f"{found.fit} {found.report.status}{f', {moved}' if moved else ''}"


def _validate(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    found = validate(project, progress=progress)
    against = [row.experiment for row in found.rows if not row.passed]
    said = f"{counted(len(found.rows), 'experiment')}"
    return f"{said}, beyond 95 %: {listed(against)}" if against else said


def _backtest(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    found = backtest(project, reuse=True, progress=progress)
    errors = ", ".join(f"{row.quantity} {row.mase:.2f}" for row in found.rows)
    return f"MASE {errors}"


def _plan(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    # The next steps show it to people, and may approve it.
    found = plan(project, whole=True, progress=progress)
    return f"{found.summary.plan}: {found.summary.certificate}"


def _review(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    return str(review(project, at.subject[0], progress=progress).page)


def _approve(project: Project, at: Position, who: str | None, progress: Progress) -> str:
    (name,) = at.subject
    beyond = beyond_limits(project, name)
    if not beyond:
        try:
            why = f"within the limits of [week]: {week_limits(project)}"
            found = approve(project, name, who=who, why=why, automatic=True)
        except GateError as error:
            beyond = [f"{error.found}"]
        else:
            return f"{name} approved by {found.who}"
    _done(project, "approve", plan=name, settings=week_limits(project), beyond="; ".join(beyond))
    return f"{name} is beyond what may be approved without a person"


def _done(project: Project, step: str, **details: Any) -> None:
    """Leave the line of a step that has none of its own."""
    from dagcast_core.data import MetricStore

    held = MetricStore(project.store).manifest_id
    project.record(WEEK, details={"step": step, "store": held, **details})


_STEPS: Mapping[str, Callable[[Project, Position, str | None, Progress], str]] = {
    "ingest": _ingest,
    "quality": _quality,
    "promises": _promises,
    "fit": _fit,
    "validate": _validate,
    "backtest": _backtest,
    "plan": _plan,
    "review": _review,
    "approve": _approve,
}
