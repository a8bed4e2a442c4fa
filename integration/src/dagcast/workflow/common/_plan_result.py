"""A plan as a stage returns it: the tables that people read in a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from dagcast.figures import amount, counted, listed
from dagcast.plans import EVIDENCE_COLUMNS, PlanSummary, Reading, evidence_rows
from dagcast.workflow.common._result import Result, ResultTable

# Largest difference of a cell, relative to the largest cell, of the same plan made again.
_REPLAYED = 1e-9
# Share of a limit within which a plan stands at it.
_REACHED = 1e-6


_SHOWN_FLAGS = 8


@final
@dataclass(frozen=True)
class PlanResult(Result):
    """A plan, or a proposal evaluated as one.

    Attributes:
        folder: the project.
        summary: status, certificate, spend, limits and their prices.
        totals: outcome -> arm -> (estimate, low, high) over the horizon.
        differences: outcome -> arm -> (estimate, low, high) of the plan minus that arm.
        readings: outcome -> how people read it.
        arms: what it is compared with, in words.
        kept: whether it was proposed in the log.
        objective: (estimate, low, high) of what is maximised: of the ``plan``, and of the plan less
            each other arm.
        replay_error: largest difference of a replayed cell, relative to the largest cell; None
            where nothing was replayed.
    """

    folder: Path
    summary: PlanSummary
    totals: Mapping[str, Mapping[str, tuple[float, float, float]]]
    differences: Mapping[str, Mapping[str, tuple[float, float, float]]]
    readings: Mapping[str, Reading]
    arms: Mapping[str, str]
    kept: bool = True
    replay_error: float | None = None
    objective: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def tables(self) -> tuple[ResultTable, ...]:
        summary = self.summary
        status = ResultTable(
            summary.plan,
            ("what", "is"),
            (
                *self._evidence(),
                *self._worse(),
                ("decided", f"by people; {counted(len(summary.broken), 'limit')} broken")
                if summary.by_people
                else ("optimisation", summary.certificate),
                ("maximises", f"{summary.objective}, {summary.objective_unit}"),
                *((("remark", self._remark()),) if summary.message else ()),
                *((("draws", summary.risk),) if summary.risk else ()),
                *(("warning", warning) for warning in summary.warnings),
                *(
                    (("stability", summary.stability.words(summary.titles)),)
                    if summary.stability
                    else ()
                ),
                *self._replayed(),
            ),
        )
        return (
            status,
            *self._conflicts(),
            *self._standings(),
            self._decided(),
            self._outcomes(),
            *self._prices(),
            *self._flagged(),
        )

    def _evidence(self) -> tuple[tuple[str, str], ...]:
        """On what the figures stand, which comes before any figure."""
        found, readings = self.summary.evidence, self.summary.readings
        if not found.lines:
            return ()
        warned = (("heed", text) for text in found.warnings(readings))
        return (("evidence", found.words(readings)), *warned)

    def _worse(self) -> tuple[tuple[str, str], ...]:
        text = self.summary.worse_words(self.objective.get("current"))
        return (("heed", text),) if text else ()

    def _standings(self) -> tuple[ResultTable, ...]:
        rows = evidence_rows(self.summary.evidence.lines, self.summary.readings)
        if not rows:
            return ()
        return (ResultTable("What the effects stand on", EVIDENCE_COLUMNS, rows),)

    def _decided(self) -> ResultTable:
        rows = lever_rows(self.summary)
        columns = ("lever", "this plan", "current plan", "change")
        return ResultTable("Decided for the horizon", columns, rows)

    def _remark(self) -> str:
        # The conflicts have a table of their own.
        return (
            self.summary.message.partition(": ")[0]
            if self.summary.conflicts
            else (self.summary.message)
        )

    def _conflicts(self) -> tuple[ResultTable, ...]:
        if self.summary.by_people and self.summary.broken:
            broken = tuple((text,) for text in self.summary.broken)
            return (ResultTable("Limits that it breaks", ("limit",), broken),)
        if not self.summary.conflicts:
            return ()
        rows = tuple((text,) for text in self.summary.conflicts)
        return (ResultTable("Limits that cannot all be kept", ("limit",), rows),)

    def _replayed(self) -> tuple[tuple[str, str], ...]:
        if self.replay_error is None:
            return ()
        same = "agrees" if self.replay_error <= _REPLAYED else "does NOT agree"
        return (("replay", f"{same} with the plan: largest difference {self.replay_error:.1e}"),)

    def _flagged(self) -> tuple[ResultTable, ...]:
        if not self.summary.flagged:
            return ()
        rows = self.summary.flagged[:_SHOWN_FLAGS]
        more = len(self.summary.flagged) - len(rows)
        note = f"and {more} more on the review page" if more else ""
        return (ResultTable("Not decided by the optimiser", ("cells", "reason"), rows, note),)

    def _outcomes(self) -> ResultTable:
        rows = []
        if "plan" in self.objective and self.summary.mixed:
            # What is maximised is worth, not money: it stands apart from what is earned.
            unit = self.summary.objective_unit
            own, low, high = self.objective["plan"]
            rows.append(
                (
                    f"Objective: {self.summary.objective}",
                    amount(own, unit),
                    f"{amount(low, unit)} to {amount(high, unit)}",
                    *(amount(self.objective[arm][0], unit, signed=True) for arm in self.arms),
                )
            )
        for name, arms in self.totals.items():
            reading = self.readings[name]
            found, low, high = arms["plan"]
            row = [reading.title, reading.figure(found), reading.interval(low, high)]
            for arm in self.arms:
                row.append(reading.figure(self.differences[name][arm][0], signed=True))
            rows.append(tuple(row))
        columns = (
            "outcome",
            "expected",
            "interval",
            *(f"vs {words}" for words in self.arms.values()),
        )
        return ResultTable("What is expected", columns, tuple(rows))

    def _prices(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                f"{row.title} {row.label}".strip(),
                f"{row.sense} {row.figure(row.limit)}",
                row.figure(row.used),
                row.words,
                *((("" if row.kept is None else f"{row.kept:.0%}"),) if self.summary.risk else ()),
            )
            for row in (*self.summary.budgets, *self.summary.guardrails)
            if row.binding
        )
        if not rows:
            if self.summary.status == "infeasible":
                return ()
            return (ResultTable("Shadow prices", (), ((self._unpriced(),),)),)
        columns = (
            "limit",
            "at",
            "used",
            "price",
            *(("kept in draws",) if self.summary.risk else ()),
        )
        return (ResultTable("Shadow prices", columns, rows),)

    def _unpriced(self) -> str:
        """What stands in place of prices where no limit has one."""
        if not self.summary.by_people:
            return "No limit binds."
        rows = (*self.summary.budgets, *self.summary.guardrails)
        reached = [
            f"{row.title or row.name} {row.label}".strip() + f" {row.sense} {row.figure(row.limit)}"
            for row in rows
            if (row.used - row.limit) * (1 if row.sense == "<=" else -1)
            > -_REACHED * abs(row.limit)
        ]
        stands = f"it stands at {listed(reached)}" if reached else "it stands at no limit"
        return f"Decided by people, so that no limit has a price; {stands}."

    def next_command(self) -> str:
        if not self.kept:
            return f"dagcast plan --project {self.folder}"
        return f"dagcast review --project {self.folder}"

    def exit_code(self) -> int:
        if self.replay_error is not None and self.replay_error > _REPLAYED:
            return 1
        summary = self.summary
        if was_interrupted(summary.status, summary.message, summary.warnings):
            return 130
        return 4 if self.summary.status == "infeasible" else 0


def was_interrupted(status: str, message: str, warnings: Sequence[str]) -> bool:
    """Whether Ctrl-C was pressed while a plan was made; a limit of time is no interruption."""
    stopped = status == "interrupted" and message == "interrupted"
    return stopped or any(text.startswith("interrupted ") for text in warnings)


def lever_rows(summary: PlanSummary) -> tuple[tuple[str, ...], ...]:
    """Levers beside the current plan, by label, and together where labels or levers add up."""
    rows: list[tuple[str, ...]] = []
    for name, (planned, current) in summary.totals().items():
        reading = summary.readings[name]
        parts = [row for row in summary.levers if row.lever == name]
        if len(parts) > 1:
            rows += [
                (f"{reading.title}: {row.label}", *_compared(row.planned, row.current, reading))
                for row in parts
            ]
        together = ", all" if len(parts) > 1 else ("" if reading.summed else ", mean")
        rows.append((f"{reading.title}{together}", *_compared(planned, current, reading)))
    summed = [reading for reading in summary.readings.values() if reading.summed]
    for code, (planned, current) in summary.spent.items():
        if sum(reading.unit.startswith(code) for reading in summed) > 1:
            both = (planned, current, planned - current)
            rows.append(
                ("all together", *(amount(v, code, signed=k == 2) for k, v in enumerate(both)))
            )
    return tuple(rows)


def _compared(planned: float, current: float, reading: Reading) -> tuple[str, str, str]:
    """A lever in full, as people check it against a budget."""
    unit = reading.total_unit
    if reading.summed:
        return (
            amount(planned, unit),
            amount(current, unit),
            amount(planned - current, unit, signed=True),
        )
    return (
        reading.figure(planned),
        reading.figure(current),
        reading.figure(planned - current, signed=True),
    )
