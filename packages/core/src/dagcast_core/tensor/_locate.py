"""Where labels that a user names stand on an axis."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor._base import Labelled, call_name
from dagcast_core.tensor._errors import AlignmentError, LabelError, show_label, show_sides
from dagcast_core.tensor._index import Axis, Positions
from dagcast_core.tensor._match import check_unique, match

# Kinds of labels that people think of as a line, on which a slice is what lies between its ends.
_LINES = ("aware time", "naive time", "timedelta", "period")


def as_label(axis: Axis, label: Any, attempt: str) -> Any:
    """A label in the axis's own terms: times parsed, numpy and torch scalars unwrapped.

    Raises:
        AlignmentError: a time without a zone for an axis with one, or the reverse.

    Example:
        >>> from dagcast_core.tensor._index import intern_axis
        >>> as_label(intern_axis("n", [1, 2]), np.int64(2), "select")
        2
    """
    if axis.kind in ("aware time", "naive time"):
        try:
            stamp = pd.Timestamp(label)
        except (TypeError, ValueError) as error:
            raise LabelError(
                f"{attempt}: labels along {axis.dim!r} are times, and {shown(label)} is none.",
                dim=axis.dim,
            ) from error
        if (stamp.tzinfo is None) != (axis.kind == "naive time"):
            raise AlignmentError(
                f"{attempt}: labels along {axis.dim!r} are {axis.kind}s, and "
                f"{shown(label)} is {'naive' if stamp.tzinfo is None else 'aware'}. "
                + (
                    "Say which instant is meant, as in '2024-03-10T08:00Z'."
                    if stamp.tzinfo is None
                    else "Leave out its zone."
                ),
                dim=axis.dim,
            )
        return stamp
    if axis.kind == "timedelta":
        return pd.Timedelta(label)
    if axis.kind.startswith("period") and not isinstance(label, pd.Period):
        return pd.Period(label, freq=axis.index.freq)  # type: ignore[attr-defined]
    return label.item() if isinstance(label, (np.generic, np.ndarray, torch.Tensor)) else label


def locate(axis: Axis, label: Any, attempt: str) -> int:
    """Position of one label.

    Raises:
        LabelError: the label does not exist.
        AlignmentError: it occurs twice.

    Example:
        >>> from dagcast_core.tensor._index import intern_axis
        >>> locate(intern_axis("n", [1, 2]), 2, "select")
        1
    """
    wanted = as_label(axis, label, attempt)
    if isinstance(wanted, bool) != (axis.kind == "bool"):
        raise _no_such_label(axis, label, attempt)
    key = wanted.as_unit("ns").value if isinstance(wanted, (pd.Timestamp, pd.Timedelta)) else wanted
    key = key.ordinal if isinstance(key, pd.Period) else key
    lookup = axis.lookup()
    found = lookup.get(key) if isinstance(key, Hashable) else None
    if found is None:
        raise _no_such_label(axis, label, attempt)
    check_unique(axis, "the tensor", attempt)
    return found


def label_slice(axis: Axis, label: slice, attempt: str) -> tuple[int, int]:
    """Start and length of a slice by label, both ends included.

    Raises:
        LabelError: an end is no label, where labels are text or in no order.
        AlignmentError: the slice has a step, or names what lies between labels that have an order
            and do not stand in it.
    """
    if label.step is not None:
        raise AlignmentError(
            f"{attempt}: a slice of labels has no step. Use isel() for every n-th position.",
            dim=axis.dim,
        )
    ends = [
        None if end is None else as_label(axis, end, attempt) for end in (label.start, label.stop)
    ]
    check_unique(axis, "the tensor", attempt)
    index = axis.index
    if index.is_monotonic_increasing and axis.kind != "str":
        # Between ordered labels an end need not be a label itself.
        try:
            start = 0 if ends[0] is None else int(index.searchsorted(ends[0], side="left"))
            stop = axis.size if ends[1] is None else int(index.searchsorted(ends[1], side="right"))
        except TypeError as error:
            raise AlignmentError(
                f"{attempt}: labels along {axis.dim!r} are {axis.kind} and cannot be compared "
                "with the ends of the slice.",
                dim=axis.dim,
                left=index,
            ) from error
    elif (
        axis.kind.startswith(_LINES)
        and not index.is_monotonic_decreasing
        and any(end is not None for end in ends)
    ):
        raise AlignmentError(
            f"{attempt}: labels along {axis.dim!r} do not stand in their order, so nothing lies "
            f"between two of them. Call sort_labels({axis.dim!r}) first, or select by a condition.",
            dim=axis.dim,
            left=index,
        )
    else:
        start = 0 if ends[0] is None else locate(axis, ends[0], attempt)
        stop = axis.size if ends[1] is None else locate(axis, ends[1], attempt) + 1
        if stop <= start and None not in ends:
            raise AlignmentError(
                f"{attempt}: {shown(label.start)} stands behind {shown(label.stop)} along "
                f"{axis.dim!r}. Name the first of the two first.",
                dim=axis.dim,
                left=index,
            )
    return start, max(stop - start, 0)


def locate_all(axis: Axis, target: Axis, attempt: str, tolerance: float = 0.0) -> Positions:
    """Positions of all labels of a target axis, each of which must exist.

    Raises:
        LabelError: a label does not exist.

    Example:
        >>> from dagcast_core.tensor._index import intern_axis
        >>> locate_all(intern_axis("n", [1, 2]), intern_axis("n", [2]), "select").tolist()
        [1]
    """
    if target.size == 0:
        return np.zeros(0, dtype=np.int64)
    expression = attempt.removeprefix("cannot ")
    positions = match(target, axis, expression, ("wanted", "given"), tolerance)
    if (positions < 0).any():
        missing = target.index[positions < 0]
        raise LabelError(
            f"{attempt}: {len(missing)} of {target.size} labels do not exist.\n"
            f"{show_sides(('missing', missing), ('given', axis.index))}",
            dim=axis.dim,
            left=missing,
            right=axis.index,
        )
    return positions


def with_levels_of(axis: Axis, wanted: pd.Index) -> pd.Index:
    """Bare tuples take the names of the axis's levels."""
    if isinstance(wanted, pd.MultiIndex) and isinstance(axis.index, pd.MultiIndex):
        unnamed = all(name is None for name in wanted.names)
        if unnamed and wanted.nlevels == axis.index.nlevels:
            return wanted.set_names(list(axis.index.names))
    return wanted


def shown(label: Any) -> str:
    if isinstance(label, Labelled):
        return call_name(label)
    if isinstance(label, slice):
        ends = ("" if e is None else show_label(e) for e in (label.start, label.stop))
        return "slice(" + ", ".join(ends) + ")"
    if hasattr(label, "__len__") and not isinstance(label, (str, bytes)):
        first = ", ".join(show_label(part) for part in list(label)[:3])
        return f"[{first}{', ...' if len(label) > 3 else ''}]"
    return show_label(label)


def _no_such_label(axis: Axis, label: Any, attempt: str) -> LabelError:
    who = attempt.rsplit(" from ", 1)[-1].rsplit(" of ", 1)[-1]
    near = ""
    if isinstance(label, str) and axis.kind == "str":
        close = difflib.get_close_matches(label, axis.index.tolist(), n=3, cutoff=0.5)
        near = f"\nNear: {', '.join(map(repr, close))}." if close else ""
    return LabelError(
        f"{attempt}: no such label.\n{show_sides((who, axis.index))}{near}",
        dim=axis.dim,
        left=axis.index,
    )
