"""Dims and labels rearranged; values moved along a dim."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from dagcast_core.tensor._align import conform
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError, LabelError
from dagcast_core.tensor._index import DimLike, check_unique, dim_name, intern_axis, match
from dagcast_core.tensor._layout import Layout, intern_layout, layout_of
from dagcast_core.tensor._plan import take_or_fill
from dagcast_core.tensor._select import named_items, pick


class Reshape(Labelled):
    """How an `IndexTensor` is rearranged."""

    __slots__ = ()

    def rename(self, by: Mapping[Any, Any] | None = None, /, **dims: DimLike) -> Self:
        """Rename dims.

        Args:
            by: new names by old name or `Dim`.
            dims: new names by old name.

        Raises:
            LabelError: there is no such dim.
            AlignmentError: the new name is taken.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).rename(region="origin").dims
            ('origin',)
        """
        new = {old: dim_name(name) for old, name in named_items(by, dims)}
        for old in new:
            self._layout.position(old, f"cannot rename {old!r}")
        axes = tuple(
            intern_axis(new[a.dim], a.index) if a.dim in new else a for a in self._layout.axes
        )
        return wrap(self, self._tensor, intern_layout(axes), self._name)

    def relabel(self, by: Mapping[Any, Any] | None = None, /, **labels: Any) -> Self:
        """Replace labels, keeping the values where they are.

        Args:
            by: new labels by dim or `Dim`.
            labels: by name of dim: a function of one label, a mapping from old to new (labels
                it lacks stay), or all the new labels in order.

        Raises:
            AlignmentError: the number of labels changes.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["sfo", "lax"]})
            >>> a.relabel(region=str.upper).index("region").tolist()
            ['SFO', 'LAX']
            >>> a.relabel(region={"sfo": "SF"}).index("region").tolist()
            ['SF', 'lax']
        """
        layout = self._layout
        for dim, change in named_items(by, labels):
            position = layout.position(dim, f"cannot relabel {dim!r}")
            old = layout.axes[position]
            axis = intern_axis(dim, _changed(old.index, change))
            if axis.size != old.size:
                raise AlignmentError(
                    f"cannot relabel {dim!r} of {call_name(self)}: {axis.size} labels for "
                    f"{old.size} values.",
                    dim=dim,
                )
            layout = layout.replaced(position, axis)
        return wrap(self, self._tensor, layout, self._name)

    def transpose(self, *dims: DimLike) -> Self:
        """The dims in another order; without arguments, reversed.

        Args:
            dims: every dim in the order wanted.

        Raises:
            AlignmentError: other dims than the tensor's are named.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.transpose("hour", "region").tolist()
            [[1.0], [2.0]]
        """
        names = tuple(dim_name(dim) for dim in dims) or self._layout.dims[::-1]
        tensor = self.values(*names)
        layout = intern_layout(tuple(self._layout.axis(name) for name in names))
        return wrap(self, tensor, layout, self._name)

    def expand(self, by: Mapping[Any, Any] | None = None, /, **labels: Any) -> Self:
        """Repeat the values along new dims, which come last; no memory is used.

        Args:
            by: labels by new dim or `Dim`.
            labels: labels by name of the new dim.

        Raises:
            AlignmentError: the dim is there already.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).expand(hour=[0, 1]).tolist()
            [[1.0, 1.0]]
        """
        new = layout_of(dict(named_items(by, labels)))
        layout = intern_layout((*self._layout.axes, *new.axes))
        tensor = self._tensor.reshape(*self._layout.shape, *([1] * len(new.axes)))
        return wrap(self, tensor.expand(layout.shape), layout, self._name)

    def expand_like(self, other: Labelled) -> Self:
        """Repeat the values along the dims of another tensor that are missing here.

        Args:
            other: whose dims to add; the result has the dims of ``other`` in its order.

        Raises:
            AlignmentError: labels of ``other`` are missing here.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> IndexTensor([3.0], {"region": ["SFO"]}).expand_like(a).tolist()
            [[3.0, 3.0]]
        """
        tensor = conform(self, other._layout, f"expand {call_name(self)}")
        return wrap(self, tensor, other._layout, self._name)

    def squeeze(self, *dims: DimLike) -> Self:
        """Drop dims that have a single label; all of them by default.

        Raises:
            AlignmentError: a dim named has several labels.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).squeeze().item()
            1.0
        """
        names = [dim_name(dim) for dim in dims]
        names = names or [axis.dim for axis in self._layout.axes if axis.size == 1]
        positions = [self._layout.position(name, f"cannot squeeze {name!r}") for name in names]
        for position in positions:
            if self._layout.shape[position] != 1:
                raise AlignmentError(
                    f"cannot squeeze {self._layout.dims[position]!r} of {call_name(self)}: it has "
                    f"{self._layout.shape[position]} labels. Select or reduce instead.",
                    dim=self._layout.dims[position],
                )
        layout = self._layout.without(positions)
        return wrap(self, self._tensor.reshape(layout.shape), layout, self._name)

    def sort_labels(self, *dims: DimLike) -> Self:
        """Labels, with their values, in ascending order; along all dims by default.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).sort_labels().tolist()
            [2.0, 1.0]
        """
        out = self
        for dim in dims or self._layout.dims:
            position = self._layout.position(dim)
            order = np.asarray(self._layout.axes[position].index.argsort(), dtype=np.int64)
            out = pick(out, position, order)
        return out

    def unbind(self, dim: DimLike) -> dict[Hashable, Self]:
        """One tensor for each label of a dim, which they lose.

        Returns:
            The tensors by label, in order.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> {label: part.item() for label, part in a.unbind("region").items()}
            {'SFO': 1.0, 'LAX': 2.0}
        """
        position = self._layout.position(dim)
        axis = self._layout.axes[position]
        check_unique(axis, call_name(self), f"cannot unbind {axis.dim!r}")
        layout = self._layout.without((position,))
        parts = self._tensor.unbind(position)
        return {
            label: wrap(self, part, layout, self._name)
            for label, part in zip(axis.index, parts, strict=True)
        }

    def stack(self, by: Mapping[Any, Any] | None = None, /, **dims: Sequence[DimLike]) -> Self:
        """Merge dims into one whose labels are tuples; it comes last.

        Args:
            by: the dims to merge, by new dim.
            dims: the dims to merge, by name of the new dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.stack(cell=("region", "hour")).index("cell").tolist()
            [('SFO', 0), ('SFO', 1)]
        """
        out = self
        for name, merged in named_items(by, dims):
            names = [dim_name(dim) for dim in merged]
            for dim in names:
                out._layout.position(dim, f"cannot stack {dim!r}")
            kept = [dim for dim in out.dims if dim not in names]
            index = pd.MultiIndex.from_product([out.index(dim) for dim in names], names=names)
            axes = (*(out._layout.axis(dim) for dim in kept), intern_axis(name, index))
            layout = intern_layout(axes)
            tensor = out.values(*kept, *names).reshape(layout.shape)
            out = wrap(self, tensor, layout, self._name)
        return out

    def unstack(self, dim: DimLike, fill: float | None = None) -> Self:
        """Split a dim whose labels are tuples into one dim per level, which come last.

        Args:
            dim: dim with a MultiIndex.
            fill: value of combinations that do not occur; without it they raise.

        Raises:
            AlignmentError: the labels are no tuples, or combinations are missing.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.stack(cell=("region", "hour")).unstack("cell").dims
            ('region', 'hour')
        """
        position = self._layout.position(dim)
        axis = self._layout.axes[position]
        index = axis.index
        attempt = f"cannot unstack {axis.dim!r} of {call_name(self)}"
        if not isinstance(index, pd.MultiIndex):
            raise AlignmentError(
                f"{attempt}: its labels are {axis.kind}, not tuples.", dim=dim_name(dim)
            )
        if any(name is None for name in index.names):
            raise AlignmentError(
                f"{attempt}: its levels are called {tuple(index.names)}, and each becomes a dim. "
                "Name them, as in index.set_names([...]).",
                dim=axis.dim,
            )
        levels = [index.get_level_values(level).unique() for level in range(index.nlevels)]
        target = intern_axis(axis.dim, pd.MultiIndex.from_product(levels, names=index.names))
        whole = self
        if target is not axis:
            try:
                whole = self.reindex({axis.dim: target}, fill=fill)  # type: ignore[attr-defined]
            except LabelError as error:
                raise AlignmentError(
                    f"{attempt}: {target.size - axis.size} of {target.size} combinations do not "
                    "occur. Say what they hold, as in unstack(dim, fill=0.0).",
                    dim=axis.dim,
                ) from error
        kept = [name for name in self.dims if name != axis.dim]
        axes = tuple(self._layout.axis(name) for name in kept) + tuple(
            intern_axis(str(name), level) for name, level in zip(index.names, levels, strict=True)
        )
        layout = intern_layout(axes)
        tensor = whole.values(*kept, axis.dim).reshape(layout.shape)
        return wrap(self, tensor, layout, self._name)

    # Values moved along a dim

    def shift(
        self, by: Mapping[Any, Any] | None = None, /, fill: float | None = None, **steps: Any
    ) -> Self:
        """Values moved along a dim whose labels stay.

        A whole number moves by positions; a Timedelta moves by time, whatever gaps there are.

        Args:
            by: steps by dim or `Dim`; positive steps move towards later labels.
            fill: value of the labels that get none; NaN by default for real values.
            steps: steps by name of dim.

        Raises:
            TypeError: whole numbers cannot hold NaN and there is no fill.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"hour": [0, 1]}).shift(hour=1, fill=0.0).tolist()
            [0.0, 1.0]
        """
        out = self
        for dim, step in named_items(by, steps):
            out = _shift(out, dim, step, fill)
        return out

    def diff(self, by: Mapping[Any, Any] | None = None, /, **steps: int) -> Self:
        """Change against the value some positions before; the first labels drop out.

        Args:
            by: steps by dim or `Dim`.
            steps: steps by name of dim, 1 or more.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 4.0], {"hour": [0, 1]}).diff(hour=1).tolist()
            [3.0]
        """
        out = self
        for dim, step in named_items(by, steps):
            position = out._layout.position(dim, f"cannot take differences along {dim!r}")
            axis = out._layout.axes[position]
            if not isinstance(step, (int, np.integer)) or step < 1:
                raise ValueError(f"cannot take differences over {step!r} steps: at least 1.")
            length = max(axis.size - step, 0)
            start = min(int(step), axis.size)
            later = out._tensor.narrow(position, start, length)
            earlier = out._tensor.narrow(position, 0, length)
            layout = out._layout.replaced(position, intern_axis(dim, axis.index[start:]))
            out = wrap(self, later - earlier, layout, self._name)
        return out

    def cumsum(self, dim: DimLike) -> Self:
        """Running sum along a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 4.0], {"hour": [0, 1]}).cumsum("hour").tolist()
            [1.0, 5.0]
        """
        position = self._layout.position(dim)
        return wrap(self, self._tensor.cumsum(position), self._layout, self._name)

    def cumprod(self, dim: DimLike) -> Self:
        """Running product along a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 4.0], {"hour": [0, 1]}).cumprod("hour").tolist()
            [2.0, 8.0]
        """
        position = self._layout.position(dim)
        return wrap(self, self._tensor.cumprod(position), self._layout, self._name)

    def flip(self, dim: DimLike) -> Self:
        """Labels, with their values, in reverse order.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 4.0], {"hour": [0, 1]}).flip("hour").tolist()
            [4.0, 1.0]
        """
        position = self._layout.position(dim)
        size = self._layout.shape[position]
        return pick(self, position, np.arange(size - 1, -1, -1, dtype=np.int64))


def _changed(index: pd.Index, change: Any) -> Any:
    if isinstance(change, Mapping):
        return [change.get(label, label) for label in index]
    if isinstance(change, Callable):  # type: ignore[arg-type]
        return [change(label) for label in index]
    return change


def _shift(value: Any, dim: str, step: Any, fill: float | None) -> Any:
    attempt = f"cannot shift {call_name(value)} along {dim!r}"
    layout: Layout = value._layout
    position = layout.position(dim, attempt)
    axis = layout.axes[position]
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
        positions = _positions_by_time(axis, step, attempt)
    else:
        positions = np.arange(axis.size, dtype=np.int64) - int(step)
        positions[(positions < 0) | (positions >= axis.size)] = -1
    if not (positions < 0).any():
        return pick(value, position, positions, axis)
    if fill is None:
        if not value._tensor.is_floating_point():
            raise TypeError(f"{attempt}: {value.dtype} cannot hold NaN. Give a fill value.")
        fill = float("nan")
    if fill == fill and float(fill).is_integer() and not value._tensor.is_floating_point():
        fill = int(fill)
    moved = take_or_fill(position, positions, axis.size, fill)(value._tensor)
    return wrap(value, moved, layout, value._name)


def _positions_by_time(axis: Any, step: Any, attempt: str) -> Any:
    if not axis.kind.endswith("time"):
        raise TypeError(
            f"{attempt} by {step!r}: labels that are {axis.kind} move by whole numbers of "
            "positions."
        )
    earlier = intern_axis(axis.dim, axis.index - pd.Timedelta(step))
    return match(earlier, axis, attempt.removeprefix("cannot "), ("earlier", "given"), None)
