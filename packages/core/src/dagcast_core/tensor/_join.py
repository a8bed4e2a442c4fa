"""Join plans: the few torch calls that bring two operands to a common layout.

A plan is made once per pair of layouts and cached; each step is a ``narrow``, one
``index_select``, a ``permute`` or a ``view``, never advanced indexing, which costs several times
as much in forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import numpy as np
import torch

from dagcast_core.tensor._errors import AlignmentError, show_sides
from dagcast_core.tensor._index import Axis, Positions, intern_axis, match
from dagcast_core.tensor._layout import Layout, intern_layout
from dagcast_core.tensor._settings import Settings

Step: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


@final
class Take:
    """Pick positions along a dim with one ``index_select``."""

    __slots__ = ("_elsewhere", "dim", "index", "nbytes")

    def __init__(self, dim: int, positions: Positions) -> None:
        self.dim = dim
        self.index = torch.from_numpy(np.ascontiguousarray(positions, dtype=np.int64))
        self.nbytes = positions.nbytes
        self._elsewhere: dict[torch.device, torch.Tensor] = {}

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_cpu:
            return tensor.index_select(self.dim, self.index)
        index = self._elsewhere.get(tensor.device)
        if index is None:
            index = self._elsewhere[tensor.device] = self.index.to(tensor.device)
        return tensor.index_select(self.dim, index)


@final
class TakeOrFill:
    """Pick positions along a dim; -1 stands for the fill value."""

    __slots__ = ("dim", "fill", "nbytes", "take")

    def __init__(self, dim: int, positions: Positions, size: int, fill: float) -> None:
        self.dim = dim
        self.fill = fill
        self.take = Take(dim, np.where(positions < 0, size, positions))
        self.nbytes = self.take.nbytes

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        shape = list(tensor.shape)
        shape[self.dim] = 1
        dtype = torch.result_type(tensor, self.fill)
        # One more slice holds the fill: exact gradients, and right for an empty operand too.
        extra = torch.full(shape, self.fill, dtype=dtype, device=tensor.device)
        return self.take(torch.cat([tensor.to(dtype), extra], dim=self.dim))


@final
class Narrow:
    """Pick a run of positions along a dim: a view."""

    __slots__ = ("dim", "length", "nbytes", "start")

    def __init__(self, dim: int, start: int, length: int) -> None:
        self.dim = dim
        self.start = start
        self.length = length
        self.nbytes = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.narrow(self.dim, self.start, self.length)


@final
class Arrange:
    """Bring dims into order and open gaps of length 1 for those the operand lacks."""

    __slots__ = ("gaps", "nbytes", "order")

    def __init__(self, order: tuple[int, ...] | None, gaps: tuple[int, ...]) -> None:
        self.order = order
        self.gaps = gaps
        self.nbytes = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.order is not None:
            tensor = tensor.permute(self.order)
        for gap in self.gaps:
            tensor = tensor.unsqueeze(gap)
        return tensor


@final
class JoinPlan:
    """How two layouts meet.

    Attributes:
        left: steps for the left operand.
        right: steps for the right operand.
        layout: layout of the result.
        drops: (dim, left labels dropped, right labels dropped), where any were.
        nbytes: memory held by the plan.
    """

    __slots__ = ("drops", "layout", "left", "nbytes", "right")

    def __init__(
        self,
        left: tuple[Step, ...],
        right: tuple[Step, ...],
        layout: Layout,
        drops: tuple[tuple[str, int, int], ...],
    ) -> None:
        self.left = left
        self.right = right
        self.layout = layout
        self.drops = drops
        self.nbytes = 256 + sum(getattr(step, "nbytes", 0) for step in (*left, *right))


def take_step(dim: int, positions: Positions, size: int, fill: float | None = None) -> Step | None:
    """The cheapest step that picks positions along a dim, or None if it would change nothing.

    Args:
        dim: position of the dim.
        positions: which positions to pick, in order; -1 for a missing label.
        size: present length of the dim.
        fill: value for missing labels.

    Example:
        >>> take_step(0, np.array([1, 2]), 4)(torch.arange(4)).tolist()
        [1, 2]
    """
    count = positions.size
    if count and positions.min() < 0:
        if fill is None:
            raise AssertionError("a missing label without a fill value reached the plan")
        return TakeOrFill(dim, positions, size, fill)
    if count == 0:
        return Narrow(dim, 0, 0) if size else None
    first = int(positions[0])
    if np.array_equal(positions, np.arange(first, first + count)):
        return None if count == size else Narrow(dim, first, count)
    return Take(dim, positions)


def arrange_step(dims: tuple[str, ...], target: tuple[str, ...]) -> Step | None:
    """The step that lays out an operand's dims for broadcasting into the target's.

    Example:
        >>> arrange_step(("b",), ("a", "b")) is None
        True
        >>> arrange_step(("a",), ("a", "b"))(torch.ones(2)).shape
        torch.Size([2, 1])
    """
    wanted = [dim for dim in target if dim in dims]
    order: tuple[int, ...] | None = tuple(dims.index(dim) for dim in wanted)
    if order == tuple(range(len(dims))):
        order = None
    first = target.index(wanted[0]) if wanted else len(target)
    # Leading gaps are torch's own broadcasting.
    gaps = tuple(i - first for i, dim in enumerate(target) if i > first and dim not in dims)
    return None if order is None and not gaps else Arrange(order, gaps)


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
        lost = (
            axis.size - int(np.count_nonzero(from_left >= 0)),
            other.size - int(np.count_nonzero(from_right >= 0)),
        )
        if any(lost):
            drops.append((axis.dim, *lost))
    axes.extend(axis for axis in right.axes if axis.dim not in left.where)
    layout = intern_layout(tuple(axes))
    for steps, dims in ((left_steps, left.dims), (right_steps, right.dims)):
        step = arrange_step(dims, layout.dims)
        if step is not None:
            steps.append(step)
    return JoinPlan(tuple(left_steps), tuple(right_steps), layout, tuple(drops))


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
        joined = intern_axis(left.dim, left.index.take(kept))
        return joined, kept, found[kept]
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


def _in_dtype_of(labels: object, axis: Axis) -> object:
    """New labels of an outer join in the left side's dtype, where that loses nothing."""
    try:
        converted = labels.astype(axis.index.dtype)  # type: ignore[attr-defined]
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
        f"Select the shared labels first, or allow it: `with align(\"inner\"):`.",
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
        "`with align(on_empty=\"allow\"):`."
    )
