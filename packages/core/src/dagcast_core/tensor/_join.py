"""Joining by label: which labels two layouts share, and where each side finds them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dagcast_core.tensor._errors import AlignmentError, show_sides
from dagcast_core.tensor._index import Axis, Positions, intern_axis
from dagcast_core.tensor._layout import Layout, intern_layout
from dagcast_core.tensor._match import match
from dagcast_core.tensor._plan import JoinPlan, Step, arrange_step, composed, take_step
from dagcast_core.tensor._settings import Settings


def plan_join(
    left: Layout, right: Layout, how: Settings, attempt: str, names: tuple[str, str]
) -> JoinPlan:
    """Work out how two layouts meet; see DESIGN for the rule.

    Args:
        left: layout whose order of dims and labels leads.
        right: the other layout.
        how: join, fill, tolerance, and what an empty intersection means.
        attempt: the expression, for error messages.
        names: how messages call the two sides.

    Returns:
        The plan.

    Raises:
        AlignmentError: labels cannot be compared or joined as asked.

    Example:
        >>> from dagcast_core.tensor._layout import layout_of
        >>> from dagcast_core.tensor._settings import settings
        >>> a, b = layout_of({"n": [1, 2, 3]}), layout_of({"n": [3, 2]})
        >>> plan_join(a, b, settings(), "a + b", ("a", "b")).layout.axes[0].index.tolist()
        [2, 3]
    """
    left_steps: list[Step] = []
    right_steps: list[Step] = []
    drops: list[tuple[str, int, int]] = []
    nbytes = 512
    axes = list(left.axes)
    for position, axis in enumerate(left.axes):
        other_position = right.where.get(axis.dim)
        if other_position is None:
            continue
        other = right.axes[other_position]
        if other is axis:
            continue
        joined, from_left, from_right = _join_axes(axis, other, how, attempt, names)
        axes[position] = joined
        for steps, step in (
            (left_steps, take_step(position, from_left, axis.size, how.fill)),
            (right_steps, take_step(other_position, from_right, other.size, how.fill)),
        ):
            if step is not None:
                steps.append(step)
        nbytes += from_left.nbytes + from_right.nbytes
        lost = (
            axis.size - int(np.count_nonzero(from_left >= 0)),
            other.size - int(np.count_nonzero(from_right >= 0)),
        )
        if lost != (0, 0):
            drops.append((axis.dim, *lost))
    axes.extend(axis for axis in right.axes if axis.dim not in left.where)
    layout = intern_layout(tuple(axes))
    for steps, dims in ((left_steps, left.dims), (right_steps, right.dims)):
        step = arrange_step(dims, layout.dims)
        if step is not None:
            steps.append(step)
    quiet = not drops and bool(left.axes) and bool(right.axes)
    return JoinPlan(
        composed(left_steps), composed(right_steps), layout, tuple(drops), nbytes, quiet
    )


def _join_axes(
    left: Axis, right: Axis, how: Settings, attempt: str, names: tuple[str, str]
) -> tuple[Axis, Positions, Positions]:
    """Joined axis, and where its labels come from on each side (-1: fill)."""
    found = match(left, right, attempt, names, how.tolerance)
    everywhere = np.arange(left.size, dtype=np.int64)
    if how.join == "exact":
        _check_exact(left, right, found, attempt, names)
        return left, everywhere, found
    if how.join == "inner":
        kept = np.flatnonzero(found >= 0)
        if not kept.size and left.size and right.size and how.on_empty == "raise":
            raise AlignmentError(
                f"cannot compute {attempt}:\nno shared labels along {left.dim!r}.\n"
                f"{show_sides((names[0], left.index), (names[1], right.index))}\n"
                f"Labels match exactly. {_rename_hint(left, right, names)}",
                dim=left.dim,
                left=left.index,
                right=right.index,
            )
        if kept.size == left.size:
            return left, everywhere, found
        return left.taken(kept), kept, found[kept]
    if how.join == "left":
        _check_fill(how, bool((found < 0).any()), left, right, attempt, names)
        return left, everywhere, found
    used = np.zeros(right.size, dtype=bool)
    used[found[found >= 0]] = True
    new = np.flatnonzero(~used)
    _check_fill(how, bool(new.size or (found < 0).any()), left, right, attempt, names)
    if not new.size:
        return left, everywhere, found
    more = right.index.take(new)
    if isinstance(left.index.dtype, type(more.dtype)) and more.dtype != left.index.dtype:
        more = _in_dtype_of(more, left)
    joined = intern_axis(left.dim, left.index.append(more))
    missing = np.full(new.size, -1, dtype=np.int64)
    return joined, np.concatenate([everywhere, missing]), np.concatenate([found, new])


def _in_dtype_of(labels: pd.Index, axis: Axis) -> pd.Index:
    """New labels of an outer join in the left side's dtype, where that loses nothing."""
    try:
        converted = labels.astype(axis.index.dtype)
    except (TypeError, ValueError, OverflowError):
        return labels
    return converted if (converted == labels).all() else labels


def _check_exact(
    left: Axis, right: Axis, found: Positions, attempt: str, names: tuple[str, str]
) -> None:
    missing = found < 0
    if left.size == right.size and not missing.any():
        return
    used = np.zeros(right.size, dtype=bool)
    used[found[~missing]] = True
    only = [
        (f"only {name}", index[lacking])
        for name, index, lacking in (
            (names[0], left.index, missing),
            (names[1], right.index, ~used),
        )
        if lacking.any()
    ]
    raise AlignmentError(
        f"cannot compute {attempt}:\nlabels differ along {left.dim!r}, and the join is exact.\n"
        f"{show_sides((names[0], left.index), (names[1], right.index), *only)}\n"
        f'Select the shared labels first, or allow it: `with align("inner"):`.',
        dim=left.dim,
        left=left.index,
        right=right.index,
    )


def _check_fill(
    how: Settings,
    needed: bool,
    left: Axis,
    right: Axis,
    attempt: str,
    names: tuple[str, str],
) -> None:
    if needed and how.fill is None:
        raise AlignmentError(
            f"cannot compute {attempt}:\nlabels along {left.dim!r} are missing on one side, and "
            f"the {how.join} join has no fill value.\n"
            f"{show_sides((names[0], left.index), (names[1], right.index))}\n"
            f"Say what a missing cell holds, as in `with align({how.join!r}, fill=0.0):`.",
            dim=left.dim,
            left=left.index,
            right=right.index,
        )


def _rename_hint(left: Axis, right: Axis, names: tuple[str, str]) -> str:
    """A way out, as near to the user's own data as it can be."""
    dim = left.dim
    if left.kind == right.kind == "str":
        ours = set(left.index.tolist())
        theirs = right.index.tolist()
        for method in ("upper", "lower", "strip"):
            if ours.intersection(getattr(label, method)() for label in theirs):
                return f"Rename one side: {names[1]}.relabel({dim}=str.{method})."
    if "time" in left.kind:
        return f"Check the two ranges of time, or shift one side with relabel({dim}=...)."
    return (
        f"Rename one side with relabel({dim}=...), or accept an empty result: "
        '`with align(on_empty="allow"):`.'
    )
