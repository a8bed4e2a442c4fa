"""Stage 8: the page on which people decide."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._held import held_text
from dagcast._whole import write_text
from dagcast.errors import ProjectError, answers_input
from dagcast.figures import counted, number, words
from dagcast.plans import Axes, Outlook, PlanSummary
from dagcast.plugins import load_plugins
from dagcast.project import Project
from dagcast.workflow.common._against import findings_against
from dagcast.workflow.common._layers import named_layers
from dagcast.workflow.common._panels import team_panels
from dagcast.workflow.common._plan_files import CURRENT, MARGINALS, SOLVED, plan_folder
from dagcast.workflow.common._plan_result import lever_rows
from dagcast.workflow.common._promised import kept_promises
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._wording import clocks_of, state_in_words

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from dagcast.journal import Entry, PlanRecord
    from dagcast.review import Page, PlanEvidence
    from dagcast_core.tensor import IndexTensor

_Z95 = 1.959963984540054


@final
@dataclass(frozen=True)
class ReviewResult(Result):
    """A page that was written.

    Attributes:
        folder: the project.
        plan: the plan it shows.
        page: the file.
        kilobytes: its size.
        state: of the plan.
    """

    folder: Path
    plan: str
    page: Path
    kilobytes: int
    state: str = "proposed"

    def tables(self) -> tuple[ResultTable, ...]:
        row = (self.plan, str(self.page), f"{self.kilobytes:,}")
        return (ResultTable("Review page", ("plan", "file", "kB"), (row,)),)

    def next_command(self) -> str:
        if self.state == "proposed":
            return f"dagcast approve {self.plan} --project {self.folder} --why ..."
        if self.state == "approved":
            return f"dagcast retro --project {self.folder}"
        return f"dagcast plan --project {self.folder}"


def review(
    project: Project, plan: str | None = None, *, progress: Progress = silent
) -> ReviewResult:
    """Write the page of a plan, the newest by default.

    Raises:
        ProjectError: no plan was made, or its files are damaged.
        UsageError: no plan has that name.
    """
    from dagcast.review import render

    record = project.journal.find(plan)
    page = page_of(project, record, progress=progress)
    path = project.reports / f"review-{record.plan}.html"
    write_text(path, render(page))
    project.record("reviewed", plan=record.plan, details={"page": path.name})
    return ReviewResult(
        project.folder, record.plan, path, path.stat().st_size // 1024, record.state
    )


def page_of(project: Project, record: "PlanRecord", *, progress: Progress = silent) -> "Page":
    """Compose the page of a plan; nothing is written.

    Raises:
        ProjectError: its files are damaged.
    """
    from dagcast.review import plan_page
    from dagcast_core.decide import Plan

    folder = plan_folder(project, record.plan)
    progress("composing the page", None)
    outlook = Outlook.load(folder)
    summary = PlanSummary.load(folder)
    decided = Plan.load(folder / SOLVED).decisions
    axes = outlook.axes
    proposal = project.journal.proposal(record.plan)
    zone, zones = clocks_of(project)
    return plan_page(
        summary,
        outlook,
        decisions=named_layers(dict(decided), summary.readings, axes),
        marginals=_marginals(folder, dict(decided), summary, axes),
        current=_current(folder, dict(decided), summary, axes),
        against=_against(project, record, summary),
        digest="" if proposal is None else str(proposal.details.get("seal") or ""),
        lever_rows=lever_rows(summary),
        evidence=_evidence(project, summary, outlook),
        project=project.config.name,
        state=state_in_words(record, zone),
        author="" if proposal is None else proposal.who,
        parent=None if proposal is None else proposal.details.get("parent"),
        before=_parent(project, proposal),
        kept=kept_promises(project, record.horizon_start),
        zone=zone,
        zones=zones,
        panels=team_panels(load_plugins(disable=project.config.disable), outlook, dict(decided)),
    )


def _against(project: Project, record: "PlanRecord", summary: PlanSummary) -> tuple[str, ...]:
    """What would stand against approving the plan now; nothing where it is decided already."""
    if record.state != "proposed":
        return ()
    try:
        return tuple(findings_against(project, record, summary))
    except Exception as error:
        if not answers_input(error):
            raise
        # The page can be read without a store, and the approval will ask again.
        reason = getattr(error, "found", "") or (str(error).splitlines() or [""])[0]
        return (f"whether its data are the newest is not known: {reason}",)


def _parent(project: Project, proposal: "Entry | None") -> Outlook | None:
    """What was forecast under the plan that this one was edited from, as far as it is there."""
    parent = None if proposal is None else proposal.details.get("parent")
    if parent is None:
        return None
    try:
        return Outlook.load(plan_folder(project, parent))
    except ProjectError:
        return None


def _marginals(
    folder: Path, levers: "Mapping[str, IndexTensor]", summary: PlanSummary, axes: Axes
) -> "dict[str, dict[str, dict[str, np.ndarray]]]":
    """Outcome -> lever -> layer -> effect of one more unit of lever, (rows, hour)."""
    saved = _arrays(folder / MARGINALS)
    found: dict[str, dict[str, Any]] = {}
    for key, values in saved.items():
        outcome, _, lever = key.partition("/")
        found.setdefault(outcome, {})[lever] = levers[lever].with_tensor(values)
    return {
        outcome: named_layers(tensors, summary.readings, axes) for outcome, tensors in found.items()
    }


def _current(
    folder: Path, levers: "Mapping[str, IndexTensor]", summary: PlanSummary, axes: Axes
) -> "dict[str, dict[str, np.ndarray]] | None":
    """Lever -> layer -> the current plan by row and hour; None in plans of earlier versions."""
    if not (folder / CURRENT).is_file():
        return None
    saved = _arrays(folder / CURRENT)
    tensors = {name: levers[name].with_tensor(values) for name, values in saved.items()}
    return named_layers(tensors, summary.readings, axes)


def _arrays(path: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ProjectError(
            f"a whole plan in {path.parent}", f"{error}", "Make the plan again with `dagcast plan`."
        ) from error


def _evidence(project: Project, summary: PlanSummary, outlook: Outlook) -> "PlanEvidence":
    from dagcast.review import Interval, PlanEvidence

    notes = []
    titles = {
        name: reading.title for name, reading in {**outlook.readings, **summary.readings}.items()
    }
    effects: tuple[Any, ...] = ()
    validity = _report(project, "validity.json")
    if validity:
        effects = tuple(Interval(**_interval(row, titles)) for row in validity["rows"])
        if validity["fit"] != summary.provenance.get("fit"):
            notes.append(f"The effects are those of {validity['fit']}, an older fit.")
    accuracy: tuple[tuple[str, ...], ...] = ()
    backtested = _report(project, "backtest.json")
    if backtested:
        accuracy = tuple(
            (
                titles.get(row["quantity"], row["quantity"]),
                number(row["mase"]),
                number(row["seasonal_naive"]),
                number(row["hour_of_week_mean"]),
            )
            for row in backtested["rows"]
        )
        origins = backtested["origins"]
        notes.append(
            f"{counted(len(origins), 'origin')} from {origins[0][:10]} to {origins[-1][:10]}; "
            "the models were fitted again at each on what was known by then."
        )
    return PlanEvidence(effects, accuracy, tuple(notes))


def _interval(row: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    lever, outcome = (
        words(titles[name]) if name in titles else name.replace("_", " ")
        for name in (row["lever"], row["outcome"])
    )
    half, own = row["half_width"], _Z95 * row["expected_error"]
    return {
        "label": row["experiment"],
        "measured": row["measured"],
        "measured_low": row["measured"] - half,
        "measured_high": row["measured"] + half,
        "modelled": row["expected"],
        "modelled_low": row["expected"] - own,
        "modelled_high": row["expected"] + own,
        "verdict": row["verdict"],
        "note": f"{lever} on {outcome}, {row['scale']}",
    }


def _report(project: Project, name: str) -> dict[str, Any]:
    path = project.reports / name
    if not path.exists():
        return {}
    try:
        document: dict[str, Any] = json.loads(held_text(path))
    except ValueError as error:
        raise ProjectError(
            f"JSON in {path}", f"{error}", "Run `dagcast validate` and `dagcast backtest` again."
        ) from error
    return document
