"""Axes: pandas indexes interned by content, and the matching of their labels.

Two equal indexes give the same `Axis` object, so that an operation between aligned operands
checks identity (tens of nanoseconds) where ``Index.equals`` costs microseconds. Axes are held
weakly: label sets that nobody uses any more leave no trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.tensor._errors import AlignmentError, show_label, show_sides


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
        index: the labels, named after the dimension.
        size: number of labels.
        kind: what the labels are; only labels of like kinds can be compared.
        key: what makes two axes the same.
    """

    __slots__ = ("__weakref__", "_lookup", "_unique", "dim", "index", "key", "kind", "size")

    def __init__(self, dim: str, index: pd.Index, kind: str, key: Hashable) -> None:
        self.dim = dim
        self.index = index
        self.kind = kind
        self.key = key
        self.size = len(index)
        self._lookup: dict[Any, int] | None = None
        self._unique: bool | None = None

    @property
    def unique(self) -> bool:
        """Whether no label occurs twice."""
        if self._unique is None:
            self._unique = bool(self.index.is_unique)
        return self._unique

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


# Keys hold their content strongly, axes are held weakly: an entry dies with its last user.
_AXES: weakref.WeakValueDictionary[tuple[str, Hashable], Axis] = weakref.WeakValueDictionary()
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
    canonical, kind, key = _canonical(dim, index)
    axis = _AXES.get((dim, key))
    if axis is None:
        axis = Axis(dim, canonical, kind, key)
        _AXES[(dim, key)] = axis
        _remember(dim, canonical, axis)
    if isinstance(labels, pd.Index):
        _remember(dim, labels, axis)
    return axis


def _remember(dim: str, index: pd.Index, axis: Axis) -> None:
    place = (dim, id(index))
    _SEEN[place] = (weakref.ref(index, lambda _: _SEEN.pop(place, None)), weakref.ref(axis))


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
    return pd.Index(labels)  # type: ignore[call-overload, no-any-return]


def _canonical(dim: str, index: pd.Index) -> tuple[pd.Index, str, Hashable]:
    """Labels in one deterministic form, their kind and their content key.

    A RangeIndex becomes plain integers and a freq is forgotten: equal labels share one axis,
    and which of two equal indexes came first must not be visible.
    """
    if isinstance(index, pd.MultiIndex):
        return _canonical_multi(dim, index)
    if index.hasnans:
        raise AlignmentError(
            f"cannot label {dim!r}: {int(np.count_nonzero(index.isna()))} of {len(index)} labels "
            "are missing (NaN, NaT or None), and a missing label matches nothing. "
            "Drop or name them first.",
            dim=dim,
            left=index,
        )
    if isinstance(index, pd.DatetimeIndex):
        plain = pd.DatetimeIndex(index, name=dim, freq=None)
        kind = "naive time" if index.tz is None else "aware time"
        return plain, kind, (str(index.dtype), index.asi8.tobytes())
    if isinstance(index, pd.TimedeltaIndex):
        span = pd.TimedeltaIndex(index, name=dim, freq=None)
        return span, "timedelta", (str(index.dtype), index.asi8.tobytes())
    if isinstance(index, pd.PeriodIndex):
        name = f"period {index.freqstr}"
        return index.rename(dim), name, (name, index.asi8.tobytes())
    if isinstance(index, pd.CategoricalIndex):
        _, kind, key = _canonical(dim, index.categories)
        content = ("category", index.ordered, key, np.asarray(index.codes).tobytes())
        return index.rename(dim), kind, content
    if isinstance(index, pd.IntervalIndex):
        ends = (_canonical(dim, index.left)[2], _canonical(dim, index.right)[2])
        return index.rename(dim), f"interval {index.closed}", ("interval", index.closed, *ends)
    if pd.api.types.is_bool_dtype(index.dtype) and index.dtype != object:
        bools = np.asarray(index, dtype=bool)
        return pd.Index(bools, name=dim), "bool", ("bool", bools.tobytes())
    if pd.api.types.is_numeric_dtype(index.dtype):
        return _canonical_numbers(dim, index)
    return _canonical_objects(dim, index)


