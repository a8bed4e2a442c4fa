"""A plan as a stage returns it: the tables that people read in a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.figures import figure, interval, money, signed_money, title
from dagcast.plans import (
    PlanSummary,
)
from dagcast.workflow.common._result import Result, ResultTable

# Largest difference of a cell, relative to the largest cell, of the same plan made again.
_REPLAYED = 1e-9


_SHOWN_FLAGS = 8


_ARMS = (("none", "no spend"), ("current", "the current plan"))


@final
@dataclass(frozen=True)
class PlanResult(Result):
    """A plan, or a proposal evaluated as one.

    Attributes:
        folder: the project.
        summary: status, certificate, spend, limits and their prices.
        totals: outcome -> arm -> (estimate, low, high) over the horizon.
        differences: outcome -> arm -> (estimate, low, high) of the plan minus that arm.
        units: of the totals.
        kept: whether it was proposed in the log.
        replay_error: largest difference of a replayed cell, relative to the largest cell; None
            where nothing was replayed.
    """

    folder: Path
    summary: PlanSummary
    totals: Mapping[str, Mapping[str, tuple[float, float, float]]]
    differences: Mapping[str, Mapping[str, tuple[float, float, float]]]
    units: Mapping[str, str]
    kept: bool = True
    replay_error: float | None = None

    def tables(self) -> tuple[ResultTable, ...]:
        summary = self.summary
        status = ResultTable(
            summary.plan,
            ("what", "is"),
            (
                ("status", summary.certificate),
                ("maximises", f"{summary.objective}, {summary.objective_unit}"),
                *((("remark", self._remark()),) if summary.message else ()),
                *((("draws", summary.risk),) if summary.risk else ()),
                *(("warning", warning) for warning in summary.warnings),
                *((("stability", summary.stability.words),) if summary.stability else ()),
                *self._replayed(),
            ),
        )
        spend = ResultTable(
            "Spend over the horizon",
            ("incentive", "this plan", "current plan", "change"),
            (
                *(
                    (name, money(plan), money(current), signed_money(plan - current))
                    for name, (plan, current) in summary.spend.items()
                ),
                (
                    "all",
                    money(summary.total),
                    money(summary.current_total),
                    signed_money(summary.total - summary.current_total),
                ),
            ),
        )
        return (
            status,
            *self._conflicts(),
            spend,
            self._outcomes(),
            *self._prices(),
            *self._flagged(),
        )

    def _remark(self) -> str:
        # The conflicts have a table of their own.
        return (
            self.summary.message.partition(": ")[0]
            if self.summary.conflicts
            else (self.summary.message)
        )

    def _conflicts(self) -> tuple[ResultTable, ...]:
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
        for name, arms in self.totals.items():
            unit = self.units[name]
            found, low, high = arms["plan"]
            row = [title(name), figure(found, unit), interval(low, high, unit)]
            for arm, _ in _ARMS:
                row.append(figure(self.differences[name][arm][0], unit, signed=True))
            rows.append(tuple(row))
        columns = ("outcome", "expected", "interval", *(f"vs {words}" for _, words in _ARMS))
        return ResultTable("What is expected", columns, tuple(rows))

    def _prices(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                f"{title(row.name)} {row.label}".strip(),
                f"{row.sense} {figure(row.limit, row.unit)}",
                figure(row.used, row.unit),
                row.words,
                *((("" if row.kept is None else f"{row.kept:.0%}"),) if self.summary.risk else ()),
            )
            for row in (*self.summary.budgets, *self.summary.guardrails)
            if row.binding
        )
        if not rows:
            if self.summary.status == "infeasible":
                return ()
            return (ResultTable("Shadow prices", (), (("No limit binds.",),)),)
        columns = (
            "limit",
            "at",
            "used",
            "price",
            *(("kept in draws",) if self.summary.risk else ()),
        )
        return (ResultTable("Shadow prices", columns, rows),)

    def next_command(self) -> str:
        if not self.kept:
            return f"dagcast plan --project {self.folder}"
        return f"dagcast review --project {self.folder}"

    def exit_code(self) -> int:
        if self.replay_error is not None and self.replay_error > _REPLAYED:
            return 1
        if self.summary.status == "interrupted" and self.summary.message == "interrupted":
            # Ctrl-C; a time limit of the settings is no interruption.
            return 130
        if any(text.startswith("interrupted ") for text in self.summary.warnings):
            return 130
        return 4 if self.summary.status == "infeasible" else 0
