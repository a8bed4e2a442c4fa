"""Axes: pandas indexes interned by content.

Two equal indexes give the same `Axis` object, so that an operation between aligned operands
checks identity (tens of nanoseconds) where ``Index.equals`` costs microseconds. Axes are held
weakly: label sets that nobody uses any more leave no trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.tensor._errors import AlignmentError


class Named(Protocol):
    """Whatever carries a name, such as `dagcast_core.Dim`."""

    @property
    def name(self) -> str:
        """The name of the dimension."""


DimLike: TypeAlias = str | Named
Positions: TypeAlias = npt.NDArray[np.int64]


def dim_name(dim: DimLike) -> str:
    """The name of a dim given as text or as a `Dim`.

    Example:
        >>> dim_name("region")
        'region'
    """
    return dim if isinstance(dim, str) else dim.name


@final
class Axis:
    """One named dimension and its labels; one object per content.

    Attributes:
        dim: name of the dimension.
        size: number of labels.
        kind: what the labels are; only labels of like kinds can be compared.
        key: what makes two axes the same: kind of storage, and content.
    """

    __slots__ = ("__weakref__", "_index", "_lookup", "_make", "dim", "key", "kind", "size")

    def __init__(
        self, dim: str, kind: str, key: tuple[Any, ...], size: int, make: Callable[[], pd.Index]
    ) -> None:
        self.dim = dim
        self.kind = kind
        self.key = key
        self.size = size
        self._make: Callable[[], pd.Index] | None = make
        self._index: pd.Index | None = None
        self._lookup: dict[Any, int] | None = None

    @property
    def index(self) -> pd.Index:
        """The labels, named after the dimension.

        pandas needs longer to make an index than a small join takes altogether, so it is made
        when somebody first looks.
        """
        if self._index is None:
            assert self._make is not None
            self._index = self._make()
            self._make = None
            _remember(self.dim, self._index, self)
        return self._index

    @property
    def unique(self) -> bool:
        """Whether no label occurs twice."""
        return len(self.lookup()) == self.size

    def lookup(self) -> dict[Any, int]:
        """Position by comparable label value; the last of duplicates wins."""
        if self._lookup is None:
            values = comparable(self)
            items = values.tolist() if isinstance(values, np.ndarray) else values
            self._lookup = {label: position for position, label in enumerate(items)}
        return self._lookup

    def duplicates(self) -> pd.Index:
        """Labels that occur more than once, each shown once."""
        return self.index[self.index.duplicated()].unique()

    def taken(self, positions: Positions) -> Axis:
        """The axis with the labels at some positions, in that order."""
        storage, content = self.key[0], self.key[1]
        if storage not in _PLAIN:
            return intern_axis(self.dim, self.index.take(positions))
        if isinstance(content, tuple):
            content = tuple([content[position] for position in positions.tolist()])
        else:
            numbers = np.frombuffer(content, dtype=_PLAIN[storage])
            content = numbers[positions].tobytes()
        key = (storage, content, *self.key[2:])

        def make() -> pd.Index:
            return self.index.take(positions)

        return _interned(self.dim, self.kind, key, positions.size, make)


# Keys hold their content strongly, axes are held weakly: an entry dies with its last user.
_AXES: weakref.WeakValueDictionary[tuple[str, tuple[Any, ...]], Axis] = (
    weakref.WeakValueDictionary()
)
# Indexes already seen, by identity. The weak reference guards against a reused id.
_SEEN: dict[tuple[str, int], tuple[weakref.ref[pd.Index], weakref.ref[Axis]]] = {}


def intern_axis(dim: str, labels: object) -> Axis:
    """The one `Axis` for these labels under this dim.

    Args:
        dim: name of the dimension.
        labels: an `Axis`, a pandas Index, or anything that makes one.

    Returns:
        An axis equal in content; the same object for equal labels.

    Raises:
        AlignmentError: labels are missing (NaN, NaT, None) or of mixed kinds.

    Example:
        >>> intern_axis("region", ["SFO", "LAX"]) is intern_axis("region", ("SFO", "LAX"))
        True
    """
    if isinstance(labels, Axis):
        if labels.dim == dim:
            return labels
        index = labels.index
    elif isinstance(labels, pd.Index):
        seen = _SEEN.get((dim, id(labels)))
        if seen is not None and seen[0]() is labels:
            known = seen[1]()
            if known is not None:
                return known
        index = labels
    else:
        index = _as_index(dim, labels)
    kind, key = _content(dim, index)
    axis = _interned(dim, kind, key, len(index), lambda: _canonical(dim, index))
    if isinstance(labels, pd.Index):
        _remember(dim, labels, axis)
    return axis


def _interned(
    dim: str, kind: str, key: tuple[Any, ...], size: int, make: Callable[[], pd.Index]
) -> Axis:
    axis = _AXES.get((dim, key))
    if axis is None:
        axis = _AXES[(dim, key)] = Axis(dim, kind, key, size, make)
    return axis


def _remember(dim: str, index: pd.Index, axis: Axis) -> None:
    place = (dim, id(index))
    pop = _SEEN.pop
    _SEEN[place] = (weakref.ref(index, lambda _: pop(place, None)), weakref.ref(axis))


def _as_index(dim: str, labels: object) -> pd.Index:
    if isinstance(labels, (str, bytes)):
        raise AlignmentError(
            f"cannot label {dim!r} with the text {labels!r}: labels are a list. "
            f"Write [{labels!r}].",
            dim=dim,
        )
    if isinstance(labels, pd.Series):
        return pd.Index(labels.array)
    if not isinstance(labels, (np.ndarray, pd.api.extensions.ExtensionArray)):
        if not isinstance(labels, Iterable):
            raise AlignmentError(
                f"cannot label {dim!r} with {labels!r}: labels are a list or a pandas Index.",
                dim=dim,
            )
        labels = list(labels)
        if labels and all(isinstance(label, tuple) for label in labels):
            return pd.MultiIndex.from_tuples(labels)
    return pd.Index(labels)


def _content(dim: str, index: pd.Index) -> tuple[str, tuple[Any, ...]]:
    """What kind of labels these are, and a key that equal labels share."""
    if isinstance(index, pd.MultiIndex):
        levels = [
            _content(f"{dim}.{name or level}", index.get_level_values(level))
            for level, name in enumerate(index.names)
        ]
        parts = zip(index.names, levels, strict=True)
        kind = "tuple of " + ", ".join(f"{name} ({part[0]})" for name, part in parts)
        return kind, ("multi", tuple(index.names), tuple(part[1] for part in levels))
    dtype = index.dtype
    if isinstance(dtype, pd.StringDtype):
        stored = index.array
        # Arrow's own conversion takes a third of the time of pandas'.
        arrow = stored.__arrow_array__() if dtype.storage == "pyarrow" else None
        labels = tuple(stored.tolist() if arrow is None else arrow.to_pylist())
        if _all_text(labels):
            return "str", (f"str {dtype.storage} {dtype.na_value}", labels)
    if index.hasnans:
        raise AlignmentError(
            f"cannot label {dim!r}: {int(np.count_nonzero(index.isna()))} of {len(index)} labels "
            "are missing (NaN, NaT or None), and a missing label matches nothing. "
            "Drop or name them first.",
            dim=dim,
            left=index,
        )
    if isinstance(index, pd.DatetimeIndex):
        kind = "naive time" if index.tz is None else "aware time"
        return kind, ("time", index.asi8.tobytes(), str(index.dtype))
    if isinstance(index, pd.TimedeltaIndex):
        return "timedelta", ("time", index.asi8.tobytes(), str(index.dtype))
    if isinstance(index, pd.PeriodIndex):
        kind = f"period {index.freqstr}"
        return kind, ("time", index.asi8.tobytes(), kind)
    if isinstance(index, pd.CategoricalIndex):
        kind, key = _content(dim, index.categories)
        return kind, ("category", index.ordered, key, np.asarray(index.codes).tobytes())
    if isinstance(index, pd.IntervalIndex):
        ends = (_content(dim, index.left)[1], _content(dim, index.right)[1])
        return f"interval {index.closed}", ("interval", index.closed, *ends)
    if index.dtype == bool or isinstance(index.dtype, pd.BooleanDtype):
        return "bool", ("bool", np.asarray(index, dtype=bool).tobytes())
    if pd.api.types.is_numeric_dtype(index.dtype):
        numbers = _numbers(index)
        kind = "float" if numbers.dtype.kind == "f" else "int"
        return kind, (numbers.dtype.str, numbers.tobytes())
    return _content_of_objects(dim, index)


def _content_of_objects(dim: str, index: pd.Index) -> tuple[str, tuple[Any, ...]]:
    labels = tuple(index.tolist())
    if _all_text(labels):
        return "str", (f"str {index.dtype}", labels)
    kinds = sorted({type(label).__name__ for label in labels})
    inferred = pd.api.types.infer_dtype(index, skipna=False)
    if len(kinds) > 1:
        raise AlignmentError(
            f"cannot label {dim!r} with labels of mixed kinds ({', '.join(kinds)}): "
            "they cannot be compared. Convert them to one kind.",
            dim=dim,
            left=index,
        )
    kind = {"integer": "int", "floating": "float", "boolean": "bool"}.get(inferred, inferred)
    if kind.startswith("mixed"):
        kind = kinds[0]
    return kind, ("object", labels, kind)


def _canonical(dim: str, index: pd.Index) -> pd.Index:
    """Labels in one deterministic form.

    A RangeIndex becomes plain integers and a freq is forgotten: equal labels share one axis,
    and which of two equal indexes came first must not be visible.
    """
    if isinstance(index, pd.MultiIndex):
        return index
    if isinstance(index, pd.DatetimeIndex):
        return pd.DatetimeIndex(index, name=dim, freq=None)  # type: ignore[arg-type]
    if isinstance(index, pd.TimedeltaIndex):
        return pd.TimedeltaIndex(index, name=dim, freq=None)  # type: ignore[arg-type]
    if index.dtype != object and pd.api.types.is_bool_dtype(index.dtype):
        return _new_index(np.asarray(index, dtype=bool), dim)
    if pd.api.types.is_numeric_dtype(index.dtype) and not isinstance(
        index, (pd.CategoricalIndex, pd.IntervalIndex)
    ):
        return _new_index(_numbers(index), dim)
    return index.rename(dim)


def _new_index(values: npt.NDArray[Any], dim: str) -> pd.Index:
    index: pd.Index = pd.Index(values, name=dim)
    return index


def _numbers(index: pd.Index) -> npt.NDArray[Any]:
    numbers = index.to_numpy()
    if numbers.dtype.kind not in "iuf":
        # Nullable extension types without missing values are plain numbers.
        numbers = index.to_numpy(dtype=np.dtype(str(index.dtype).split("[")[0].lower()))
    if numbers.dtype.kind == "f":
        numbers = numbers + numbers.dtype.type(0)  # -0.0 becomes 0.0: they are the same label
    return numbers


def _all_text(labels: tuple[Any, ...]) -> bool:
    return set(map(type, labels)) <= {str}


# Storages whose content can be taken from by position.
_PLAIN: dict[str, Any] = {
    "time": np.dtype(np.int64),
    "bool": np.dtype(bool),
    "object": None,
    "str object": None,
    **{
        np.dtype(kind).str: np.dtype(kind)
        for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    },
    **{
        f"str {storage} {missing}": None
        for storage in ("python", "pyarrow")
        for missing in (np.nan, pd.NA)
    },
}


def comparable(axis: Axis) -> npt.NDArray[Any] | Sequence[Any]:
    """Label values that compare equal where the labels mean the same.

    Times become integer nanoseconds of UTC, so that units and zones do not matter.

    Example:
        >>> comparable(intern_axis("n", [3, 5])).tolist()
        [3, 5]
    """
    if axis.key[0] != "object" and isinstance(axis.key[1], tuple) and axis.kind == "str":
        labels: tuple[Any, ...] = axis.key[1]
        return labels
    index = axis.index
    if isinstance(index, pd.MultiIndex):
        return list(
            zip(
                *(_values(index.get_level_values(level)) for level in range(index.nlevels)),
                strict=True,
            )
        )
    return _values(index)


def _values(index: pd.Index) -> npt.NDArray[Any] | list[Any]:
    if isinstance(index, pd.CategoricalIndex):
        categories = _values(index.categories)
        if isinstance(categories, np.ndarray):
            return categories[np.asarray(index.codes)]
        return [categories[code] for code in index.codes]
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        return index.as_unit("ns").asi8
    if isinstance(index, pd.PeriodIndex):
        return index.asi8
    if index.dtype.kind in "iufb" and isinstance(index.dtype, np.dtype):
        return index.to_numpy()
    return index.tolist()
