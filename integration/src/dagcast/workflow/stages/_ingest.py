"""Stage 2: events into the store."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from dagcast.errors import ProjectError
from dagcast.journal import Entry
from dagcast.project import Project, logged
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.common._sources import declared_sources

if TYPE_CHECKING:
    from dagcast.plugins import Plugins
    from dagcast.sources import Declared
    from dagcast_core.data import IngestReport


@final
@dataclass(frozen=True)
class TableCounts:
    """What became of the rows of one event table.

    Attributes:
        table: its name.
        read: rows in the files.
        accepted: rows that entered the store, late ones included.
        late: accepted rows that were known long after their time.
        duplicates: rows that were accepted before.
        quarantined: rows set aside, by reason.
        gaps: hours without any row between the first and the last.
        notes: what else was found, in words.
    """

    table: str
    read: int
    accepted: int
    late: int
    duplicates: int
    quarantined: Mapping[str, int]
    gaps: int = 0
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class IngestResult(Result):
    """Rows read into the store.

    Attributes:
        folder: the project.
        counts: by event table; files that the store held already count nothing.
        unchanged: sources that the store held already.
        experiments: measured effects found beside the events.
        unread: files of the folders that no table reads, each with the reason.
        failures: sources of which no row could be used, each in a sentence.
    """

    folder: Path
    counts: tuple[TableCounts, ...]
    unchanged: int = 0
    experiments: int = 0
    unread: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                item.table,
                f"{item.read:,}",
                f"{item.accepted:,}",
                f"{item.late:,}",
                f"{sum(item.quarantined.values()) + item.duplicates:,}",
            )
            for item in self.counts
        )
        note = f"{self.experiments} experiments"
        if self.unchanged:
            note += f"; {self.unchanged} files were in the store already"
        columns = ("table", "read", "accepted", "of these late", "set aside")
        tables = [ResultTable("Events in the store", columns, rows, note)]
        aside = [
            (item.table, reason, f"{count:,}")
            for item in self.counts
            for reason, count in (
                *item.quarantined.items(),
                *((("duplicate", item.duplicates),) if item.duplicates else ()),
            )
        ]
        if aside:
            tables.append(ResultTable("Set aside", ("table", "reason", "rows"), tuple(aside)))
        notes = [(item.table, note) for item in self.counts for note in item.notes]
        if notes:
            tables.append(ResultTable("Findings", ("table", "finding"), tuple(notes)))
        for title, sentences in (
            ("Files that were not read", self.unread),
            ("Sources of which nothing could be used", self.failures),
        ):
            if sentences:
                tables.append(ResultTable(title, (), tuple((text,) for text in sentences)))
        return tuple(tables)

    def next_command(self) -> str:
        if self.failures:
            return f"dagcast ingest --project {self.folder}    (with corrected files)"
        return f"dagcast check --project {self.folder}"

    def exit_code(self) -> int:
        return 1 if self.failures else 0


def ingest(
    project: Project, *, source: Path | None = None, progress: Progress = silent
) -> IngestResult:
    """Read declared sources and event files into the store; what was read before changes nothing.

    Args:
        project: whose store is filled.
        source: a folder of event files alone; by default all declared sources, and every folder
            below the project's events/.
        progress: told what is going on.

    Raises:
        ProjectError: there are neither sources nor event files.
        ConfigError: a source is declared wrongly; names the place.
        SourceError: a file is not Parquet or CSV, or lacks a column; nothing was ingested of it.
    """
    from dagcast.ingest import ingest_events, table_files
    from dagcast.plugins import load_plugins

    plugins = load_plugins(disable=project.config.disable)
    folders = [source] if source is not None else _event_folders(project.events)
    if source is not None and not source.is_dir():
        raise ProjectError(
            f"a folder of event files at {source}",
            "a file" if source.exists() else "nothing",
            "Name the folder that holds the event files.",
        )
    declared = declared_sources(project.config, plugins, project.folder) if source is None else ()
    own = {item.table.name for item in declared if item.settings.into is None}
    tables = tuple(table for table in plugins.tables if table.name not in own)
    if not folders and not declared:
        raise ProjectError(
            f"event files in {project.events}: {table_files(plugins.tables)}",
            "none",
            f"Put them there and run `dagcast ingest --project {project.folder}` again, declare "
            f"where your data is as [sources.NAME] in dagcast.toml, or make some with `dagcast "
            f"simulate --project {project.folder}`.",
        )
    _without_strange_copies(project)
    reports: list[IngestReport] = []
    unread: list[str] = []
    reached: set[Path] = set()
    try:
        if declared:
            progress("reading declared sources", None)
            added, unread_there, reached = _read_declared(project, plugins, declared)
            reports += added
            unread += unread_there
        for folder in folders:
            progress(f"reading {folder.name}", None)
            found, left = ingest_events(
                project.store,
                folder,
                tables,
                metrics=plugins.metrics,
                labels=plugins.labels(folder),
                known={path.name for path in reached if path.parent == folder.resolve()},
            )
            reports += found
            unread += (f"{folder.name}/{item}" for item in left)
    finally:
        # What entered the store is in the log, also where a later folder is wrong.
        counts = table_counts([report for report in reports if not report.unchanged])
        _record(project, counts)
    unchanged = sum(report.unchanged for report in reports)
    from dagcast.workflow.common._assembled import experiments

    measured = len(experiments(project))
    failures = tuple(report.failure for report in reports if report.failure is not None)
    return IngestResult(project.folder, counts, unchanged, measured, tuple(unread), failures)


def _read_declared(
    project: Project, plugins: "Plugins", declared: "tuple[Declared, ...]"
) -> "tuple[tuple[IngestReport, ...], tuple[str, ...], set[Path]]":
    """Reads declared sources, all of them or none; also returns what was reached and not read."""
    from dagcast.sources import source_items
    from dagcast_core.data import MetricStore

    found = source_items(project.folder, declared, plugins.labels(project.events))
    store = MetricStore(project.store)
    measured = {metric.name for item in declared for metric in item.table.metrics}
    held = measured | set(store.metrics())
    derived = tuple(metric for metric in plugins.metrics if set(metric.terms) <= held)
    reports = store.ingest_all(found.items, derived=derived)
    read = {item.source.resolve() for item in found.items if isinstance(item.source, Path)}
    unread = tuple(f"{item.path.parent.name}/{item}" for item in found.unread)
    return reports, unread, read | {item.path.resolve() for item in found.unread}


def _record(project: Project, counts: tuple[TableCounts, ...]) -> None:
    """Say in the log what entered the store, or that it holds what the log does not know of.

    The latter is what an ingestion leaves that was killed between the two.
    """
    from dagcast_core.data import MetricStore

    store = MetricStore(project.store)

    def found(entries: tuple[Entry, ...]) -> dict[str, object] | None:
        held, copies = store.manifest_id, store.copies_id
        first = not any(item.event == "ingested" for item in entries)
        if first:
            unknown = any(project.store.glob("ledgers/*/*"))
        else:
            unknown = logged(entries, "store") not in (None, held)
            unknown |= logged(entries, "copies") not in (None, copies)
        if not counts and not unknown:
            return None
        rows = {item.table: [item.read, item.accepted] for item in counts}
        return {"rows": rows, "store": held, "copies": copies}

    project.record_found("ingested", found)


def _without_strange_copies(project: Project) -> None:
    """Let go of merged ledgers that the log does not know: what was made of them is unknown."""
    from dagcast_core.data import MetricStore

    store, known = MetricStore(project.store), logged(project.journal.entries(), "copies")
    if known is not None and store.copies_id not in ("", known):
        store.drop_copies()


def _event_folders(events: Path) -> list[Path]:
    folders = [events, *sorted(path for path in events.iterdir() if path.is_dir())]
    return [
        folder for folder in folders if any(folder.glob("*.parquet")) or any(folder.glob("*.csv"))
    ]


def table_counts(reports: "Iterable[IngestReport]") -> tuple[TableCounts, ...]:
    """Add up reports of the same table."""
    tables: dict[str, TableCounts] = {}
    for report in reports:
        before = tables.get(report.table, TableCounts(report.table, 0, 0, 0, 0, {}))
        reasons = dict(before.quarantined)
        for reason, count in report.quarantined.items():
            reasons[reason] = reasons.get(reason, 0) + count
        tables[report.table] = TableCounts(
            report.table,
            before.read + report.read,
            before.accepted + report.accepted,
            before.late + report.late,
            before.duplicates + report.duplicates,
            reasons,
            before.gaps + report.gaps,
            (
                *before.notes,
                *((f"read as {report.dialect}",) if report.dialect else ()),
                *report.notes,
                *_clock_changes(report),
                *map(str, report.holes),
                *_new_labels(report),
                *(f"{count:,} rows kept: {why}" for why, count in report.remarks.items()),
            ),
        )
    return tuple(tables.values())


def _clock_changes(report: "IngestReport") -> Iterator[str]:
    if report.nonexistent:
        yield (
            f"{report.nonexistent:,} rows at local times that do not exist when clocks go forward; "
            f"they count for the hour that begins then"
        )
    if report.ambiguous:
        yield (
            f"{report.ambiguous:,} rows at local times that occur twice when clocks go back; the "
            f"first is taken"
        )


def _new_labels(report: "IngestReport") -> Iterator[str]:
    for dim, labels in report.new_labels.items():
        for label, rows in labels.items():
            yield (
                f"{rows:,} rows of a new {dim} {label!r} set aside; `dagcast data accept {dim} "
                f"{label}` takes it"
            )
