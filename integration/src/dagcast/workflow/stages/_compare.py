"""Candidate models for one quantity, judged by the same backtest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from dagcast.errors import UsageError
from dagcast.figures import number
from dagcast.project import Project
from dagcast.workflow.common._regret_result import RegretResult, paired
from dagcast.workflow.common._regrets import measure_regret
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._rolling import run_backtest
from dagcast.workflow.common._session import open_session


@final
@dataclass(frozen=True)
class CandidateErrors:
    """One candidate's backtest.

    Attributes:
        candidate: as it was named, such as ``eta=dagcast-eta``.
        mase: by quantity.
    """

    candidate: str
    mase: dict[str, float]


@final
@dataclass(frozen=True)
class CompareResult(Result):
    """Candidates side by side; all saw the same origins and the same data.

    Attributes:
        folder: the project.
        candidates: in the order in which they were named.
        origins: number of origins.
    """

    folder: Path
    candidates: tuple[CandidateErrors, ...]
    origins: int

    def tables(self) -> tuple[ResultTable, ...]:
        names = tuple(self.candidates[0].mase)
        best = {name: number(min(item.mase[name] for item in self.candidates)) for name in names}
        rows = tuple(
            (
                item.candidate,
                *(
                    # Figures that read the same differ by less than a backtest can tell.
                    number(item.mase[name])
                    + (" *" if number(item.mase[name]) == best[name] else "")
                    for name in names
                ),
            )
            for item in self.candidates
        )
        note = f"MASE over {self.origins} origins; * is the lowest"
        return (ResultTable("Candidates", ("candidate", *names), rows, note),)

    def next_command(self) -> str:
        return f"edit [serving] in {self.folder / 'dagcast.toml'} to choose one"


def compare(
    project: Project,
    candidates: tuple[str, ...],
    *,
    by: Literal["mase", "regret"] = "mase",
    progress: Progress = silent,
) -> CompareResult | RegretResult:
    """Backtest the collection once with each candidate.

    Args:
        project: with ingested events.
        candidates: each ``quantity=distribution``.
        by: errors of forecasts, or regret of the plans that follow from them; by regret, every
            further candidate is judged against the first.
        progress: told what is going on.

    Raises:
        UsageError: a candidate is not of that form, is named twice, or fewer than two are named.
        AssemblyError: a candidate does not fit.
    """
    chosen = {}
    for candidate in candidates:
        quantity, equals, distribution = candidate.partition("=")
        if not equals or not quantity or not distribution:
            raise UsageError(
                "candidates such as eta=dagcast-eta", repr(candidate), "Name quantity and package."
            )
        if candidate in chosen:
            raise UsageError("every candidate once", f"{candidate!r} twice", "Leave out one.")
        chosen[candidate] = {quantity: distribution}
    if len(chosen) < 2:
        raise UsageError("two candidates or more", f"{len(chosen)}", "Name each that competes.")
    # Every candidate is assembled before any is backtested: a misfit is said at once.
    sessions = {name: open_session(project, serving=serving) for name, serving in chosen.items()}
    if by == "regret":
        regrets = measure_regret(next(iter(sessions.values())), chosen, progress=progress)
        unit = project.config.objective.unit
        pairs = tuple(paired(item, regrets[0], unit) for item in regrets[1:])
        details = {item.candidate: round(item.mean, 2) for item in regrets}
        project.record("compared by regret", details=details)
        return RegretResult(project.folder, regrets, unit, pairs)
    found = []
    for name, session in sessions.items():
        progress(f"backtest with {name}", None)
        report = run_backtest(session, progress=progress)
        found.append(CandidateErrors(name, {row.quantity: row.mase for row in report.rows}))
    project.record("compared", details={item.candidate: item.mase for item in found})
    return CompareResult(project.folder, tuple(found), project.config.backtest.origins)