def _canonical_multi(dim: str, index: pd.MultiIndex) -> tuple[pd.Index, str, Hashable]:
    parts = [
        _canonical(f"{dim}.{name or level}", index.get_level_values(level))
        for level, name in enumerate(index.names)
    ]
    kind = "tuple of " + ", ".join(
        f"{name} ({part[1]})" for name, part in zip(index.names, parts, strict=True)
    )
    key = ("multi", tuple(index.names), tuple(part[2] for part in parts))
    return index, kind, key


def _canonical_numbers(dim: str, index: pd.Index) -> tuple[pd.Index, str, Hashable]:
    numbers = index.to_numpy()
    if numbers.dtype == object or numbers.dtype.kind not in "iuf":
        # Nullable extension types without missing values are plain numbers.
        numbers = index.to_numpy(dtype=np.dtype(str(index.dtype).lower()))
    if numbers.dtype.kind == "f":
        numbers = numbers + numbers.dtype.type(0)  # -0.0 becomes 0.0: they are the same label
        kind = "float"
    else:
        kind = "int"
    return pd.Index(numbers, name=dim), kind, (numbers.dtype.str, numbers.tobytes())


def _canonical_objects(dim: str, index: pd.Index) -> tuple[pd.Index, str, Hashable]:
    labels = tuple(index.tolist())
    if all(type(label) is str for label in labels):
        return index.rename(dim), "str", (str(index.dtype), labels)
    inferred = pd.api.types.infer_dtype(index, skipna=False)
    if inferred.startswith("mixed") and len({type(label) for label in labels}) > 1:
        kinds = sorted({type(label).__name__ for label in labels})
        raise AlignmentError(
            f"cannot label {dim!r} with labels of mixed kinds ({', '.join(kinds)}): "
            "they cannot be compared. Convert them to one kind.",
            dim=dim,
            left=index,
        )
    typed = tuple((type(label).__name__, label) for label in labels)
    return index.rename(dim), inferred, ("object", typed)


def comparable(axis: Axis) -> npt.NDArray[Any] | list[Any]:
    """Label values that compare equal where the labels mean the same.

    Times become integer nanoseconds of UTC, so that units and zones do not matter.

    Example:
        >>> comparable(intern_axis("n", [3, 5])).tolist()
        [3, 5]
    """
    index = axis.index
    if isinstance(index, pd.MultiIndex):
        return list(
            zip(
                *(
                    _values(index.get_level_values(level))
                    for level in range(index.nlevels)
                ),
                strict=True,
            )
        )
    return _values(index)


def _values(index: pd.Index) -> Any:
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


def match(
    left: Axis, right: Axis, attempt: str, names: tuple[str, str], tolerance: float | None
) -> Positions:
    """Where each left label stands in the right axis, -1 where it does not.

    Args:
        left: axis whose labels are looked up.
        right: axis in which they are looked up; same dim.
        attempt: what the user tried, for error messages.
        names: how messages call the two sides.
        tolerance: largest distance between float labels that count as equal.

    Returns:
        One position per left label.

    Raises:
        AlignmentError: labels cannot be compared, occur twice, or are unequal floats.

    Example:
        >>> a, b = intern_axis("n", [1, 2, 3]), intern_axis("n", [3, 1])
        >>> match(a, b, "a + b", ("a", "b"), None).tolist()
        [1, -1, 0]
    """
    _check_comparable(left, right, attempt, names)
    for axis, name in ((left, names[0]), (right, names[1])):
        check_unique(axis, name, f"cannot compute {attempt}")
    floats = "float" in (left.kind, right.kind)
    if floats and tolerance is not None and tolerance > 0:
        return _match_within(left, right, attempt, names, tolerance)
    lookup = right.lookup()
    values = comparable(left)
    items = values.tolist() if isinstance(values, np.ndarray) else values
    get = lookup.get
    positions = np.fromiter(
        (get(label, -1) for label in items), dtype=np.int64, count=left.size
    )
    if floats and tolerance is None:
        matched = int(np.count_nonzero(positions >= 0))
        if matched < left.size or matched < right.size:
            raise AlignmentError(
                f"cannot compute {attempt}:\nfloat labels differ along {left.dim!r}, which may be "
                "rounding or real.\n"
                f"{show_sides((names[0], left.index), (names[1], right.index))}\n"
                "Pass a tolerance (0.0 for exact matches), as in "
                "`with align(\"inner\", tolerance=1e-9):`.",
                dim=left.dim,
                left=left.index,
                right=right.index,
            )
    return positions


