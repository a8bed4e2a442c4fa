"""Stage 5: do the models say what the experiments measured?"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._whole import write_text
from dagcast.figures import DASH, number
from dagcast.project import Project
from dagcast.workflow.common._fits import fit_collection, load_fit
from dagcast.workflow.common._result import Progress, Result, ResultTable, plain, silent
from dagcast.workflow.common._session import open_session

if TYPE_CHECKING:
    from dagcast_core.evaluate import ValidityRow

REPORT = "validity.json"


@final
@dataclass(frozen=True)
class ValidateResult(Result):
    """Measured beside modelled effects.

    Attributes:
        folder: the project.
        fit: the fit that was judged.
        rows: one for each experiment.
    """

    folder: Path
    fit: str
    rows: "tuple[ValidityRow, ...]"

    def tables(self) -> tuple[ResultTable, ...]:
        columns: tuple[str, ...] = (
            "experiment",
            "effect of",
            "on",
            "scale",
            "measured",
            "se",
            "without it",
            "z",
            "",
            "in-sample",
        )
        refitted = any(not math.isnan(row.refitted) for row in self.rows)
        if refitted:
            columns = (*columns, "refitted", "z refitted")
        rows = []
        # Who contradicts comes first.
        for row in sorted(self.rows, key=lambda row: row.passed):
            cells = [
                row.experiment,
                row.lever,
                row.outcome,
                row.scale,
                number(row.measured),
                number(row.standard_error),
                number(row.expected),
                f"{row.z:+.2f}",
                row.verdict if row.passed else "CONTRADICTS",
                number(row.modelled),
            ]
            if refitted:
                z = DASH if math.isnan(row.refitted_z) else f"{row.refitted_z:+.2f}"
                cells += [number(row.refitted), z]
            rows.append(tuple(cells))
        return (ResultTable("Causal validity", columns, tuple(rows), self._note()),)

    def _note(self) -> str:
        counts = Counter(row.verdict for row in self.rows)
        if not self.rows:
            return "no experiment: nobody has measured an effect, so nothing was validated"
        if not counts["agrees"] and not counts["contradicts"]:
            return (
                f"none of {len(self.rows)} experiments is precise enough to contradict what the "
                "models expect, so nothing was validated"
            )
        return (
            f"of {len(self.rows)} experiments {counts['agrees']} agree with what everything else "
            f"leads to expect, {counts['contradicts']} contradict it, {counts['says little']} say "
            "little"
        )

    def next_command(self) -> str:
        return f"dagcast backtest --project {self.folder}"

    def exit_code(self) -> int:
        from dagcast_core.evaluate import CausalValidity

        return 0 if CausalValidity(self.rows).passed else 3


def validate(
    project: Project, *, leave_one_out: bool = False, progress: Progress = silent
) -> ValidateResult:
    """Set every experiment's measured effect beside that of the newest fit.

    Args:
        project: with a fit.
        leave_one_out: fit again without each experiment in turn, and say what those models expect.
        progress: told what is going on.

    Raises:
        ProjectError: nothing was fitted yet.
    """
    from dagcast_core.evaluate import causal_validity

    session = open_session(project)
    fitted = load_fit(session)

    def without(name: str) -> Any:
        progress(f"fitting without {name}", None)
        return fit_collection(session, warm=fitted.model, without=(name,))[0]

    progress("comparing with the experiments", None)
    found = causal_validity(
        fitted.model,
        session.history(),
        session.known_experiments(),
        draws=[
            {name: values[draw] for name, values in fitted.draws.states.items()}
            for draw in range(len(fitted.draws))
        ],
        leave_out=without if leave_one_out else None,
        archive=session.archive(),
    )
    document = {"fit": fitted.name, "rows": [plain(row) for row in found.rows]}
    write_text(project.reports / REPORT, json.dumps(document, indent=1))
    project.record("validated", details={"fit": fitted.name, "passed": found.passed})
    return ValidateResult(project.folder, fitted.name, found.rows)
