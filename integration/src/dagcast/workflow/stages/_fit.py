"""Stage 4: each model on its own data, then all together with the experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import ProjectError
from dagcast.figures import DASH, number
from dagcast.project import Project
from dagcast.workflow.common._findings import repeated
from dagcast.workflow.common._fits import (
    PREFIX,
    Fitted,
    _save,
    draw_parameters,
    fit_collection,
    load_fit,
)
from dagcast.workflow.common._newness import inputs_of
from dagcast.workflow.common._ranges import error_table, refused
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._session import Session, open_session

if TYPE_CHECKING:
    from dagcast_core.evaluate import RangeCheck
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
        errors: in-sample errors by quantity, in its unit, beside the range of what was observed.
        titles: what the quantities are called.
        findings: what looks wrong about the data that it was fitted on.
    """

    folder: Path
    fit: str
    report: "FitReport" = field(metadata={"json": False}, repr=False)
    draws: int
    errors: "tuple[RangeCheck, ...]" = ()
    titles: Mapping[str, str] = field(default_factory=dict, metadata={"json": False}, repr=False)
    findings: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[str, ...]:
        """Predictions that no good fit makes, in words."""
        return refused(self.errors, self.titles)

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
            tables.append(_known_by(self.report))
        if self.errors:
            tables.append(error_table("In-sample errors", self.errors, self.titles))
        remarks = (
            *(str(item) for item in self.report.conflicts),
            *self.report.notes,
            *self.findings,
        )
        if remarks:
            tables.append(ResultTable("Remarks", (), tuple((text,) for text in remarks)))
        if texts := tuple((f"{text}.",) for text in self.refused):
            tables.insert(0, ResultTable("Not a good fit, whatever converged", (), texts))
        return tuple(tables)

    def exit_code(self) -> int:
        return 3 if self.refused else 0

    def next_command(self) -> str:
        return f"dagcast validate --project {self.folder}"

    def to_json(self) -> dict[str, Any]:
        return {**Result.to_json(self), "report": self.report.to_json()}


def _known_by(report: "FitReport") -> ResultTable:
    """Where what is known of each measured effect comes from."""
    rows = []
    for item in report.experiments:
        known = item.left_out.certainty
        shares = (known.trials, known.history, known.priors) if known else ()
        # Nothing that is learned moves an effect without shares.
        rows.append((item.name, *([f"{share:.0%}" for share in shares] or [DASH] * 3)))
    columns = ("effect of", "trials", "history", "priors")
    note = "shares of what is known of the effect, its own trial among the trials"
    return ResultTable("Known by", columns, tuple(rows), note)


def fit(project: Project, *, warm: bool = False, progress: Progress = silent) -> FitResult:
    """Fit the installed models and keep the result under models/.

    Args:
        project: with ingested data.
        warm: whether to start from the newest fit, where there is one that the installed models
            can be read back from. What does not converge from there is fitted from scratch.
        progress: told what is going on.

    Raises:
        ProjectError: nothing was ingested.
        AssemblyError: the installed packages do not fit together.
    """
    from dagcast_core.evaluate import in_sample_checks

    session = open_session(project)
    name = project.reserve(project.models, PREFIX)
    earlier = _earlier(session) if warm else None
    model, report = fit_collection(
        session, warm=None if earlier is None else earlier.model, progress=progress
    )
    if earlier is not None and report.status != "converged":
        earlier = None
        model, report = fit_collection(session, progress=progress)
    progress("drawing parameters", None)
    drawn = draw_parameters(session, model)
    errors = in_sample_checks(model, session.history())
    titles = {item.name: item.heading for item in session.quantities}
    result = FitResult(project.folder, name, report, len(drawn), errors, titles, repeated(session))
    # What predicts values out of the world is not called good, whatever converged.
    status = report.status if not result.refused else "out of the world"
    with project.making(project.models / name) as folder:
        sealed = _save(folder, model, drawn, report, session)
        details: dict[str, Any] = {
            "fit": name,
            "status": status,
            "seal": sealed,
            "inputs": inputs_of(session),
        }
        if earlier is not None:
            details["from"] = earlier.name
        if result.refused:
            details["refused"] = "; ".join(result.refused)
        project.record("fitted", details=details)
    return result


def _earlier(session: Session) -> Fitted | None:
    """The newest fit to start from; None where there is none that can be read by what is here."""
    try:
        return load_fit(session)
    except ProjectError:
        return None
