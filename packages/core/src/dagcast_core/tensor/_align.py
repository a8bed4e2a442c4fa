"""Bringing operands together: the one rule behind every operation with two sides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor._audit import AUDIT, record
from dagcast_core.tensor._base import Labelled, Scalar, wrap
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._join import plan_join
from dagcast_core.tensor._layout import SCALAR, Layout, intern_layout
from dagcast_core.tensor._plan import JoinPlan
from dagcast_core.tensor._settings import (
    COVERING,
    SETTINGS,
    Join,
    OnEmpty,
    Settings,
    settings,
    using,
)

T = TypeVar("T", bound=Labelled)
Operand: TypeAlias = "Labelled | Scalar | torch.Tensor | np.generic"


def expression(symbol: str, left: str | None, right: str | None) -> tuple[str, tuple[str, str]]:
    """What is being computed, and what its sides are called.

    Example:
        >>> expression("+", "rides", None)
        ('rides + right', ('rides', 'right'))
    """
    names = (left or "left", right or "right")
    if names[0] == names[1]:
        names = (f"{names[0]} (left)", f"{names[1]} (right)")
    if symbol.isidentifier():
        return f"{symbol}({names[0]}, {names[1]})", names
    return f"{names[0]} {symbol} {names[1]}", names


def find_plan(
    left: Layout,
    right: Layout,
    how: Settings,
    symbol: str,
    names: tuple[str | None, str | None],
    audited: bool = True,
) -> JoinPlan:
    """The plan by which two layouts meet, made now if it is new, and told to the audit.

    Example:
        >>> from dagcast_core.tensor._layout import layout_of
        >>> a, b = layout_of({"n": [1, 2]}), layout_of({"n": [2]})
        >>> find_plan(a, b, settings(), "+", ("a", "b")).layout.shape
        (1,)
    """
    plan: JoinPlan | None
    partner, under, plan = left.recent
    if partner is not right or under is not how:
        plan = how.plans.get((left, right))
        if plan is not None:
            left.recent = (right, how, plan)
    if plan is None:
        attempt, sides = expression(symbol, *names)
        plan = plan_join(left, right, how, attempt, sides)
        how.keep((left, right), plan)
    if audited and plan.drops and AUDIT.get() is not None:
        record(expression(symbol, *names)[0], plan.drops)
    return plan


def binary(function: Callable[..., Any], symbol: str, left: T, right: Any) -> T:
    """Apply a function of two tensors to a labelled left side and whatever stands right.

    Args:
        function: takes two raw tensors, or a tensor and a number.
        symbol: how messages write the operation.
        left: labelled operand.
        right: labelled, a number, or a 0-d tensor.

    Returns:
        The result on the joined layout; NotImplemented for operands of a foreign type.

    Raises:
        AlignmentError: labels do not meet, or the right side is a bare array with dims.

    Example:
        >>> import operator
        >>> from dagcast_core.tensor import IndexTensor
        >>> binary(operator.add, "+", IndexTensor([1.0], {"n": [1]}), 2).tolist()
        [3.0]
    """
    if right.__class__ is left.__class__:
        x, y = left._tensor, right._tensor
        layout, other = left._layout, right._layout
        if layout is not other:
            names = (left._name, right._name)
            plan = find_plan(layout, other, SETTINGS.get(), symbol, names)
            if plan.left is not None:
                x = plan.left(x)
            if plan.right is not None:
                y = plan.right(y)
            return wrap(left, function(x, y), plan.layout, joint_name(left, right))
        return wrap(left, function(x, y), layout, joint_name(left, right))
    scalar = as_scalar(right, symbol, left)
    if scalar is NotImplemented:
        return scalar  # type: ignore[no-any-return]
    return wrap(left, function(left._tensor, scalar), left._layout, left._name)


def joint_name(left: Labelled, right: Labelled) -> str | None:
    """The name on which two sides agree; a scalar side has no say.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> joint_name(IndexTensor(1.0, {}, "a"), IndexTensor([1.0], {"n": [1]}, "b"))
        'b'
    """
    if left._name == right._name:
        return left._name
    if left._layout is right._layout:
        return None
    if right._layout is SCALAR:
        return left._name
    return right._name if left._layout is SCALAR else None


def reflected(function: Callable[..., Any], symbol: str, right: T, left: Any) -> T:
    """Apply a function whose left side is a number or a 0-d tensor.

    Example:
        >>> import operator
        >>> from dagcast_core.tensor import IndexTensor
        >>> reflected(operator.sub, "-", IndexTensor([1.0], {"n": [1]}), 3).tolist()
        [2.0]
    """
    scalar = as_scalar(left, symbol, right)
    if scalar is NotImplemented:
        return scalar  # type: ignore[no-any-return]
    return wrap(right, function(scalar, right._tensor), right._layout, right._name)


def as_scalar(value: Any, symbol: str, labelled: Labelled) -> Any:
    """A number or 0-d tensor that broadcasts; NotImplemented for types that are not ours.

    Raises:
        AlignmentError: a bare array or tensor with dims, whose labels nobody knows.

    Example:
        >>> import numpy as np
        >>> from dagcast_core.tensor import IndexTensor
        >>> as_scalar(np.int64(2), "+", IndexTensor(1.0, {}))
        2
    """
    if isinstance(value, float | int):
        return value
    if isinstance(value, torch.Tensor):
        if value.dim() == 0:
            return value
        shape = tuple(value.shape)
    elif isinstance(value, np.generic):
        return value.item()
    elif isinstance(value, np.ndarray):
        if value.ndim == 0:
            return value.item()
        shape = value.shape
    elif isinstance(value, (pd.Series, pd.DataFrame, list, tuple)):
        shape = np.shape(value)
    else:
        return NotImplemented
    name = labelled._name or "an IndexTensor"
    raise AlignmentError(
        f"cannot compute {name} {symbol} a bare {type(value).__name__} of shape {shape}: "
        "without labels nothing says which value belongs to which label.\n"
        f"Label it first: IndexTensor(values, {{dim: labels, ...}}), or "
        f"{name}.with_tensor(values) where it has the same dims {labelled._layout.dims} in order."
    )


def bring_together(
    symbol: str, operands: tuple[Labelled, ...], how: Settings
) -> tuple[list[torch.Tensor], Layout]:
    """Raw tensors of several operands, broadcastable, and their common layout.

    The layout is joined from left to right; then every operand is brought to it.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"n": [1, 2]})
        >>> tensors, layout = bring_together("where", (a, a, a), settings())
        >>> len(tensors), layout is a.layout
        (3, True)
    """
    layout = operands[0]._layout
    for operand in operands[1:]:
        if operand._layout is not layout:
            names = (operands[0]._name, operand._name)
            layout = find_plan(layout, operand._layout, how, symbol, names).layout
    return [broadcast_to(operand, layout, how, symbol) for operand in operands], layout


def broadcast_to(operand: Labelled, layout: Layout, how: Settings, symbol: str) -> torch.Tensor:
    """Raw values of an operand, broadcastable to a layout that leads the join.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"n": [1, 2]}, "a")
        >>> broadcast_to(a, a.isel(n=[1]).layout, settings(), "align").tolist()
        [2.0]
    """
    tensor = operand._tensor
    if operand._layout is not layout:
        names = (None, operand._name)
        plan = find_plan(layout, operand._layout, how, symbol, names, audited=False)
        if plan.right is not None:
            tensor = plan.right(tensor)
    return tensor


def common_name(operands: tuple[Labelled, ...]) -> str | None:
    """The name on which all operands with dims agree, if they do.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> common_name((IndexTensor(1.0, {}, "a"), IndexTensor([1.0], {"n": [1]}, "b")))
        'b'
    """
    names = {operand._name for operand in operands if operand._layout is not SCALAR}
    names = names or {operand._name for operand in operands}
    return names.pop() if len(names) == 1 else None


@overload
def align(
    first: Join | None = None,
    /,
    *,
    fill: float | None = None,
    tolerance: float | None = None,
    on_empty: OnEmpty | None = None,
) -> AbstractContextManager[None]: ...


@overload
def align(
    first: T,
    /,
    *others: T,
    join: Join | None = None,
    fill: float | None = None,
    tolerance: float | None = None,
    on_empty: OnEmpty | None = None,
) -> tuple[T, ...]: ...


def align(
    first: Any = None,
    /,
    *others: Any,
    join: Join | None = None,
    fill: float | None = None,
    tolerance: float | None = None,
    on_empty: OnEmpty | None = None,
) -> Any:
    """Set how labels are joined inside a ``with`` block, or join tensors now.

    ``align("exact")`` is a context manager for every operation inside it.
    ``align(a, b)`` returns the tensors on shared labels along the dims they share; dims that
    only one of them has stay as they are.

    Args:
        first: a join ("inner", "exact", "left", "outer"), or the first tensor.
        others: further tensors.
        join: which labels are kept, where tensors are given.
        fill: value of missing cells under "left" and "outer".
        tolerance: largest distance of float labels that count as equal.
        on_empty: "allow" makes an empty intersection legal.

    Returns:
        A context manager, or the tensors in the order given.

    Raises:
        AlignmentError: the labels do not meet.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}, "a")
        >>> b = IndexTensor([5.0], {"region": ["LAX"]}, "b")
        >>> align(a, b)[0].tolist()
        [2.0]
        >>> with align("outer", fill=0.0):
        ...     (a + b).tolist()
        [1.0, 7.0]
        >>> with align("exact"):
        ...     a + b
        Traceback (most recent call last):
        dagcast_core.tensor._errors.AlignmentError: cannot compute a + b:
        labels differ along 'region', and the join is exact.
          a       2 labels: 'SFO', 'LAX'
          b       1 label: 'LAX'
          only a  1 label: 'SFO'
        Select the shared labels first, or allow it: `with align("inner"):`.
    """
    if first is None or isinstance(first, str):
        if others or join is not None:
            raise TypeError("align() takes a join, or tensors with join=..., not both.")
        return using(settings(first, fill, tolerance, on_empty))  # type: ignore[arg-type]
    operands = (first, *others)
    for operand in operands:
        if not isinstance(operand, Labelled):
            raise TypeError(f"cannot align a {type(operand).__name__}: align() takes IndexTensors.")
    how = settings(join, fill, tolerance, on_empty)
    _, layout = bring_together("align", operands, how)
    aligned = []
    for operand in operands:
        own = layout_for(operand, layout)
        aligned.append(wrap(operand, broadcast_to(operand, own, how, "align"), own, operand._name))
    return tuple(aligned)


def layout_for(operand: Labelled, layout: Layout) -> Layout:
    """The part of a layout that concerns an operand's dims, in the operand's order.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0], {"n": [1]})
        >>> layout_for(a, a.layout) is a.layout
        True
    """
    return intern_layout(tuple(layout.axis(dim) for dim in operand._layout.dims))


def conform(operand: T, layout: Layout, attempt: str) -> torch.Tensor:
    """Raw values of an operand expanded to a layout whose labels it must cover.

    Raises:
        AlignmentError: labels of the layout are missing in the operand, or it has other dims.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"n": [1, 2]}, "a")
        >>> conform(a, a.isel(n=[1, 0]).layout, "copy").tolist()
        [2.0, 1.0]
    """
    extra = [dim for dim in operand._layout.dims if dim not in layout.where]
    if extra:
        raise AlignmentError(
            f"cannot {attempt}: {operand._name or 'the operand'} has the dims {extra} besides "
            f"{list(layout.dims)}. Reduce or select them first."
        )
    return broadcast_to(operand, layout, COVERING, attempt.split()[0]).expand(layout.shape)
