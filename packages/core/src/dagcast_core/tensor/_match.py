"""Where the labels of one axis stand in another, and which labels cannot be compared."""

from __future__ import annotations

import numpy as np

from dagcast_core.tensor._errors import AlignmentError, show_label, show_sides
from dagcast_core.tensor._index import Axis, Positions, comparable


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
        >>> from dagcast_core.tensor._index import intern_axis
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
    positions = np.array([get(label, -1) for label in items], dtype=np.int64)
    if floats and tolerance is None:
        matched = int(np.count_nonzero(positions >= 0))
        if matched < left.size or matched < right.size:
            raise AlignmentError(
                f"cannot compute {attempt}:\nfloat labels differ along {left.dim!r}, which may be "
                "rounding or real.\n"
                f"{show_sides((names[0], left.index), (names[1], right.index))}\n"
                "Pass a tolerance (0.0 for exact matches), as in "
                '`with align("inner", tolerance=1e-9):`.',
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
        >>> from dagcast_core.tensor._index import intern_axis
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
            f'{naive}.relabel({left.dim}=lambda t: t.tz_localize("UTC")).'
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
