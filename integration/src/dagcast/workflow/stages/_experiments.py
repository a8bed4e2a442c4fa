"""Measured effects of a project: registered, listed and shown."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast._held import held_text
from dagcast.errors import UsageError
from dagcast.figures import DASH, number
from dagcast.project import Project
from dagcast.workflow.common._assembled import EXPERIMENTS, assembled, experiments
from dagcast.workflow.common._result import Result, ResultTable, plain

if TYPE_CHECKING:
    from dagcast.workflow.common._trial_file import WrittenTrial
    from dagcast_core.contract import Experiment, Quantity

_VALIDITY = "validity.json"


@final
@dataclass(frozen=True)
class ExperimentsResult(Result):
    """Experiments of a project.

    Attributes:
        folder: the project.
        items: the experiments, as their files have them.
        added: folder that was made for them; None where they were there.
        remarks: what to know about them, in words.
        facts: what else is known of one that is shown.
    """

    folder: Path
    items: "tuple[Experiment, ...]"
    added: Path | None = None
    remarks: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        columns = ("experiment", "effect of", "on", "design", "measured", "se", "df", "hours, UTC")
        rows = tuple(_row(item) for item in self.items)
        title = "Experiments registered" if self.added else "Experiments"
        note = f"in {self.added}" if self.added else ""
        tables = [ResultTable(title, columns, rows, note)]
        if self.facts:
            tables.append(ResultTable(self.items[0].name, ("what", "is"), self.facts))
        if self.remarks:
            tables.append(ResultTable("Remarks", (), tuple((text,) for text in self.remarks)))
        return tuple(tables)

    def next_command(self) -> str:
        if self.added:
            return f"dagcast fit --project {self.folder}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Experiments as their files have them."""
        return {
            "folder": str(self.folder),
            "experiments": [plain(item.to_json()) for item in self.items],
            "added": None if self.added is None else str(self.added),
            "remarks": list(self.remarks),
            "facts": dict(self.facts),
        }


def add_experiments(
    project: Project, file: Path, *, who: str | None = None, why: str = ""
) -> ExperimentsResult:
    """Register the experiments of a file: validated, kept beside the events, and logged.

    Args:
        project: with ingested events, whose labels experiments name.
        file: JSON or TOML; with figures, or with the raw rows that they follow from.
        who: registers them; the current user by default.
        why: the reason, for the log.

    Raises:
        UsageError: the file cannot be read, or an experiment is not valid, is registered already,
            or speaks of what the models and the store do not know.
    """
    from dagcast.workflow.common._trial_file import read_trials

    trials, together = read_trials(Path(file))
    known = experiments(project)
    names = {item.name for item in known}
    for item in together:
        if item.name in names:
            raise UsageError(
                "an experiment that is not registered yet",
                f"{item.name!r}, which is",
                "Give it another name; what was measured once is not replaced.",
            )
    remarks = [*_require_known(project, together, known), *_said(trials)]
    first = re.sub(r"[^A-Za-z0-9._-]+", "-", next(iter(together)).name).strip("-.") or "trial"
    target = project.events / f"experiment-{first}"[:90]
    with project.making(target) as temporary:
        document = json.dumps(together.to_json(), indent=1, ensure_ascii=False)
        (temporary / EXPERIMENTS).write_text(document + "\n", encoding="utf-8")
        project.record(
            "registered",
            who=who,
            why=why,
            details={
                "experiments": [item.name for item in together],
                "rows": {t.experiment.name: list(t.rows) for t in trials if t.rows is not None},
                "made": f"events/{target.name}",
            },
        )
    return ExperimentsResult(project.folder, tuple(together), target, tuple(remarks))


def list_experiments(project: Project) -> ExperimentsResult:
    """List the experiments that came with the events or were registered.

    Raises:
        UsageError: a file of them is damaged.
    """
    return ExperimentsResult(project.folder, tuple(experiments(project)))


def show_experiment(project: Project, name: str) -> ExperimentsResult:
    """Show one experiment: arms, cells, where the figure comes from, and what models say of it.

    Raises:
        UsageError: none has that name; names the nearest.
    """
    from dagcast_core.contract import nearest

    found = {item.name: item for item in experiments(project)}
    if name not in found:
        near = nearest(name, list(found))
        raise UsageError(
            f"the name of an experiment ({', '.join(found) or 'there is none'})",
            repr(name),
            f"Did you mean {near!r}?" if near else "`dagcast experiments list` names them.",
        )
    item = found[name]
    facts = [
        ("control", _arm(item.control)),
        ("treatment", _arm(item.treatment)),
        (f"{item.cells.dim}s", ", ".join(item.cells.labels)),
        ("local hours", ", ".join(map(str, item.cells.local_hours)) or "all"),
        ("counted hours", ", ".join(map(str, item.cells.counted_hours)) or "the same"),
        ("scale", item.scale),
        ("errors shared with", item.group or "none"),
        ("where from", item.provenance or "nobody said"),
        *_modelled(project, name),
    ]
    return ExperimentsResult(project.folder, (item,), facts=tuple(facts))


