"""Layouts: the dims and labels of a tensor, one object per content.

An operation between operands of one layout needs no alignment at all, and `is` says so.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, final

import pandas as pd

from dagcast_core.tensor._errors import AlignmentError, LabelError
from dagcast_core.tensor._index import Axis, DimLike, dim_name, intern_axis

_CACHE_LIMIT = 512


@final
class Layout:
    """The axes of a tensor, in order.

    Attributes:
        axes: one per dim.
        dims: their names.
        shape: their sizes.
        where: position of each dim by name.
        memo: what operations have derived from this layout, bounded.
        picks: selections made before, by dim and label: (index of the raw tensor, or step that
            takes a list; layout of the result; type of the label), bounded.
        folds: reductions made before, by dims: (positions, layout of the result, the positions as
            torch takes them most quickly), bounded.
        recent: the last partner, the settings and the plan by which it was joined. A model
            repeats the same operations, so that this one entry answers most of them.
    """

    __slots__ = (
        "__weakref__",
        "axes",
        "dims",
        "folds",
        "memo",
        "picks",
        "recent",
        "shape",
        "where",
    )

    def __init__(self, axes: tuple[Axis, ...]) -> None:
        self.axes = axes
        # Lists first: they are built twice as fast as generators, and this runs for every layout.
        self.dims = tuple([axis.dim for axis in axes])
        self.shape = tuple([axis.size for axis in axes])
        self.where = {dim: position for position, dim in enumerate(self.dims)}
        self.memo: dict[Any, Any] = {}
        self.picks: dict[str, dict[Any, tuple[Any, Layout, type]]] = {}
        self.folds: dict[tuple[Any, ...], tuple[tuple[int, ...], Layout, Any]] = {}
        self.recent: tuple[Any, Any, Any] = (None, None, None)

    def position(self, dim: DimLike, attempt: str = "") -> int:
        """Position of a dim.

        Raises:
            LabelError: there is no such dim.
        """
        name = dim_name(dim)
        found = self.where.get(name)
        if found is None:
            raise LabelError(
                f"{attempt or f'cannot use dim {name!r}'}: no dim {name!r}; "
                f"the dims are {', '.join(map(repr, self.dims)) or 'none (a scalar)'}.",
                dim=name,
            )
        return found

    def axis(self, dim: DimLike) -> Axis:
        """The axis of a dim."""
        return self.axes[self.position(dim)]

    def without(self, positions: Iterable[int]) -> Layout:
        """The layout that remains when dims are taken away."""
        gone = set(positions)
        return intern_layout(tuple(a for i, a in enumerate(self.axes) if i not in gone))

    def replaced(self, position: int, axis: Axis) -> Layout:
        """The layout with another axis at one position."""
        return intern_layout((*self.axes[:position], axis, *self.axes[position + 1 :]))


def remember_pick(layout: Layout, dim: str, key: object, entry: tuple[Any, Layout, type]) -> None:
    """Keep a selection along a dim.

    Example:
        >>> layout = layout_of({"n": [1]})
        >>> remember_pick(layout, "n", 1, (0, layout.without((0,)), int))
    """
    remember(layout.picks.setdefault(dim, {}), key, entry)


def remember(cache: dict[Any, Any], key: object, value: Any) -> None:
    """Keep a derived value, forgetting all others when the cache is full.

    Example:
        >>> cache = {}
        >>> remember(cache, "a", 1)
        >>> cache
        {'a': 1}
    """
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value


_LAYOUTS: weakref.WeakValueDictionary[tuple[Axis, ...], Layout] = weakref.WeakValueDictionary()


def intern_layout(axes: tuple[Axis, ...]) -> Layout:
    """The one `Layout` of these axes.

    Raises:
        AlignmentError: two axes share a name.

    Example:
        >>> axes = (intern_axis("region", ["SFO"]),)
        >>> intern_layout(axes) is intern_layout(axes)
        True
    """
    layout = _LAYOUTS.get(axes)
    if layout is None:
        layout = Layout(axes)
        if len(layout.where) < len(axes):
            repeated = sorted({d for d in layout.dims if layout.dims.count(d) > 1})
            raise AlignmentError(
                f"cannot use the dim {', '.join(map(repr, repeated))} twice: "
                f"every dim has a unique name; found {layout.dims}. Rename one of them."
            )
        _LAYOUTS[axes] = layout
    return layout


Indexes = Mapping[Any, Any]
SCALAR = intern_layout(())


def layout_of(indexes: Indexes) -> Layout:
    """The layout for labels by dim, in order.

    Args:
        indexes: labels by name or by `Dim`; an order of dims is the order of the tensor.

    Returns:
        The interned layout.

    Raises:
        AlignmentError: a dim has no name, or labels are unusable.

    Example:
        >>> layout_of({"region": ["SFO", "LAX"], "hour": range(3)}).shape
        (2, 3)
    """
    if not isinstance(indexes, Mapping):
        raise AlignmentError(
            f"cannot label a tensor with a {type(indexes).__name__}: "
            "give a mapping from each dim to its labels, in the tensor's order."
        )
    axes = []
    for dim, labels in indexes.items():
        name = dim_name(dim)
        if not isinstance(name, str) or not name:
            raise AlignmentError(f"cannot name a dim {name!r}: the name of a dim is text.")
        axes.append(intern_axis(name, labels))
    return intern_layout(tuple(axes))


def as_index_mapping(layout: Layout) -> dict[str, pd.Index]:
    """Labels by dim, in order.

    Example:
        >>> list(as_index_mapping(layout_of({"region": ["SFO"]})))
        ['region']
    """
    return {axis.dim: axis.index for axis in layout.axes}
