"""Candidate models for one quantity, judged by the same backtest."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from dagcast.errors import UsageError
from dagcast.figures import counted, number
from dagcast.project import Project
from dagcast.workflow.common._paired import PairedErrors, paired_errors, verdict_table
from dagcast.workflow.common._regret_result import RegretResult, paired
from dagcast.workflow.common._regrets import measure_regret
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._rolling import kept_models, run_backtest
from dagcast.workflow.common._session import open_session
from dagcast.workflow.common._variants import variant
from dagcast_core.contract import AssemblyError

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestReport


@final
@dataclass(frozen=True)
class CandidateErrors:
    """One candidate's backtest.

    Attributes:
        candidate: as it was named, such as ``eta=dagcast-eta``.
        mase: by quantity.
        by_origin: quantity -> MASE of each window, oldest first.
    """

    candidate: str
    mase: Mapping[str, float]
    by_origin: Mapping[str, tuple[float, ...]]


@final
@dataclass(frozen=True)
class CompareResult(Result):
    """Candidates side by side; all saw the same origins and the same data.

    Attributes:
        folder: the project.
        candidates: in the order in which they were named.
        origins: number of origins.
        pairs: every further candidate against the first, by quantity.
    """

    folder: Path
    candidates: tuple[CandidateErrors, ...]
    origins: int
    pairs: tuple[PairedErrors, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        names = tuple(self.candidates[0].mase)
        rows = tuple(
            (item.candidate, *(number(item.mase[name]) for name in names))
            for item in self.candidates
        )
        windows = counted(self.origins, "origin")
        return (
            ResultTable("Candidates", ("candidate", *names), rows, f"MASE over {windows}"),
            verdict_table(f"Against {self.candidates[0].candidate}", self.pairs),
        )

    def next_command(self) -> str:
        return f"edit [serving] or [models] in {self.folder / 'dagcast.toml'} to choose one"

    def exit_code(self) -> int:
        return 3 if any(item.verdict == "worse" for item in self.pairs) else 0


def compare(
    project: Project,
    candidates: tuple[str, ...],
    *,
    by: Literal["mase", "regret"] = "mase",
    progress: Progress = silent,
) -> CompareResult | RegretResult:
    """Backtest the collection once with each candidate, and judge each against the first.

    What was fitted to an origin is kept by all that it follows from: a comparison that was cut
    off, or that is asked for again with one candidate more, goes on from there.

    Args:
        project: with ingested events.
        candidates: each ``installed`` (as the project is), ``QUANTITY=DISTRIBUTION`` or
            ``models.NAME.HYPERPARAMETER=VALUE``; several joined by commas make one candidate.
        by: errors of forecasts, or regret of the plans that follow from them.
        progress: told what is going on.

    Raises:
        UsageError: a candidate is not of that form, is named twice, or fewer than two are named.
        AssemblyError: a candidate does not fit.
        ConfigError: there is no such hyperparameter, or its value is out of its declared range.
    """
    chosen: dict[str, Project] = {}
    for candidate in candidates:
        if candidate in chosen:
            raise UsageError("every candidate once", f"{candidate!r} twice", "Leave out one.")
        chosen[candidate] = variant(project, candidate)
    if len(chosen) < 2:
        raise UsageError("two candidates or more", f"{len(chosen)}", "Name each that competes.")
    # Every candidate is assembled and built before any is backtested: a misfit is said at once.
    sessions = {name: open_session(item) for name, item in chosen.items()}
    for session in sessions.values():
        session.build()
    if by == "regret":
        regrets = measure_regret(next(iter(sessions.values())), chosen, progress=progress)
        unit = project.config.objective.unit
        pairs = tuple(paired(item, regrets[0], unit) for item in regrets[1:])
        details = {item.candidate: round(item.mean, 2) for item in regrets}
        project.record("compared by regret", details=details)
        return RegretResult(project.folder, regrets, unit, pairs)
    kept = frozenset[str]().union(*map(kept_models, sessions.values()))
    # What `dagcast week` keeps stays, unless the packages fit together with a candidate alone.
    with contextlib.suppress(AssemblyError):
        kept |= kept_models(open_session(project))
    reports = {}
    for name, session in sessions.items():
        progress(f"backtest with {name}", None)
        reports[name] = run_backtest(session, reuse=True, beside=kept, progress=progress)
    found = tuple(_errors(name, report) for name, report in reports.items())
    first, *others = reports
    settings = project.config.backtest
    apart = settings.step_hours >= settings.horizon_hours
    result = CompareResult(
        project.folder,
        found,
        settings.origins,
        tuple(
            paired_errors(name, row.quantity, reports[name], reports[first], apart)
            for name in others
            for row in reports[first].rows
        ),
    )
    project.record("compared", details={item.candidate: dict(item.mase) for item in found})
    return result


def _errors(candidate: str, report: "BacktestReport") -> CandidateErrors:
    return CandidateErrors(
        candidate,
        {row.quantity: row.mase for row in report.rows},
        {
            row.quantity: tuple(each.mase for each in report.by_origin(row.quantity))
            for row in report.rows
        },
    )
