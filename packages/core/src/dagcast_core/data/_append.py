"""Components that were aggregated elsewhere, checked and added to the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from dagcast_core.data._batch import make_batch
from dagcast_core.data._declare import Column, EventTable
from dagcast_core.data._definitions import declared
from dagcast_core.data._errors import SourceError
from dagcast_core.data._ingest import Ingestion, batch_id
from dagcast_core.data._manifest import Coverage, locked, read_manifest, write_manifest
from dagcast_core.data._report import IngestReport
from dagcast_core.data._source import connect, open_source
from dagcast_core.data._sql import AMOUNT, ceil_hour, quoted, staged


def append(
    folder: Path, spec: EventTable, rows: pd.DataFrame, coverage: Coverage | None
) -> IngestReport:
    """See :meth:`MetricStore.append_components`."""
    layout = _components(spec)
    dims = ", ".join(quoted(dim) for dim in spec.dims)
    with connect() as connection:
        opened = open_source(connection, layout, rows)
        key = batch_id(layout, opened, {}, Ingestion(spec, rows, coverage=coverage), {})
        held = read_manifest(folder).batches.get(key)
        if held is not None:
            return replace(held.report, unchanged=True)
        connection.execute(
            f"CREATE TEMP TABLE staged AS "
            f"{staged(layout, opened.found, opened.years, odd=opened.odd)}"
        )
        bad = connection.execute(
            "SELECT reason, COUNT(*) FROM staged WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1"
        ).fetchall()
        if bad:
            # Whoever aggregated these has judged the events already: a bad row here is a fault of
            # that statement, not of the data.
            raise SourceError(
                f"components of {spec.name!r}",
                "component rows that are complete",
                "; ".join(f"{count:,} rows where {why}" for why, count in bad),
                "Correct the statement that made them.",
            )
        sums = ", ".join(
            f"CAST({quoted(s.name)} AS {AMOUNT if spec.revision == 'add' else 'DOUBLE'}) "
            f"AS {quoted(s.name)}"
            for s in spec.sums
        )
        revised = "known_at AS revised_at, " if spec.revision == "latest" else ""
        ledger = (
            f"SELECT {dims}, hour, {ceil_hour('known_at')} AS known_at, "
            f"{revised}n, {sums} FROM staged"
        )
        with locked(folder):
            manifest = read_manifest(folder)
            tables = declared(manifest, spec)
            batch = make_batch(connection, folder, spec, layout, opened, key, ledger)
            batch = replace(batch, coverage=coverage or batch.coverage)
            batches = {**manifest.batches, key: batch}
            write_manifest(folder, replace(manifest, tables=tables, batches=batches))
        return batch.report


def _components(spec: EventTable) -> EventTable:
    """The ledger's own columns as a declaration, so that they are judged like any source."""
    return replace(
        spec,
        columns=(
            *(Column(dim, "text") for dim in spec.dims),
            Column("hour", "instant"),
            Column("known_at", "instant"),
            Column("n", "integer"),
            *(Column(entry.name, "number", nullable=True) for entry in spec.sums),
        ),
        time="hour",
        known_at="known_at",
        dims={dim: dim for dim in spec.dims},
        until=None,
        key=(),
        foreseeable=True,
        checks=(),
        remarks=(),
        zone="UTC",
    )
