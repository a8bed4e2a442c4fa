"""Ingestion: read, judge, tell duplicates, aggregate, and commit in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from dagcast_core.data._batch import execute, make_batch
from dagcast_core.data._compact import compact
from dagcast_core.data._csv import Dialect
from dagcast_core.data._cube import CubeTable
from dagcast_core.data._database import DatabaseRows
from dagcast_core.data._declare import EventTable, LinearMetric
from dagcast_core.data._definitions import declare
from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._gaps import find_holes
from dagcast_core.data._labels import LabelRule, judge_labels, normal
from dagcast_core.data._manifest import (
    Batch,
    Coverage,
    Manifest,
    locked,
    note_pending,
    read_manifest,
    settled,
    write_manifest,
)
from dagcast_core.data._mapped import WHY
from dagcast_core.data._mapping import ColumnMap
from dagcast_core.data._repeats import mark_repeats
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import OpenSource, Source, connect, open_source
from dagcast_core.data._sql import (
    KNOWN,
    aggregate,
    staged,
)


@dataclass(frozen=True, slots=True)
class Ingestion:
    """One source on its way into a store.

    Attributes:
        spec: what the source holds.
        source: a Parquet or CSV file, a DataFrame, an Arrow table, or rows of a database.
        labels: dim -> labels that exist; rows with another one are quarantined. For a dim left out
            the table's declaration decides.
        coverage: range in which the absence of rows means zero; by default the hours of the
            accepted rows and the labels allowed, or else found.
        like: table whose hours are covered instead, out of the same call: coupons given in a few
            hours say that none were given in the other hours with sessions.
        since: label -> moment it opened. Rows before it are quarantined, and its cells before
            the hour of it are missing; an interval that reaches into it counts from there.
        begins: dim whose labels ``since`` names; needed with it.
        dialect: of a CSV file, where it should not be found.
        mapping: how the columns of the source become those of the table, where they are not called
            as it declares them.
    """

    spec: EventTable | CubeTable
    source: Source
    labels: Mapping[str, Sequence[str]] | None = None
    coverage: Coverage | None = None
    like: str | None = None
    since: Mapping[str, str] = field(default_factory=dict)
    begins: str = ""
    dialect: Dialect | None = None
    mapping: ColumnMap | None = None


def ingest_all(
    folder: Path, items: Sequence[Ingestion], derived: Sequence[LinearMetric] = ()
) -> tuple[IngestReport, ...]:
    """Adds sources to the store in ``folder``; see :meth:`MetricStore.ingest_all`."""
    with ExitStack() as stack:
        work: list[_Work] = []
        accepted = read_manifest(folder).accepted
        for item in items:
            # All sources are opened before anything is locked or written: the wrong file in the
            # last place must not leave the others half in.
            connection = stack.enter_context(connect())
            table = item.spec.table() if isinstance(item.spec, CubeTable) else item.spec
            allowed = _checked_labels(table, item.labels)
            reading = table if item.mapping is None else item.mapping.reading(table)
            opened = open_source(connection, reading, item.source, item.dialect, item.mapping)
            item = replace(item, since=_checked_openings(item, table))
            key = batch_id(table, opened, allowed, item, accepted)
            work.append(_Work(item, table, reading, connection, opened, allowed, key))
        tables = [entry.table for entry in work]
        before = read_manifest(folder)
        after = declare(_rebuilt(before, work), tables, derived)
        known = all(entry.key in before.batches for entry in work)
        if after == before and known and settled(folder):
            return tuple(replace(before.batches[e.key].report, unchanged=True) for e in work)
        with locked(folder):
            before = read_manifest(folder)
            rebuilt = _rebuilt(before, work)
            gone = [batch for key, batch in before.batches.items() if key not in rebuilt.batches]
            note_pending(folder, (item.path for batch in gone for item in batch.files()))
            manifest = declare(rebuilt, tables, derived)
            reports = []
            sure: set[str] = set()
            for entry in work:
                held = manifest.batches.get(entry.key)
                if held is not None:
                    reports.append(replace(held.report, unchanged=True))
                    continue
                manifest = _without_former(folder, manifest, entry)
                # Sources declared together say together which labels there are.
                known_by = manifest if entry.item.mapping is None else _kept(rebuilt, work)
                batch = _ingest_one(folder, manifest, entry, _label_rules(known_by, entry), sure)
                reports.append(batch.report)
                manifest = replace(manifest, batches={**manifest.batches, batch.id: batch})
            if manifest != before:
                # Only now is there what the tables say of each other.
                manifest = _with_holes(folder, before, manifest, sure)
                write_manifest(folder, manifest)
                compact(folder, manifest, sorted({entry.table.name for entry in work}))
    return tuple(
        replace(report, holes=manifest.batches[entry.key].report.holes)
        if entry.key in manifest.batches
        else report
        for entry, report in zip(work, reports, strict=True)
    )


def _rebuilt(manifest: Manifest, work: Sequence[_Work]) -> Manifest:
    """The manifest without tables that are declared anew, where all their sources are here again.

    People correct the declaration of a source of theirs until it is right. What the sources gave
    before, under another one, is then read again as a whole.

    Raises:
        DeclarationError: one of them is not there any more; the store keeps its table.
    """
    tables, batches = dict(manifest.tables), dict(manifest.batches)
    for entry in work:
        held = tables.get(entry.table.name)
        if entry.item.mapping is None or held is None or held.layout() == entry.table.layout():
            continue
        here = {other.opened.sha256 for other in work if other.table.name == held.name}
        former = [batch for batch in batches.values() if batch.table == held.name]
        gone = sum(batch.report.source_sha256 not in here for batch in former)
        if gone:
            raise DeclarationError(
                f"cannot read {held.name!r} under another declaration: expected all "
                f"{len(former)} sources that the store has of it, to read them again; found "
                f"{gone} of them gone or changed. Put them back as they were, ingest into a new "
                f"store, or give the source another name."
            )
        del tables[held.name]
        batches = {key: batch for key, batch in batches.items() if batch.table != held.name}
    return replace(manifest, tables=tables, batches=batches)


def _with_holes(folder: Path, before: Manifest, manifest: Manifest, sure: set[str]) -> Manifest:
    """Looks for holes in the tables that got rows, and in those that these rows imply rows of."""
    batches = dict(manifest.batches)
    new = {key: batch for key, batch in batches.items() if key not in before.batches}
    filled = {batch.table for batch in new.values()}
    for key, batch in new.items():
        if batch.coverage is None:
            continue
        implied = [
            table
            for table in manifest.tables.values()
            if table.name not in filled
            and any(entry.table == batch.table for entry in table.implied_by)
        ]
        span = (batch.coverage.start, batch.coverage.end)
        holes = tuple(
            hole
            for table in (manifest.tables[batch.table], *implied)
            for hole in find_holes(folder, manifest, table, *span, sure)
        )
        batches[key] = replace(batch, report=replace(batch.report, holes=holes))
    return replace(manifest, batches=batches)


@dataclass(frozen=True, slots=True)
class _Work:
    item: Ingestion
    table: EventTable
    reading: EventTable
    connection: duckdb.DuckDBPyConnection
    opened: OpenSource
    allowed: Mapping[str, tuple[str, ...]]
    key: str


def _ingest_one(
    folder: Path,
    manifest: Manifest,
    entry: _Work,
    rules: Mapping[str, LabelRule],
    sure: set[str],
) -> Batch:
    table, connection = entry.table, entry.connection
    opening = entry.item.begins if entry.item.since and entry.item.begins in table.dims else None
    if opening:
        connection.register("openings", _openings(entry.item.since))
    opened, mapping = entry.opened, entry.opened.mapping
    judged = staged(
        entry.reading,
        opened.found,
        opened.years,
        odd=opened.odd,
        opening=opening,
        row=opened.row,
        why="" if mapping is None else WHY,
        lag=None if mapping is None else mapping.known_lag_hours,
        existing=mapping is not None and mapping.nonexistent == "set aside",
    )
    statement = f"CREATE TEMP TABLE staged AS {judged}"
    execute(connection, statement, entry.opened, table)
    news = judge_labels(connection, table, rules)
    mark_repeats(connection, folder, manifest, table, sure)
    ledger = aggregate(table, "staged", KNOWN, "reason IS NULL")
    batch = make_batch(connection, folder, table, table, entry.opened, entry.key, ledger)
    # The rows are on the disk now; several tables need not be held at once.
    connection.execute("DROP TABLE staged; DROP TABLE ledger")
    if entry.opened.csv is not None or isinstance(entry.item.source, DatabaseRows):
        connection.execute(f"DROP TABLE {opened.rows} CASCADE")
    report = replace(batch.report, new_labels=news)
    return replace(batch, coverage=_stated_coverage(manifest, entry, batch), report=report)


def _label_rules(manifest: Manifest, entry: _Work) -> dict[str, LabelRule]:
    rules = {}
    for dim in entry.table.dims:
        if dim in entry.allowed:
            rules[dim] = LabelRule(allowed=entry.allowed[dim])
        elif entry.table.labels.get(dim) == "any":
            rules[dim] = LabelRule()
        else:
            known = set(manifest.accepted.get(dim, ()))
            for batch in manifest.batches.values():
                if batch.coverage is not None:
                    known.update(batch.coverage.labels.get(dim, ()))
            rules[dim] = LabelRule(known=known)
    return rules


def _kept(manifest: Manifest, work: Sequence[_Work]) -> Manifest:
    """The manifest without what the sources at hand gave under other options."""
    now = {(entry.table.name, entry.opened.sha256): entry.key for entry in work}
    kept = {
        key: batch
        for key, batch in manifest.batches.items()
        if now.get((batch.table, batch.report.source_sha256), key) == key
    }
    return replace(manifest, batches=kept)


def _without_former(folder: Path, manifest: Manifest, entry: _Work) -> Manifest:
    """Lets go of what the same source gave under other options: it is judged anew, not added."""
    former = [
        batch
        for batch in manifest.of_table(entry.table.name)
        if batch.report.source_sha256 == entry.opened.sha256
    ]
    note_pending(folder, (item.path for batch in former for item in batch.files()))
    gone = {batch.id for batch in former}
    kept = {key: batch for key, batch in manifest.batches.items() if key not in gone}
    return replace(manifest, batches=kept)


def _stated_coverage(manifest: Manifest, entry: _Work, batch: Batch) -> Coverage | None:
    item = entry.item
    if item.coverage is not None:
        return item.coverage
    hours = batch.coverage
    if item.like is not None:
        others = [b.coverage for b in manifest.of_table(item.like) if b.coverage is not None]
        hours = (
            Coverage(min(c.start for c in others), max(c.end for c in others)) if others else None
        )
    if hours is None:
        return None
    found = {} if batch.coverage is None else batch.coverage.labels
    return Coverage(hours.start, hours.end, {**found, **entry.allowed}, item.since, item.begins)


def _openings(since: Mapping[str, str]) -> pa.Table:
    opens = [_opening(moment).tz_localize(None).to_pydatetime() for moment in since.values()]
    return pa.table(
        {
            "_label": pa.array(list(since), pa.string()),
            "_opens": pa.array(opens, pa.timestamp("us")),
        }
    )


def _opening(moment: str) -> pd.Timestamp:
    """The hour in which a label opened: the cell that is its first."""
    found = pd.Timestamp(moment)
    return (found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")).floor(
        "h"
    )


def _checked_labels(
    table: EventTable, labels: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    unknown = [dim for dim in labels or {} if dim not in table.dims]
    if unknown:
        raise DeclarationError(
            f"cannot restrict the labels of {', '.join(unknown)} in table {table.name!r}: "
            f"expected dims out of {', '.join(table.dims)}. Remove the others."
        )
    stated: dict[str, Sequence[str]] = {
        dim: rule for dim, rule in table.labels.items() if not isinstance(rule, str)
    }
    stated.update(labels or {})
    return {dim: tuple(sorted(set(map(normal, names)))) for dim, names in stated.items()}


def _checked_openings(item: Ingestion, table: EventTable) -> dict[str, str]:
    if item.since and not item.begins:
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected the dim whose labels since names; found "
            f"none. Name it in begins, one of {', '.join(table.dims) or 'no dims'}."
        )
    try:
        return {label: _opening(moment).isoformat() for label, moment in item.since.items()}
    except (ValueError, TypeError) as error:
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected a moment for every label in since; "
            f"found {dict(item.since)} ({error}). Give texts such as '2025-03-03T00:00Z'."
        ) from error


def batch_id(
    table: EventTable,
    opened: OpenSource,
    allowed: Mapping[str, Sequence[str]],
    item: Ingestion,
    accepted: Mapping[str, Sequence[str]],
) -> str:
    """sha256 of everything that decides what a source contributes."""
    document = {
        "layout": table.layout(),
        "source": opened.sha256,
        "labels": {dim: list(entries) for dim, entries in allowed.items()},
        "open": {
            dim: table.labels.get(dim, list(accepted.get(dim, ())))
            for dim in table.dims
            if dim not in allowed
        },
        "coverage": None if item.coverage is None else item.coverage.to_json(),
        "like": item.like,
        "since": dict(item.since),
        "begins": item.begins if item.since else "",
        "dialect": None if item.dialect is None else asdict(item.dialect),
        "mapping": opened.meaning,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
