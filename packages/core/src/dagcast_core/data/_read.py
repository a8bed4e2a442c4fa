"""As-of reads: rows known by a moment, summed per cell, laid out densely with what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from dagcast_core.data._compact import ledger_files
from dagcast_core.data._declare import EventTable, Implied, LinearMetric, MetricSpec
from dagcast_core.data._errors import MissingCellsError, StoreError
from dagcast_core.data._manifest import Coverage, Manifest, find_metric, trust
from dagcast_core.data._source import connect
from dagcast_core.data._sql import CONFLICT, parquet, quoted, text
from dagcast_core.data._window import Groups, Window

_HOUR = 3_600_000_000
"""In microseconds."""


class Reader:
    """Reads the metrics of one manifest; holds the components of a table for as long as it lives.

    Args:
        folder: of the store.
        manifest: what it holds.
        window: the cells to read.
        groups: how they roll up.
        sure: files that a holder of the store's lock looked at already.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        window: Window,
        groups: Groups,
        sure: set[str] | None = None,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._window = window
        self._groups = groups
        self._sure = sure
        self._components: dict[str, dict[str, np.ndarray]] = {}

    def metric(self, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """A metric's cube and its dims; missing cells are NaN.

        Raises:
            UnknownMetricError: the store holds no such metric.
            MissingCellsError: a cell of an integer metric is missing.
        """
        derived = self._manifest.derived.get(name)
        if derived is not None:
            return self._linear(derived), derived.dims
        table, spec = find_metric(self._manifest, name)
        values = self._value(table, spec)
        if spec.dtype == "int64":
            missing = np.argwhere(np.isnan(values))
            if len(missing):
                names: list[Sequence[object]] = [self._groups.labels[d] for d in spec.dims[:-1]]
                names.append(list(self._groups.buckets))
                where = ", ".join(str(names[axis][place]) for axis, place in enumerate(missing[0]))
                raise MissingCellsError(name, len(missing), values.size, where)
            values = values.astype(np.int64)
        return values, spec.dims

    def count(self, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Rows behind every cell of a metric (float64), NaN where the cell is missing."""
        table, spec = find_metric(self._manifest, name)
        parts = self._parts(table)
        values = np.where(parts["_observed"] > 0, parts["_rows"], np.nan)
        return self._arranged(values, table, spec), spec.dims

    def _value(self, table: EventTable, spec: MetricSpec) -> np.ndarray:
        parts = self._parts(table)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = parts[spec.total]
            if table.revision == "latest" and spec.across == "mean":
                values = values / parts["n"]
            if spec.per is not None:
                # 0 / 0 is NaN: the mean over no sessions is not zero.
                values = np.where(parts[spec.per] == 0, np.nan, values / parts[spec.per])
        if spec.divisor != 1.0:
            values = values / spec.divisor
        values = np.where(parts["_observed"] > 0, values, np.nan)
        return self._arranged(values, table, spec)

    def _arranged(self, values: np.ndarray, table: EventTable, spec: MetricSpec) -> np.ndarray:
        dims = list(table.dims)
        for dim, label in spec.only.items():
            axis, labels = dims.index(dim), self._groups.labels[dim]
            if label in labels:
                values = np.take(values, labels.index(label), axis=axis)
            else:
                values = np.full(np.delete(values.shape, axis), np.nan)
            dims.remove(dim)
        order = [dims.index(dim) for dim in spec.dims[:-1]]
        return np.ascontiguousarray(np.transpose(values, (*order, values.ndim - 1)))

    def _linear(self, derived: LinearMetric) -> np.ndarray:
        total = np.zeros(self._groups.shape(derived.dims))
        for name in sorted(derived.terms):
            values, dims = self.metric(name)
            extra = tuple(axis for axis, dim in enumerate(dims) if dim not in derived.dims)
            total = total + derived.terms[name] * np.sum(values, axis=extra)
        return total

    def _parts(self, table: EventTable) -> dict[str, np.ndarray]:
        held = self._components.get(table.name)
        if held is None:
            with connect() as connection:
                held = self._load(connection, table)
            self._components[table.name] = held
        return held

    def _load(
        self, connection: duckdb.DuckDBPyConnection, table: EventTable
    ) -> dict[str, np.ndarray]:
        window, groups = self._window, self._groups
        dims = (*table.dims, "hour")
        files = ledger_files(self._folder, self._manifest, table.name)
        names = ["n", *(entry.name for entry in table.sums)]
        base_shape = window.shape(dims)
        shape = groups.shape(dims)
        present = np.zeros(base_shape, dtype=bool)
        parts = {name: np.zeros(shape) for name in names}
        covered: np.ndarray | None = None
        cells = ", ".join(f"{quoted('_' + dim)}" for dim in dims)
        if files and present.size:
            grouped = ", ".join(f"{quoted('_group_' + dim)}" for dim in dims)
            try:
                # Rows that are scanned once are not worth a table of their own.
                plain = table.revision == "add" and _is_identity(groups)
                self._prepare(connection, table, files, "VIEW" if plain else "TABLE")
                if not plain:
                    places = connection.execute(f"SELECT DISTINCT {cells} FROM known").fetchnumpy()
                    present[tuple(places["_" + dim] for dim in dims)] = True
                if table.revision == "latest":
                    covered = self._covered(table, dims, present)
                    self._latest(connection, table, parts, covered & ~present, cells)
                else:
                    sums = ", ".join(
                        f"CAST(SUM({quoted(name)}) AS DOUBLE) AS {quoted(name)}" for name in names
                    )
                    rows = connection.execute(
                        f"SELECT {grouped}, {sums} FROM known GROUP BY ALL"
                    ).fetchnumpy()
                    at = tuple(rows["_group_" + dim] for dim in dims)
                    for name in names:
                        parts[name][at] = rows[name]
                    if plain:
                        present[at] = True
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error as error:
                raise _damaged(table, error) from error
        if covered is None:
            covered = self._covered(table, dims, present)
        observed = (present | covered) & self._opened(table, dims)
        parts.setdefault("_rows", parts["n"])
        parts["_observed"] = _all_of(observed, groups, dims).astype(np.float64)
        return parts

    def _prepare(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: EventTable,
        files: Sequence[Path],
        kind: str,
    ) -> None:
        """Creates ``known``: the window's ledger rows known by the moment, with cell numbers."""
        window, groups = self._window, self._groups
        joins, codes = [], []
        for dim in table.dims:
            names = window.labels[dim]
            connection.register(
                f"labels_{dim}",
                pa.table(
                    {
                        "label": pa.array(names, pa.string()),
                        "code": pa.array(range(len(names)), pa.int32()),
                        "grouped": pa.array(groups.codes[dim], pa.int32()),
                    }
                ),
            )
            joins.append(f"JOIN labels_{dim} AS l_{dim} ON l.{quoted(dim)} = l_{dim}.label")
            codes.append(f"l_{dim}.code AS {quoted('_' + dim)}")
            codes.append(f"l_{dim}.grouped AS {quoted('_group_' + dim)}")
        connection.register(
            "buckets",
            pa.table(
                {
                    "place": pa.array(range(len(window.hours)), pa.int32()),
                    "grouped": pa.array(groups.hours, pa.int32()),
                }
            ),
        )
        offset = f"CAST((epoch_us(l.hour) - {_micros(window.hours[0])}) // {_HOUR} AS INTEGER)"
        connection.execute(
            f"CREATE TEMP {kind} known AS SELECT {', '.join(codes)}, b.place AS _hour, "
            f"b.grouped AS _group_hour, l.* FROM {parquet(files)} AS l {' '.join(joins)} "
            f"JOIN buckets AS b ON b.place = {offset} "
            # Plain comparisons with constants skip whole row groups, which are sorted by hour.
            f"WHERE l.known_at <= {_instant(window.as_of)} "
            f"AND l.hour BETWEEN {_instant(window.hours[0])} AND {_instant(window.hours[-1])}"
        )

    def _latest(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: EventTable,
        parts: dict[str, np.ndarray],
        empty: np.ndarray,
        cells: str,
    ) -> None:
        """Keeps the value known last of every cell, then adds up the cells of a group.

        Cells that are ``empty`` have no row, which means zero; a row without a value has none.
        """
        dims = (*table.dims, "hour")
        names = [entry.name for entry in table.sums]
        values = ", ".join(quoted(name) for name in names)
        last = ", ".join(["revised_at DESC", *(f"{quoted(name)} DESC" for name in names)])
        rows = connection.execute(
            f"SELECT {cells}, {values} FROM known QUALIFY row_number() OVER "
            f"(PARTITION BY {cells} ORDER BY {last}) = 1"
        ).fetchnumpy()
        at = tuple(rows["_" + dim] for dim in dims)
        for name in ["n", *names]:
            dense = np.full(empty.shape, np.nan)
            dense[empty] = 1.0 if name == "n" else 0.0
            dense[at] = (
                1.0
                if name == "n"
                else np.ma.filled(np.ma.asarray(rows[name], dtype=np.float64), np.nan)
            )
            parts[name] = _sum_of(dense, self._groups, dims)
        reported = np.zeros(empty.shape)
        reported[at] = 1.0
        parts["_rows"] = _sum_of(reported, self._groups, dims)

    def _opened(self, table: EventTable, dims: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Cells from a label's opening on, shaped to broadcast over ``dims``."""
        window = self._window
        stated: dict[str, dict[str, pd.Timestamp]] = {}
        for batch in self._manifest.of_table(table.name):
            if batch.coverage is None or batch.coverage.begins not in dims:
                continue
            openings = stated.setdefault(batch.coverage.begins, {})
            for label, moment in batch.coverage.since.items():
                found = pd.Timestamp(moment)
                openings[label] = min(found, openings.get(label, found))
        result = np.ones((1,) * len(dims), dtype=bool)
        for dim, openings in stated.items():
            opened = np.ones((len(window.labels[dim]), len(window.hours)), dtype=bool)
            for place, label in enumerate(window.labels[dim]):
                if label in openings:
                    opened[place] = np.asarray(window.hours >= openings[label])
            sizes = [1] * len(dims)
            sizes[list(dims).index(dim)], sizes[-1] = opened.shape
            result = result & opened.reshape(sizes)
        return result

    def _covered(self, table: EventTable, dims: Sequence[str], present: np.ndarray) -> np.ndarray:
        """Cells in which the absence of rows is a count of zero."""
        covered = np.zeros(present.shape, dtype=bool)
        if table.empty == "missing":
            return covered
        _cover(covered, _coverages(self._manifest, table), self._window, dims)
        # An hour that has not ended by the moment of the read cannot be known to be empty.
        ended = self._window.hours + pd.Timedelta(hours=1) <= self._window.as_of
        covered &= np.asarray(ended)
        for implied in table.implied_by:
            if implied.then == "missing":
                covered &= present | ~self.happened(implied, table)
        if table.same_key == "conflict":
            covered &= ~self._contradicted(table, dims)
        if table.empty == "zero unless gap":
            covered &= present.any(axis=tuple(range(present.ndim - 1)))
        return covered

    def presence(self, table: EventTable) -> tuple[np.ndarray, np.ndarray]:
        """Cells of the window that have rows, and cells that the table says it covers."""
        dims = (*table.dims, "hour")
        found = self._cells_of(table)
        covered = np.zeros(found.shape, dtype=bool)
        _cover(covered, _coverages(self._manifest, table), self._window, dims)
        return found, covered & self._opened(table, dims)

    def happened(self, implied: Implied, table: EventTable) -> np.ndarray:
        """Cells of ``table`` in which another one says that something happened."""
        dims = (*table.dims, "hour")
        other = self._manifest.tables.get(implied.table)
        if other is None:
            return np.zeros(self._window.shape(dims), dtype=bool)
        found = self._cells_of(other) if implied.of == "n" else self._cells_where(other, implied.of)
        names = list(other.dims)
        extra = tuple(axis for axis, dim in enumerate(names) if dim not in table.dims)
        found = np.asarray(found.any(axis=extra), dtype=bool)
        kept = [dim for dim in names if dim in table.dims]
        order = [kept.index(dim) for dim in table.dims if dim in kept]
        found = np.transpose(found, (*order, found.ndim - 1))
        for axis, dim in enumerate(table.dims):
            if dim not in kept:
                found = np.expand_dims(found, axis)
        return np.broadcast_to(found, self._window.shape(dims))

    def _cells_of(self, table: EventTable) -> np.ndarray:
        """Cells of the window, ungrouped, that have rows; each ledger row stands for at least one.

        Deliveries ask this of weeks of rows. The files hold labels as codes already, of which a
        join would first make texts: this takes a third of its time.
        """
        dims = (*table.dims, "hour")
        shape = self._window.shape(dims)
        files = ledger_files(self._folder, self._manifest, table.name, self._sure)
        # Hours come first here as in the files, whose rows then lie side by side.
        found = np.zeros((shape[-1], *shape[:-1]), dtype=bool)
        if files and found.size:
            try:
                for path in files:
                    _mark(found, path, self._window, table.dims)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(table, error) from error
        return np.ascontiguousarray(np.moveaxis(found, 0, -1))

    def _cells_where(self, table: EventTable, component: str) -> np.ndarray:
        """Cells of the window, ungrouped, in which a component adds up to more than zero."""
        dims = (*table.dims, "hour")
        found = np.zeros(self._window.shape(dims), dtype=bool)
        files = ledger_files(self._folder, self._manifest, table.name)
        if not files or not found.size:
            return found
        cells = ", ".join(quoted("_" + dim) for dim in dims)
        added = f"GROUP BY ALL HAVING SUM({quoted(component)}) > 0"
        with connect() as connection:
            self._prepare(connection, table, files, "VIEW")
            rows = connection.execute(f"SELECT {cells} FROM known {added}").fetchnumpy()
        found[tuple(rows["_" + dim] for dim in dims)] = True
        return found

    def _contradicted(self, table: EventTable, dims: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Cells of rows set aside because they contradict others: nobody knows that they are 0."""
        found = np.zeros(self._window.shape(dims), dtype=bool)
        batches = [b for b in self._manifest.of_table(table.name) if b.report.conflicts]
        files = trust(self._folder, (b.quarantine for b in batches if b.quarantine is not None))
        if not files or not found.size:
            return found
        labels = [quoted(table.dims[dim]) for dim in dims[:-1]]
        hour = f"epoch_us(date_trunc('hour', {quoted(table.time)}))"
        with connect() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT {', '.join([*labels, hour])} FROM {parquet(files)} "
                f"WHERE reason = {text(CONFLICT)}"
            ).fetchall()
        places = [{name: n for n, name in enumerate(self._window.labels[d])} for d in dims[:-1]]
        first = _micros(self._window.hours[0])
        for *names, moment in rows:
            cell = [place.get(name, -1) for place, name in zip(places, names, strict=True)]
            cell.append((moment - first) // _HOUR)
            if min(cell) >= 0 and cell[-1] < found.shape[-1]:
                found[tuple(cell)] = True
        return found


def _micros(moment: pd.Timestamp) -> int:
    # Timestamp.value counts nanoseconds whatever the unit.
    return int(moment.value) // 1000


def _instant(moment: pd.Timestamp) -> str:
    return f"TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S}+00'"


def _damaged(table: EventTable, error: Exception) -> StoreError:
    return StoreError(
        f"cannot read table {table.name!r}: expected the ledger files the manifest names; found "
        f"one damaged or absent ({str(error).splitlines()[0]}). Run verify() to see which, and "
        f"restore it from a copy."
    )


def _mark(found: np.ndarray, path: Path, window: Window, dims: Iterable[str]) -> None:
    """Marks the cells, hours first, that one ledger has rows in, known by the moment."""
    names = list(dims)
    first, count, until = _micros(window.hours[0]), len(window.hours), _micros(window.as_of)
    cells = found.reshape(-1)
    status = path.stat()
    reached = []
    for number, (least, most, latest) in enumerate(
        _group_limits(path, status.st_size, status.st_mtime_ns)
    ):
        begin, end = (least - first) // _HOUR, (most - first) // _HOUR
        if begin < count and end >= 0:
            # What holds of a whole group need not be asked of its rows.
            reached.append((number, begin, end, latest <= until))
    if not reached:
        return
    with pa.parquet.ParquetFile(path, read_dictionary=names) as file:
        for number, begin, end, known in reached:
            columns = [*names, "hour"] if known else [*names, "hour", "known_at"]
            for rows in file.iter_batches(1 << 16, [number], columns, use_threads=False):
                place = (_micros_of(rows.column("hour")) - first) // _HOUR
                inside = np.ones(len(place), dtype=bool)
                if begin < 0 or end >= count:
                    inside &= (place >= 0) & (place < count)
                if not known:
                    inside &= _micros_of(rows.column("known_at")) <= until
                for name in names:
                    code = _codes(rows.column(name), window.labels[name])
                    inside &= code >= 0
                    place *= len(window.labels[name])
                    place += code
                cells[place if inside.all() else place[inside]] = True


def _codes(column: pa.DictionaryArray, labels: Sequence[str]) -> npt.NDArray[np.int32]:
    """The place of each row's label in the window; -1 where it is not there."""
    places = pa.compute.index_in(column.dictionary, pa.array(labels, pa.string()))
    codes = np.append(places.fill_null(-1).to_numpy(), np.int32(-1))
    return np.asarray(codes[column.indices.fill_null(-1).to_numpy()])


@lru_cache(maxsize=10_000)
def _group_limits(path: Path, size: int, changed: int) -> tuple[tuple[int, int, int], ...]:
    """First and last hour, and last moment of knowing, of each group of a ledger's rows.

    Each of sixty deliveries asks all that are there whether they reach into its hours; what is
    asked about is named for its content and stays as it is.
    """
    with pa.parquet.ParquetFile(path) as file:
        return tuple(
            (*_limits(file, number, "hour"), _limits(file, number, "known_at")[1])
            for number in range(file.num_row_groups)
        )


def _limits(file: pa.parquet.ParquetFile, group: int, column: str) -> tuple[int, int]:
    """Least and greatest time of a column, by what the file says of a group of rows."""
    place = file.schema_arrow.get_field_index(column)
    about = file.metadata.row_group(group).column(place).statistics
    if about is None or not about.has_min_max:
        bounds = np.iinfo(np.int64)
        return bounds.min // 2, bounds.max // 2
    return _micros(pd.Timestamp(about.min)), _micros(pd.Timestamp(about.max))


def _micros_of(times: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy())


def _coverages(manifest: Manifest, table: EventTable) -> list[Coverage]:
    return [b.coverage for b in manifest.of_table(table.name) if b.coverage is not None]


def _cover(
    covered: np.ndarray, coverages: Iterable[Coverage], window: Window, dims: Sequence[str]
) -> None:
    # A year of deliveries names the same labels every day.
    blocks: dict[tuple[tuple[str, ...], ...], np.ndarray] = {}
    for coverage in coverages:
        named = tuple(coverage.labels.get(dim, ()) for dim in dims[:-1])
        if named not in blocks:
            block = np.ones((), dtype=bool)
            for dim, names in zip(dims[:-1], map(set, named), strict=True):
                inside = np.array([label in names for label in window.labels[dim]], dtype=bool)
                block = block[..., None] & inside
            blocks[named] = block[..., None]
        start, end = pd.Timestamp(coverage.start), pd.Timestamp(coverage.end)
        hours = slice(
            int(window.hours.searchsorted(start)), int(window.hours.searchsorted(end, "right"))
        )
        covered[..., hours] |= blocks[named]


def _group_places(groups: Groups, dims: Sequence[str]) -> tuple[np.ndarray, ...]:
    return np.ix_(*(groups.codes[dim] for dim in dims[:-1]), groups.hours)


def _all_of(cells: np.ndarray, groups: Groups, dims: Sequence[str]) -> np.ndarray:
    """Whether every cell of a group is true; a group without cells is not."""
    if cells.shape == groups.shape(dims) and _is_identity(groups):
        return cells
    at = _group_places(groups, dims)
    result = np.ones(groups.shape(dims), dtype=bool)
    np.logical_and.at(result, at, cells)
    return result


def _sum_of(cells: np.ndarray, groups: Groups, dims: Sequence[str]) -> np.ndarray:
    if cells.shape == groups.shape(dims) and _is_identity(groups):
        return cells
    result = np.zeros(groups.shape(dims))
    np.add.at(result, _group_places(groups, dims), cells)
    return result


def _is_identity(groups: Groups) -> bool:
    codes = (*groups.codes.values(), groups.hours)
    return all(np.array_equal(code, np.arange(len(code))) for code in codes)
