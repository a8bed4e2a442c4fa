"""Dense tensors from tables with one row per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from dagcast_core.tensor._base import Labelled
from dagcast_core.tensor._errors import AlignmentError, show_label
from dagcast_core.tensor._index import Axis, comparable, intern_axis
from dagcast_core.tensor._layout import as_index_mapping, intern_layout

T = TypeVar("T", bound=Labelled)


def from_columns(
    cls: type[T],
    columns: Mapping[str, pd.Index],
    values: npt.NDArray[Any],
    name: str | None,
    labels: Mapping[str, Any] | None,
    fill: float | None,
) -> T:
    """A dense tensor from one column of labels per dim and one of values.

    Args:
        cls: what to make.
        columns: label of every row, by dim.
        values: value of every row.
        name: name of the tensor.
        labels: labels by dim, where not all that occur are wanted.
        fill: value of cells without a row.

    Raises:
        AlignmentError: a cell is missing or occurs twice, or a label is missing.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> columns = {"region": pd.Index(["SFO", "LAX"])}
        >>> from_columns(IndexTensor, columns, np.ones(2), None, None, None).tolist()
        [1.0, 1.0]
    """
    shown = name or "the table"
    axes, codes = [], []
    for dim, column in columns.items():
        column = pd.Index(column)
        if labels is not None and dim in labels:
            axis = intern_axis(dim, labels[dim])
        else:
            present = column.unique()
            if isinstance(present, (pd.DatetimeIndex, pd.PeriodIndex)):
                present = present.sort_values()
            axis = intern_axis(dim, present)
        axes.append(axis)
        codes.append(_codes(axis, column, shown))
    layout = intern_layout(tuple(axes))
    inside = np.ones(len(values), dtype=bool)
    for code in codes:
        inside &= code >= 0
    cell = np.zeros(len(values), dtype=np.int64)
    for axis, code in zip(axes, codes, strict=True):
        cell = cell * axis.size + code
    cell, values = cell[inside], np.asarray(values)[inside]
    total = int(np.prod(layout.shape, dtype=np.int64))
    seen = np.bincount(cell, minlength=total)
    if (seen > 1).any():
        raise AlignmentError(
            f"cannot label {shown}: {int((seen > 1).sum())} cells occur more than once, such as "
            f"{_cell_label(axes, int(np.argmax(seen > 1)))}. Aggregate them first, as in "
            f"table.groupby({list(columns)}).sum()."
        )
    if (seen == 0).any() and fill is None:
        raise AlignmentError(
            f"cannot label {shown}: {int((seen == 0).sum())} of {total} cells have no row, such "
            f"as {_cell_label(axes, int(np.argmax(seen == 0)))}. Say what they hold with fill=..."
        )
    if values.dtype == object or values.dtype.kind not in "biuf":
        values = values.astype(np.float64)
    dtype = values.dtype if fill is None else np.result_type(values.dtype, fill)
    dense = np.full(total, 0 if fill is None else fill, dtype=dtype)
    dense[cell] = values
    return cls(torch.from_numpy(dense.reshape(layout.shape)), as_index_mapping(layout), name)


def _codes(axis: Axis, column: pd.Index, who: str) -> npt.NDArray[np.int64]:
    """Position of every row's label along a dim; -1 for labels that were not asked for."""
    if column.hasnans:
        raise AlignmentError(
            f"cannot label {who}: {np.count_nonzero(column.isna())} rows have no {axis.dim!r}. "
            "Drop or name them first.",
            dim=axis.dim,
        )
    numbers, present = pd.factorize(column)
    own = intern_axis(axis.dim, pd.Index(present))
    if own.kind != axis.kind and own.size and axis.size:
        raise AlignmentError(
            f"cannot label {who}: its column {axis.dim!r} holds {own.kind} labels such as "
            f"{show_label(own.index[0])}, and the labels asked for are {axis.kind}.",
            dim=axis.dim,
        )
    lookup = axis.lookup()
    found = comparable(own)
    items = found.tolist() if isinstance(found, np.ndarray) else found
    places = np.fromiter((lookup.get(x, -1) for x in items), dtype=np.int64, count=own.size)
    if own.size == 0:
        return np.zeros(0, dtype=np.int64)
    return places[numbers]


def _cell_label(axes: Sequence[Axis], cell: int) -> str:
    parts = []
    for axis in reversed(axes):
        parts.append(f"{axis.dim}={show_label(axis.index[cell % axis.size])}")
        cell //= axis.size
    return ", ".join(reversed(parts))
