"""What a store's tables and metrics say, and what a further declaration may not contradict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dagcast_core.data._declare import EventTable, LinearMetric
from dagcast_core.data._errors import DeclarationError
from dagcast_core.data._manifest import Manifest, find_metric


def declare(
    manifest: Manifest, tables: Sequence[EventTable], derived: Sequence[LinearMetric]
) -> Manifest:
    for table in tables:
        manifest = replace(manifest, tables=declared(manifest, table))
    return define(manifest, derived)


def define(manifest: Manifest, derived: Sequence[LinearMetric]) -> Manifest:
    """The manifest with derived metrics added.

    Raises:
        DeclarationError: a term is unknown or derived itself, or the name is taken.
    """
    for metric in derived:
        for table in manifest.tables.values():
            if any(spec.name == metric.name for spec in table.metrics):
                raise DeclarationError(
                    f"cannot define {metric.name!r}: expected a name of its own; found it in "
                    f"table {table.name!r} already. Rename one of them."
                )
        _check_terms(manifest, metric)
        if not metric.dims:
            held = [find_metric(manifest, name)[1].dims for name in metric.terms]
            shared = tuple(dim for dim in held[0] if all(dim in dims for dims in held))
            metric = replace(metric, dims=shared)
        manifest = replace(manifest, derived={**manifest.derived, metric.name: metric})
    return manifest


def _check_terms(manifest: Manifest, metric: LinearMetric) -> None:
    for name in metric.terms:
        if name in manifest.derived:
            raise DeclarationError(
                f"cannot define {metric.name!r}: expected terms that are read from an event "
                f"table; found {name!r}, which is derived itself. Write its terms out."
            )
        spec = find_metric(manifest, name)[1]
        lost = [dim for dim in metric.dims if dim not in spec.dims]
        if lost:
            raise DeclarationError(
                f"cannot define {metric.name!r} with dims {metric.dims}: expected terms that have "
                f"them all; found {name!r} with {spec.dims}. Remove {', '.join(lost)}."
            )


def declared(manifest: Manifest, table: EventTable) -> dict[str, EventTable]:
    """The manifest's tables with ``table`` among them.

    Raises:
        DeclarationError: the store's ledger of that name has another layout, or another table has
            a metric of the same name.
    """
    held = manifest.tables.get(table.name)
    if held is not None and held != table and held.layout() != table.layout():
        before, after = held.layout(), table.layout()
        changed = sorted(name for name in after if after[name] != before.get(name))
        raise DeclarationError(
            f"cannot ingest into {table.name!r}: expected the declaration the store was built "
            f"with; found another {', '.join(changed)}. Ingest into a new store, or give the "
            f"table another name."
        )
    owners = {metric: name for name, metric in _metric_owners(manifest) if name != table.name}
    for metric in table.metrics:
        if metric.name in owners:
            raise DeclarationError(
                f"cannot declare metric {metric.name!r} in table {table.name!r}: expected a name "
                f"of its own; found it in {owners[metric.name]!r} already. Rename one of them."
            )
    return {**manifest.tables, table.name: table}


def _metric_owners(manifest: Manifest) -> list[tuple[str, str]]:
    owned = [(t.name, metric.name) for t in manifest.tables.values() for metric in t.metrics]
    return [*owned, *(("the derived metrics", name) for name in manifest.derived)]
