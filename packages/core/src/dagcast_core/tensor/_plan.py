"""Join plans: the few torch calls that bring two operands to a common layout.

A plan is made once per pair of layouts and cached; each step is a ``narrow``, one
``index_select``, a ``permute`` or a ``view``, never advanced indexing, which costs several times
as much in forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import numpy as np
import torch

from dagcast_core.tensor._index import Positions
from dagcast_core.tensor._layout import Layout

Step: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def take(dim: int, positions: Positions) -> Step:
    """Pick positions along a dim with one ``index_select``.

    Example:
        >>> take(0, np.array([2, 0]))(torch.arange(3)).tolist()
        [2, 0]
    """
    index = torch.from_numpy(np.ascontiguousarray(positions, dtype=np.int64))
    elsewhere: dict[torch.device, torch.Tensor] = {}

    def step(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_cpu:
            return tensor.index_select(dim, index)
        there = elsewhere.get(tensor.device)
        if there is None:
            there = elsewhere[tensor.device] = index.to(tensor.device)
        return tensor.index_select(dim, there)

    return step


def take_or_fill(dim: int, positions: Positions, size: int, fill: float) -> Step:
    """Pick positions along a dim of a length; -1 stands for the fill value.

    Example:
        >>> take_or_fill(0, np.array([1, -1]), 2, 0.5)(torch.ones(2)).tolist()
        [1.0, 0.5]
    """
    pick = take(dim, np.where(positions < 0, size, positions))

    def step(tensor: torch.Tensor) -> torch.Tensor:
        shape = list(tensor.shape)
        shape[dim] = 1
        dtype = torch.result_type(tensor, fill)
        # One more slice holds the fill: exact gradients, and right for an empty operand too.
        extra = torch.full(shape, fill, dtype=dtype, device=tensor.device)
        return pick(torch.cat([tensor.to(dtype), extra], dim=dim))

    return step


def narrow(dim: int, start: int, length: int) -> Step:
    """Pick a run of positions along a dim: a view.

    Example:
        >>> narrow(0, 1, 2)(torch.arange(4)).tolist()
        [1, 2]
    """
    # Indexing by slices is quicker than the method that is called narrow.
    index = (slice(None),) * dim + (slice(start, start + length),)
    return lambda tensor: tensor[index]


def arrange(order: tuple[int, ...] | None, gaps: tuple[int, ...]) -> Step:
    """Bring dims into order, then open gaps of length 1 for those an operand lacks.

    Example:
        >>> arrange((1, 0), (1,))(torch.ones(2, 3)).shape
        torch.Size([3, 1, 2])
    """
    if order is None and len(gaps) == 1:
        (gap,) = gaps
        return lambda tensor: tensor.unsqueeze(gap)

    def step(tensor: torch.Tensor) -> torch.Tensor:
        if order is not None:
            tensor = tensor.permute(order)
        for gap in gaps:
            tensor = tensor.unsqueeze(gap)
        return tensor

    return step


def composed(steps: Sequence[Step]) -> Step | None:
    """One step that takes all; None for none.

    Example:
        >>> composed([]) is None
        True
    """
    if len(steps) < 2:
        return steps[0] if steps else None
    fixed = tuple(steps)

    def step(tensor: torch.Tensor) -> torch.Tensor:
        for one in fixed:
            tensor = one(tensor)
        return tensor

    return step


@final
class JoinPlan:
    """How two layouts meet.

    Attributes:
        left: step that brings the left operand to the result, or None.
        right: the same for the right operand.
        layout: layout of the result.
        drops: (dim, left labels dropped, right labels dropped), where any were.
        nbytes: memory held by the plan.
        quiet: whether nothing but the steps is to be done: no drops to report, and no scalar
            side, whose name does not count.
    """

    __slots__ = ("drops", "layout", "left", "nbytes", "quiet", "right")

    def __init__(
        self,
        left: Step | None,
        right: Step | None,
        layout: Layout,
        drops: tuple[tuple[str, int, int], ...],
        nbytes: int,
        quiet: bool,
    ) -> None:
        self.left = left
        self.right = right
        self.layout = layout
        self.drops = drops
        self.nbytes = nbytes
        self.quiet = quiet


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
    if count and int(positions.min()) < 0:
        if fill is None:
            raise AssertionError("a missing label without a fill value reached the plan")
        return take_or_fill(dim, positions, size, fill)
    if count == 0:
        return narrow(dim, 0, 0) if size else None
    first = int(positions[0])
    if int(positions[-1]) - first == count - 1 and (positions[1:] - positions[:-1] == 1).all():
        return None if count == size else narrow(dim, first, count)
    return take(dim, positions)


def arrange_step(dims: tuple[str, ...], target: tuple[str, ...]) -> Step | None:
    """The step that lays out an operand's dims for broadcasting into the target's.

    Example:
        >>> arrange_step(("b",), ("a", "b")) is None
        True
        >>> arrange_step(("a",), ("a", "b"))(torch.ones(2)).shape
        torch.Size([2, 1])
    """
    if dims == target or dims == target[len(target) - len(dims) :]:
        return None  # leading gaps are torch's own broadcasting
    wanted = [dim for dim in target if dim in dims]
    order: tuple[int, ...] | None = tuple([dims.index(dim) for dim in wanted])
    if order == tuple(range(len(dims))):
        order = None
    first = target.index(wanted[0]) if wanted else len(target)
    gaps = tuple([i - first for i, dim in enumerate(target) if i > first and dim not in dims])
    return None if order is None and not gaps else arrange(order, gaps)
