"""Dims and labels rearranged."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from dagcast_core.tensor._align import conform
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError, LabelError
from dagcast_core.tensor._index import DimLike, dim_name, intern_axis
from dagcast_core.tensor._layout import intern_layout, layout_of
from dagcast_core.tensor._match import check_unique
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