def check_unique(axis: Axis, name: str, attempt: str) -> None:
    """Refuse duplicates, which make a look-up ambiguous.

    Raises:
        AlignmentError: a label occurs twice.

    Example:
        >>> check_unique(intern_axis("n", [1, 2]), "a", "cannot reindex a")
    """
    if not axis.unique:
        duplicates = axis.duplicates()
        shown = ", ".join(show_label(label) for label in duplicates[:3])
        more = ", ..." if len(duplicates) > 3 else ""
        raise AlignmentError(
            f"{attempt}: labels of {name} along {axis.dim!r} occur more than once "
            f"({shown}{more}), so a match would be ambiguous.\n"
            f"Combine them first, as in {name}.groupby({axis.dim!r}, lambda label: label).sum().",
            dim=axis.dim,
            left=axis.index,
        )


def _check_comparable(left: Axis, right: Axis, attempt: str, names: tuple[str, str]) -> None:
    if left.kind == right.kind or {left.kind, right.kind} == {"int", "float"}:
        return
    if left.size == 0 or right.size == 0:
        empty = left if left.size == 0 else right
        if empty.index.dtype == object or empty.kind == "str":
            return  # an empty list of labels has no kind
    hint = "Convert one side with relabel()."
    if {left.kind, right.kind} == {"naive time", "aware time"}:
        naive = names[0] if left.kind == "naive time" else names[1]
        hint = (
            f"Time labels are instants: give {naive} a zone, as in "
            f"{naive}.relabel({left.dim}=lambda t: t.tz_localize(\"UTC\"))."
        )
    raise AlignmentError(
        f"cannot compute {attempt}:\nlabels along {left.dim!r} cannot be compared: "
        f"{left.kind} against {right.kind}.\n"
        f"{show_sides((names[0], left.index), (names[1], right.index))}\n{hint}",
        dim=left.dim,
        left=left.index,
        right=right.index,
    )


def _match_within(
    left: Axis, right: Axis, attempt: str, names: tuple[str, str], tolerance: float
) -> Positions:
    wanted = np.asarray(comparable(left), dtype=np.float64)
    given = np.asarray(comparable(right), dtype=np.float64)
    if not given.size:
        return np.full(wanted.size, -1, dtype=np.int64)
    order = np.argsort(given, kind="stable")
    ranked = given[order]
    above = np.searchsorted(ranked, wanted).clip(max=given.size - 1)
    below = (above - 1).clip(min=0)
    nearer_below = np.abs(ranked[below] - wanted) <= np.abs(ranked[above] - wanted)
    nearest = np.where(nearer_below, below, above)
    found = np.abs(ranked[nearest] - wanted) <= tolerance
    positions = np.where(found, order[nearest], -1).astype(np.int64)
    hits = positions[positions >= 0]
    if np.unique(hits).size < hits.size:
        raise AlignmentError(
            f"cannot compute {attempt}:\nwithin the tolerance {tolerance!r}, several labels of "
            f"{names[0]} along {left.dim!r} match one of {names[1]}.\n"
            f"{show_sides((names[0], left.index), (names[1], right.index))}\n"
            "Choose a smaller tolerance.",
            dim=left.dim,
            left=left.index,
            right=right.index,
        )
    return positions
