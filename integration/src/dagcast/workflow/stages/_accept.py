"""Stage 2, for labels that were new: people say which of them are meant."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.errors import UsageError
from dagcast.journal import Entry
from dagcast.project import Project
from dagcast.workflow.common._horizon import open_store
from dagcast.workflow.common._result import Result, ResultTable


@final
@dataclass(frozen=True)
class AcceptResult(Result):
    """Labels that are accepted from now on.

    Attributes:
        folder: the project.
        dim: whose labels.
        labels: that were accepted.
    """

    folder: Path
    dim: str
    labels: tuple[str, ...]

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple((self.dim, label) for label in self.labels)
        return (ResultTable("Accepted", ("dim", "label"), rows, "their rows enter with `ingest`"),)

    def next_command(self) -> str:
        return f"dagcast ingest --project {self.folder}"


def accept_labels(project: Project, dim: str, labels: tuple[str, ...]) -> AcceptResult:
    """Accept labels whose rows were set aside as new; ingest again to take the rows.

    Raises:
        ProjectError: nothing was ingested yet.
        UsageError: no label is named, or no table of the store has the dim.
    """
    from dagcast_core.data import MetricStore, UnknownMetricError

    if not labels:
        raise UsageError("a label to accept", "none", "Name those that `dagcast ingest` listed.")
    store = MetricStore(project.store)
    logged = project.logged_store()
    # One that was killed before its line was written is done again.
    if logged is None or not store.accepted_since(logged, dim, labels):
        store = open_store(project)
    try:
        store.accept(dim, labels)
    except UnknownMetricError as error:
        raise UsageError(f"a dim of the store for {dim!r}", str(error), "Correct it.") from error

    def found(entries: tuple[Entry, ...]) -> dict[str, object]:
        now = {"store": store.manifest_id, "copies": store.copies_id}
        return {"dim": dim, "labels": list(labels), **now}

    store = MetricStore(project.store)
    project.record_found("accepted", found)
    return AcceptResult(project.folder, dim, labels)