def _row(item: "Experiment") -> tuple[str, ...]:
    freedom = item.degrees_of_freedom
    return (
        item.name,
        ", ".join(item.levers),
        item.outcome,
        item.design.replace("_", " "),
        number(item.estimate),
        number(item.standard_error),
        DASH if freedom is None else f"{freedom:.1f}",
        f"{item.cells.start[:10]} to {item.cells.end[:10]}",
    )


def _arm(arm: Any) -> str:
    said = []
    for change in arm.changes:
        where = ", ".join(f"{dim} {'/'.join(map(str, v))}" for dim, v in change.where.items())
        said.append(f"{change.how} {change.quantity}{f' ({where})' if where else ''} "
                    f"{'by' if change.how == 'scale' else 'to' if change.how == 'set' else ''} "
                    f"{change.value:g}".replace("  ", " "))  # fmt: skip
    return "; ".join(said) or "as it was"


def _modelled(project: Project, name: str) -> list[tuple[str, str]]:
    """What the models of the last `dagcast validate` say of it."""
    try:
        report = json.loads(held_text(project.reports / _VALIDITY))
        row = next(row for row in report["rows"] if row["experiment"] == name)
        said = f"{number(row['expected'])}, z {row['z']:+.2f}: {row['verdict']}"
        return [(f"expected without it, {report['fit']}", said)]
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return [("expected without it", "not validated yet")]


def _require_known(project: Project, added: Any, known: Any) -> list[str]:
    """Refuse what models and store do not know of; returns what stands in for cells too old."""
    from dagcast_core.contract import ExperimentSet
    from dagcast_core.data import MetricStore

    before = assembled(project.config, known, project=project)
    after = assembled(project.config, ExperimentSet((*known, *added)), project=project)
    new = [str(p) for p in after.assembly.problems if p not in before.assembly.problems]
    if new:
        raise UsageError("experiments about what models say", "; ".join(new), "Correct the file.")
    quantities = {item.quantity.name: item.quantity for item in after.assembly.externals}
    store = MetricStore(project.store)
    labels = store.labels() if any(project.store.glob("[!.]*")) else {}
    spans = store.spans() if labels else {}
    remarks = []
    for item in added:
        unknown = [x for x in item.cells.labels if x not in labels.get(item.cells.dim, ())]
        if labels and unknown:
            raise UsageError(
                f"labels of {item.cells.dim} in {item.name} that the store knows "
                f"({', '.join(labels.get(item.cells.dim, ())) or 'none'})",
                ", ".join(unknown),
                "Correct the file, or ingest their events first.",
            )
        _require_bounds(item, quantities)
        first = min((span.start for span in spans.values()), default=None)
        if first is not None and item.cells.start < first.isoformat():
            remarks.append(
                f"{item.name} began {item.cells.start[:10]}, before the store's first hour "
                f"({first:%Y-%m-%d}): the same hours of later weeks stand in for its cells"
            )
    return remarks


def _require_bounds(item: "Experiment", quantities: "dict[str, Quantity]") -> None:
    for arm in (item.control, item.treatment):
        for change in arm.changes:
            quantity = quantities.get(change.quantity)
            if quantity is None or change.how != "set" or quantity.bounds is None:
                continue
            low, high = quantity.bounds
            if (low is not None and change.value < low) or (
                high is not None and change.value > high
            ):
                raise UsageError(
                    f"{change.quantity} within its bounds ({low} to {high}) in the arm {arm.name} "
                    f"of {item.name}",
                    f"{change.value:g}",
                    "Correct the file.",
                )


def _said(trials: "tuple[WrittenTrial, ...]") -> list[str]:
    found = []
    for trial in trials:
        if trial.measurement is None:
            continue
        test, item = trial.measurement.test, trial.experiment
        text = f"{item.name}: {item.provenance}"
        if test is not None and test.p_value > 0.1:
            text += "; no effect at all would not be unusual"
        found.append(text)
    return found
