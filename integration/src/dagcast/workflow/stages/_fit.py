"""Stage 4: each model on its own data, then all together with the experiments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.figures import number
from dagcast.project import Project
from dagcast.workflow.common._fits import PREFIX, _save, draw_parameters, fit_collection
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    from dagcast_core.model import FitReport


@final
@dataclass(frozen=True)
class FitResult(Result):
    """A fitted collection.

    Attributes:
        folder: the project.
        fit: name of the fit.
        report: losses by member, agreement with experiments, conflicts, convergence.
        draws: number of parameter draws.
    """

    folder: Path
    fit: str
    report: "FitReport" = field(metadata={"json": False}, repr=False)
    draws: int

    def tables(self) -> tuple[ResultTable, ...]:
        members = tuple(
            (
                item.name,
                f"{item.loss_start:,.1f}",
                f"{item.loss:,.1f}",
                f"{item.loss_joint:,.1f}",
                number(max((m.largest for m in item.movement.values()), default=float("nan"))),
                "frozen" if item.frozen else ("yes" if item.converged else "NO"),
            )
            for item in self.report.members.values()
        )
        columns = ("model", "loss at start", "own fit", "joint fit", "moved (sd)", "converged")
        note = f"{self.fit} in {self.report.seconds:.1f} s, {self.draws} draws of the parameters"
        tables = []
        if self.report.contradicting:
            texts = tuple((str(item),) for item in self.report.contradicting)
            tables.append(ResultTable("Experiments that contradict the models", (), texts))
        tables += [ResultTable("Losses, nats", columns, members, note)]
        if self.report.experiments:
            rows = tuple(
                (
                    item.name,
                    number(item.estimate),
                    number(item.widened_error),
                    number(item.own),
                    number(item.joint),
                    number(item.left_out.effect),
                    f"{item.z:+.2f}",
                    item.left_out.verdict,
                )
                for item in self.report.experiments
            )
            measured = (
                "experiment",
                "measured",
                "se used",
                "own fit",
                "joint fit",
                "without it",
                "z",
                "",
            )
            tables.append(ResultTable("Experiments in the joint fit", measured, rows))
        remarks = (*(str(item) for item in self.report.conflicts), *self.report.notes)
        if remarks:
            tables.append(ResultTable("Remarks", (), tuple((text,) for text in remarks)))
        return tuple(tables)

    def next_command(self) -> str:
        return f"dagcast validate --project {self.folder}"

    def to_json(self) -> dict[str, Any]:
        return {**Result.to_json(self), "report": self.report.to_json()}


def fit(project: Project, *, progress: Progress = silent) -> FitResult:
    """Fit the installed models and keep the result under models/.

    Raises:
        ProjectError: nothing was ingested.
        AssemblyError: the installed packages do not fit together.
    """
    session = open_session(project)
    name = project.reserve(project.models, PREFIX)
    model, report = fit_collection(session, progress=progress)
    progress("drawing parameters", None)
    drawn = draw_parameters(session, model)
    with project.making(project.models / name) as folder:
        sealed = _save(folder, model, drawn, report, session)
        details = {"fit": name, "status": report.status, "seal": sealed}
        project.record("fitted", details=details)
    return FitResult(project.folder, name, report, len(drawn))
