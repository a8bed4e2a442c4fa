"""At any stage: two plans side by side."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from dagcast.plans import LEVER, VALUE, Outlook, PlanSummary
from dagcast.project import Project
from dagcast.workflow.common._plan_files import load_decisions, plan_folder
from dagcast.workflow.common._result import Result, ResultTable

_SHOWN = 20


@final
@dataclass(frozen=True)
class PlanPair(Result):
    """Two plans, figure by figure.

    Attributes:
        folder: the project.
        one: a plan.
        other: the plan that it is compared with.
        levers: title, both totals and the difference, as text.
        outcomes: the same of what is forecast, with both intervals.
        limits: the same of every limit that both have.
        cells: the cells that differ most: title and labels, both values, difference.
        notes: what to know before comparing.
    """

    folder: Path
    one: str
    other: str
    levers: tuple[tuple[str, ...], ...]
    outcomes: tuple[tuple[str, ...], ...]
    limits: tuple[tuple[str, ...], ...]
    cells: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        columns = ("", self.one, self.other, "difference")
        named = (
            ("What is decided", self.levers),
            ("What is expected", self.outcomes),
            ("Limits", self.limits),
            ("Cells that differ most", self.cells),
        )
        return tuple(ResultTable(title, columns, rows) for title, rows in named if rows)

    def next_command(self) -> str:
        return f"dagcast review --plan {self.other} --project {self.folder}"


def compare_plans(project: Project, one: str, other: str) -> PlanPair:
    """Put two plans side by side.

    Raises:
        ProjectError: files of one are gone or were changed.
        UsageError: no plan has one of the names.
    """
    records = [project.journal.find(name) for name in (one, other)]
    folders = [plan_folder(project, record.plan) for record in records]
    first, second = (PlanSummary.load(folder) for folder in folders)
    views = [Outlook.load(folder) for folder in folders]
    notes = []
    if records[0].horizon_start != records[1].horizon_start:
        notes.append("They decide about different hours, so totals differ by the weeks as well.")
    made_on = [summary.provenance.get("fit") for summary in (first, second)]
    if made_on[0] != made_on[1]:
        notes.append(f"They were forecast by different fits: {made_on[0]} and {made_on[1]}.")
    return PlanPair(
        project.folder,
        records[0].plan,
        records[1].plan,
        _levers(first, second),
        _outcomes(views[0], views[1]),
        _limits(first, second),
        _cells(project, records[0].plan, records[1].plan, first),
        tuple(notes),
    )


def _levers(first: PlanSummary, second: PlanSummary) -> tuple[tuple[str, ...], ...]:
    rows = []
    for name, (planned, _) in first.totals().items():
        if name in second.readings:
            reading, against = first.readings[name], second.totals()[name][0]
            difference = reading.figure(against - planned, signed=True)
            rows.append(
                (reading.title, reading.figure(planned), reading.figure(against), difference)
            )
    return tuple(rows)


def _outcomes(first: Outlook, second: Outlook) -> tuple[tuple[str, ...], ...]:
    rows = []
    for name, reading in first.readings.items():
        if name not in second.readings:
            continue
        ends = [view.totals["plan"][name] for view in (first, second)]
        texts = [f"{reading.figure(e.mid)} ({reading.interval(e.low, e.high)})" for e in ends]
        rows.append((reading.title, *texts, reading.figure(ends[1].mid - ends[0].mid, signed=True)))
    return tuple(rows)


def _limits(first: PlanSummary, second: PlanSummary) -> tuple[tuple[str, ...], ...]:
    others = {(r.name, r.label, r.sense): r for r in (*second.budgets, *second.guardrails)}
    rows = []
    for row in (*first.budgets, *first.guardrails):
        other = others.get((row.name, row.label, row.sense))
        if other is None:
            continue
        what = " ".join(filter(None, (row.title or row.name, row.label)))
        texts = [f"{r.figure(r.used)} {r.sense} {r.figure(r.limit)}" for r in (row, other)]
        rows.append((what, *texts, row.figure(other.used - row.used)))
    return tuple(rows)


def _cells(
    project: Project, one: str, other: str, summary: PlanSummary
) -> tuple[tuple[str, ...], ...]:
    frames = [load_decisions(project, name) for name in (one, other)]
    keys = [c for c in frames[0].columns if c not in (VALUE, "unit") and c in frames[1].columns]
    # The dim that a lever lacks is empty on both sides.
    both = frames[0].merge(frames[1], on=keys, suffixes=("", "_other"))
    both["moved"] = both[f"{VALUE}_other"] - both[VALUE]
    largest = both.loc[both["moved"].abs().sort_values(ascending=False).index[:_SHOWN]]
    rows = []
    for _, cell in largest[largest["moved"] != 0].iterrows():
        labels = [_label(cell[k]) for k in keys if k != LEVER and cell[k] == cell[k]]
        title = summary.readings[cell[LEVER]].title
        values = [f"{cell[name]:,.2f}" for name in (VALUE, f"{VALUE}_other")]
        rows.append((", ".join((title, *labels)), *values, f"{cell['moved']:+,.2f}"))
    return tuple(rows)


def _label(label: object) -> str:
    return f"{label:%a %-d %b %H:%M} UTC" if isinstance(label, datetime) else str(label)
