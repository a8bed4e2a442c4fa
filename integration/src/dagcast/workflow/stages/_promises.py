"""Stage 10: which promises of past plans were kept."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from dagcast.figures import DASH
from dagcast.plans import (
    DayPromise,
    PlanSummary,
    Promise,
    PromiseCount,
    counts,
    day_counts,
)
from dagcast.project import Project
from dagcast.workflow.common._earlier import times_of
from dagcast.workflow.common._happened import happened_in
from dagcast.workflow.common._plan_files import plan_folder
from dagcast.workflow.common._promised import (
    in_words,
    keep_promises,
    over,
    past_promises,
)
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._session import Session, open_session
from dagcast.workflow.common._shown import adds_up, least

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class LeverKept:
    """What a plan decided about a lever, and what was done.

    Attributes:
        plan: its name.
        lever: its name.
        planned: sum over the horizon, or mean where it is a price.
        carried_out: the same of what was done.
    """

    plan: str
    lever: str
    planned: float
    carried_out: float


@final
@dataclass(frozen=True)
class PromisesResult(Result):
    """Promises of past plans, beside what happened.

    Attributes:
        folder: the project.
        promises: one for each plan, outcome and row, and for lifts that `retro` re-estimated.
        days: cells by plan, quantity and day ahead.
        counts: the same put together: by outcome, row, day ahead, lever and lift.
        levers: what was decided and done.
        words: how many were kept; empty where no week of a plan is over.
        unread: approved plans that cannot be read any more.
    """

    folder: Path
    promises: tuple[Promise, ...]
    days: tuple[DayPromise, ...]
    counts: tuple[PromiseCount, ...]
    levers: tuple[LeverKept, ...]
    words: str
    unread: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        if not self.words:
            nothing = "No week of an approved plan is over: nothing was promised that came about."
            return (ResultTable("Promises", (), ((nothing,),)), *self._unread())
        head = ResultTable("Promises", (), ((f"Past promises: {self.words}.",),))
        kinds = dict.fromkeys(item.by for item in self.counts)
        columns = ("", "kept", "of", "share", "off, sd", "happened vs promised")
        tables = [
            ResultTable(
                f"By {kind}",
                (kind, *columns[1:]),
                tuple(self._row(item) for item in self.counts if item.by == kind),
            )
            for kind in kinds
        ]
        levers = tuple(
            (item.plan, item.lever, f"{item.planned:,.0f}", f"{item.carried_out:,.0f}")
            for item in self.levers
        )
        done = ResultTable("Decided and done", ("plan", "lever", "decided", "done"), levers)
        return (head, *tables, *((done,) if levers else ()), *self._unread())

    @staticmethod
    def _row(item: PromiseCount) -> tuple[str, ...]:
        off = DASH if math.isnan(item.off) else f"{item.off:+.2f}"
        relative = DASH if math.isnan(item.relative) else f"{item.relative:+.1%}"
        return (item.label, str(item.held), str(item.count), f"{item.coverage:.0%}", off, relative)

    def _unread(self) -> tuple[ResultTable, ...]:
        rows = tuple((text,) for text in self.unread)
        return (ResultTable("Plans that cannot be read", (), rows),) if rows else ()

    def next_command(self) -> str:
        return f"dagcast plan --project {self.folder}"

    def frame(self) -> "pd.DataFrame":
        """The promises as a table, one row each, with ``held`` and ``off``."""
        import pandas as pd

        from dagcast.workflow.common._result import plain

        rows = [{**plain(item), "held": item.held, "off": item.off} for item in self.promises]
        return pd.DataFrame(rows)


def promises(project: Project, *, progress: Progress = silent) -> PromisesResult:
    """Set every promise of past plans beside what happened, and keep the count for pages.

    Outcomes count by themselves, row by row and together; a gain over another arm is never
    observed, so it counts where `retro` re-estimated it with what happened.

    Args:
        project: with approved plans whose weeks are over.
        progress: told what is going on.

    Raises:
        ProjectError: nothing was ingested.
    """
    session = open_session(project)
    progress("comparing past promises with what happened", None)
    items, days, unread = past_promises(session)
    keep_promises(project, items, days)
    declared = {quantity.name: quantity for quantity in session.quantities}
    titles = {name: quantity.heading for name, quantity in declared.items()}
    titles["objective"] = "Objective"
    arms = {
        "none": least({name: declared[name] for name in project.config.levers}),
        "current": "the current plan",
    }
    levers = tuple(_levers(session, {item.plan for item in items}))
    return PromisesResult(
        project.folder,
        items,
        days,
        (*_counts(items, titles, arms), *day_counts(days)),
        levers,
        in_words(list(items)),
        unread,
    )


def _counts(
    items: Iterable[Promise], titles: Mapping[str, str], arms: Mapping[str, str]
) -> tuple[PromiseCount, ...]:
    whole: dict[str, list[Promise]] = {}
    rows: dict[str, list[Promise]] = {}
    by_row: dict[str, list[Promise]] = {}
    lifts: dict[str, list[Promise]] = {}
    for item in items:
        title = titles.get(item.quantity, item.quantity)
        if item.over:
            lifts.setdefault(f"{title}, over {arms[item.over]}", []).append(item)
        elif item.row:
            rows.setdefault(title, []).append(item)
            by_row.setdefault(item.row, []).append(item)
        else:
            whole.setdefault(title, []).append(item)
    return (
        *counts("outcome, all together", whole),
        *counts("outcome, row by row", rows),
        *counts("row", by_row),
        *counts("gain, re-estimated", lifts),
    )


def _levers(session: Session, plans: set[str]) -> Iterable[LeverKept]:
    quantities = {quantity.name: quantity for quantity in session.quantities}
    for record in over(session):
        if record.plan not in plans:
            continue
        summary = PlanSummary.load(plan_folder(session.project, record.plan))
        executed, _ = happened_in(session, times_of(summary))
        for name, (planned, _) in summary.totals().items():
            if name in executed:
                values = executed[name].tensor.double()
                done = values.sum() if adds_up(quantities[name]) else values.mean()
                yield LeverKept(record.plan, name, planned, float(done))
