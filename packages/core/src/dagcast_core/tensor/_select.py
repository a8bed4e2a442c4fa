"""Selecting by label and by position."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor._align import broadcast_to
from dagcast_core.tensor._base import Labelled, call_name, new, wrap
from dagcast_core.tensor._errors import AlignmentError, LabelError
from dagcast_core.tensor._gather import gather
from dagcast_core.tensor._index import Axis, DimLike, Positions, dim_name, intern_axis
from dagcast_core.tensor._layout import remember_pick
from dagcast_core.tensor._locate import (
    as_label,
    label_slice,
    locate,
    locate_all,
    shown,
    with_levels_of,
)
from dagcast_core.tensor._match import match
from dagcast_core.tensor._plan import take_or_fill, take_step
from dagcast_core.tensor._settings import COVERING

T = TypeVar("T", bound=Labelled)


class Select(Labelled):
    """How an `IndexTensor` is selected from."""

    __slots__ = ()

    def sel(self, by: Mapping[Any, Any] | None = None, /, **labels: Any) -> Self:
        """Select by label.

        A single label drops its dim; a slice includes both ends; a list keeps its own order; a
        boolean (an IndexTensor over the dim, or one value per label) keeps what is true. An
        IndexTensor of integers gathers: every value is a label, looked up where it stands, and
        the dims it shares with this tensor are matched.

        Args:
            by: labels by dim or `Dim`, where a keyword will not do.
            labels: labels by name of dim.

        Returns:
            The selection, under the same name.

        Raises:
            LabelError: a label or a dim does not exist.
            AlignmentError: labels are ambiguous or of another kind.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 3.0], {"hour": [0, 1, 2]}, "rides")
            >>> a.sel(hour=1).item(), a.sel(hour=slice(1, 2)).tolist()
            (2.0, [2.0, 3.0])
            >>> a.sel(hour=[2, 0]).tolist(), a.sel(hour=a > 1.5).tolist()
            ([3.0, 1.0], [2.0, 3.0])
            >>> when = IndexTensor([2, 2, 0], {"region": ["SFO", "LAX", "SEA"]})
            >>> a.sel(hour=when).tolist()
            [3.0, 3.0, 1.0]
        """
        if by is None:
            for dim, label in labels.items():
                kind = label.__class__
                if kind is slice:
                    key = (label.start, label.stop, label.step)
                elif kind is list:
                    key = tuple(label)
                else:
                    key = label
                try:
                    index, layout, known = self._layout.picks[dim][key]
                except (KeyError, TypeError):  # not selected before, or not hashable
                    break
                if known is not kind or len(labels) > 1:
                    break
                out = new(self.__class__)
                out._tensor = index(self._tensor) if kind is list else self._tensor[index]
                out._layout = layout
                out._name = self._name
                return out
        out = self
        for dim, label in named_items(by, labels):
            out = _select(out, dim, label)
        return out

    def isel(self, by: Mapping[Any, Any] | None = None, /, **positions: Any) -> Self:
        """Select by position: a number drops its dim, a slice excludes its end, a list keeps order.

        Args:
            by: positions by dim or `Dim`.
            positions: positions by name of dim.

        Raises:
            LabelError: a position or a dim does not exist.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 3.0], {"hour": [0, 1, 2]})
            >>> a.isel(hour=-1).item(), a.isel(hour=slice(0, 2)).tolist()
            (3.0, [1.0, 2.0])
        """
        out = self
        for dim, position in named_items(by, positions):
            out = _select_positions(out, dim, position)
        return out

    def reindex(
        self,
        by: Mapping[Any, Any] | None = None,
        /,
        fill: float | None = None,
        tolerance: float | None = None,
        **labels: Any,
    ) -> Self:
        """The same values under exactly the labels given, in their order.

        Args:
            by: labels by dim or `Dim`.
            fill: value of labels that are new; without it a new label raises.
            tolerance: largest distance of equal float labels.
            labels: labels by name of dim.

        Raises:
            LabelError: a label is missing and there is no fill.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> a.reindex(region=["LAX", "SEA"], fill=0.0).tolist()
            [2.0, 0.0]
        """
        out = self
        for dim, wanted in named_items(by, labels):
            out = _reindex(out, dim, wanted, fill, 0.0 if tolerance is None else tolerance)
        return out

    def reindex_like(self, other: Labelled, fill: float | None = None) -> Self:
        """The same values under another tensor's labels along the dims they share.

        Args:
            other: whose labels to take.
            fill: value of labels that are new; without it a new label raises.

        Raises:
            LabelError: a label is missing and there is no fill.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> a.reindex_like(a.isel(region=[1])).tolist()
            [2.0]
        """
        shared = {a.dim: a for a in other._layout.axes if a.dim in self._layout.where}
        return self.reindex(shared, fill=fill)

    def head(self, count: int, dim: DimLike) -> Self:
        """The first labels along a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"hour": [0, 1]}).head(1, "hour").tolist()
            [1.0]
        """
        return self.isel({dim: slice(0, count)})


def named_items(by: Mapping[Any, Any] | None, named: Mapping[str, Any]) -> list[tuple[str, Any]]:
    items = [] if by is None else [(dim_name(dim), value) for dim, value in by.items()]
    return items + list(named.items())


def pick(value: T, dim: int, positions: Positions, axis: Axis | None = None) -> T:
    """Keep positions along a dim, with their labels.

    Example:
        >>> import numpy as np
        >>> from dagcast_core.tensor import IndexTensor
        >>> pick(IndexTensor([1.0, 2.0], {"n": [1, 2]}), 0, np.array([1])).tolist()
        [2.0]
    """
    old = value._layout.axes[dim]
    axis = old.taken(positions) if axis is None else axis
    step = take_step(dim, positions, old.size)
    tensor = value._tensor if step is None else step(value._tensor)
    return wrap(value, tensor, value._layout.replaced(dim, axis), value._name)


def _select(value: Any, dim: str, label: Any) -> Any:
    attempt = f"cannot select {dim}={shown(label)} from {call_name(value)}"
    position = value._layout.position(dim, attempt)
    axis = value._layout.axes[position]
    if isinstance(label, Labelled):
        if label._tensor.dtype == torch.bool:
            return _select_where(value, position, label, attempt)
        return gather(value, position, label, attempt)
    if isinstance(label, slice):
        span = label_slice(axis, label, attempt)
        return _keep_run(value, position, span, label)
    if _is_scalar(axis, label):
        found = locate(axis, label, attempt)
        layout = value._layout.without((position,))
        index = (*([slice(None)] * position), found) if position else found
        if isinstance(label, Hashable):
            entry = (index, layout, label.__class__)
            remember_pick(value._layout, dim, label, entry)
        return wrap(value, value._tensor[index], layout, value._name)
    return _select_list(value, position, axis, label, attempt)


def _keep_run(value: Any, position: int, span: tuple[int, int], label: slice) -> Any:
    start, length = span
    old = value._layout.axes[position]
    if length == old.size:
        return value
    axis = old.taken(np.arange(start, start + length))
    layout = value._layout.replaced(position, axis)
    run = slice(start, start + length)
    index = (*([slice(None)] * position), run) if position else run
    key = (label.start, label.stop, label.step)
    if all(isinstance(end, Hashable) for end in key):
        remember_pick(value._layout, old.dim, key, (index, layout, slice))
    return wrap(value, value._tensor[index], layout, value._name)


def _is_scalar(axis: Axis, label: Any) -> bool:
    if isinstance(axis.index, pd.MultiIndex):
        return isinstance(label, tuple)
    if isinstance(label, torch.Tensor):
        return label.dim() == 0
    if isinstance(label, np.ndarray):
        return label.ndim == 0
    return isinstance(label, (str, bytes)) or not hasattr(label, "__len__")


def _select_list(value: Any, position: int, axis: Axis, labels: Any, attempt: str) -> Any:
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    if isinstance(labels, pd.Series) and labels.dtype == bool:
        covering = labels.reindex(axis.index)
        if covering.isna().any():
            raise AlignmentError(f"{attempt}: the mask does not cover every label.", dim=axis.dim)
        labels = covering.to_numpy(dtype=bool)
    wanted = labels if isinstance(labels, pd.Index) else None
    if wanted is None:
        listed = list(labels) if not isinstance(labels, (np.ndarray, pd.Series)) else labels
        if len(listed) and axis.kind != "bool" and np.asarray(listed).dtype == bool:
            mask = np.asarray(listed, dtype=bool)
            if mask.size != axis.size:
                raise AlignmentError(
                    f"{attempt}: {mask.size} booleans for {axis.size} labels.", dim=axis.dim
                )
            return pick(value, position, np.flatnonzero(mask))
        if axis.kind.endswith(" time"):
            listed = [as_label(axis, label, attempt) for label in listed]
        wanted = pd.Index(listed, dtype=axis.index.dtype if len(listed) == 0 else None)
    target = intern_axis(axis.dim, with_levels_of(axis, wanted))
    positions = locate_all(axis, target, attempt)
    layout = value._layout.replaced(position, axis.taken(positions))
    step = take_step(position, positions, axis.size) or (lambda tensor: tensor)
    if type(labels) is list and all(type(label) is str for label in labels):
        # Text equals nothing but the same text; 1, 1.0 and True would share an entry.
        remember_pick(value._layout, axis.dim, tuple(labels), (step, layout, list))
    return wrap(value, step(value._tensor), layout, value._name)


def _select_where(value: Any, position: int, mask: Labelled, attempt: str) -> Any:
    axis = value._layout.axes[position]
    if mask.dims != (axis.dim,):
        raise AlignmentError(
            f"{attempt}: a boolean selection has the dim {axis.dim!r} alone; this one has "
            f"{mask.dims}. Use where() to mask single cells.",
            dim=axis.dim,
        )
    target = value._layout.without(i for i in range(value.ndim) if i != position)
    covering = broadcast_to(mask, target, COVERING, "select")
    return pick(value, position, np.flatnonzero(covering.cpu().numpy()))


def _select_positions(value: Any, dim: str, chosen: Any) -> Any:
    attempt = f"cannot select position {dim}={shown(chosen)} from {call_name(value)}"
    position = value._layout.position(dim, attempt)
    axis = value._layout.axes[position]
    if isinstance(chosen, slice):
        return pick(value, position, np.arange(axis.size, dtype=np.int64)[chosen])
    if isinstance(chosen, Labelled):
        chosen = chosen.values(dim).cpu().numpy()
    array = np.asarray(chosen)
    if array.dtype == bool:
        if array.shape != (axis.size,):
            raise AlignmentError(f"{attempt}: one boolean per label is needed ({axis.size}).")
        return pick(value, position, np.flatnonzero(array))
    if array.size == 0:
        return pick(value, position, np.zeros(0, dtype=np.int64))
    if array.dtype.kind not in "iu":
        raise TypeError(f"{attempt}: positions are whole numbers.")
    if (array < -axis.size).any() or (array >= axis.size).any():
        raise LabelError(f"{attempt}: {dim!r} has {axis.size} labels.", dim=dim)
    array = np.where(array < 0, array + axis.size, array).astype(np.int64)
    if array.ndim == 0:
        layout = value._layout.without((position,))
        return wrap(value, value._tensor.select(position, int(array)), layout, value._name)
    return pick(value, position, array)


def _reindex(value: Any, dim: str, labels: Any, fill: float | None, tolerance: float) -> Any:
    attempt = f"cannot reindex {dim} of {call_name(value)}"
    position = value._layout.position(dim, attempt)
    axis = value._layout.axes[position]
    target = intern_axis(dim, labels)
    target = intern_axis(dim, with_levels_of(axis, target.index))
    if target is axis:
        return value
    if fill is None:
        positions = locate_all(axis, target, attempt, tolerance)
        return pick(value, position, positions, target)
    positions = match(target, axis, attempt.removeprefix("cannot "), ("wanted", "given"), tolerance)
    layout = value._layout.replaced(position, target)
    if (positions < 0).any():
        step = take_or_fill(position, positions, axis.size, fill)
        return wrap(value, step(value._tensor), layout, value._name)
    return pick(value, position, positions, target)
