"""Values moved and summed along a dim whose labels stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._index import DimLike, intern_axis
from dagcast_core.tensor._layout import Layout
from dagcast_core.tensor._match import match
from dagcast_core.tensor._plan import take_or_fill
from dagcast_core.tensor._select import named_items, pick


class Along(Labelled):
    """How the values of an `IndexTensor` move along a dim."""

    __slots__ = ()

    def shift(
        self, by: Mapping[Any, Any] | None = None, /, fill: float | None = None, **steps: Any
    ) -> Self:
        """Values moved along a dim whose labels stay.

        A whole number moves by positions; a Timedelta moves by time, whatever gaps there are.

        Args:
            by: steps by dim or `Dim`; positive steps move towards later labels.
            fill: value of the labels that get none; NaN by default for real values.
            steps: steps by name of dim.

        Raises:
            TypeError: whole numbers cannot hold NaN and there is no fill.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"hour": [0, 1]}).shift(hour=1, fill=0.0).tolist()
            [0.0, 1.0]
        """
        out = self
        for dim, step in named_items(by, steps):
            out = _shift(out, dim, step, fill)
        return out

    def diff(self, by: Mapping[Any, Any] | None = None, /, **steps: int) -> Self:
        """Change against the value some positions before; the first labels drop out.

        Args:
            by: steps by dim or `Dim`.
            steps: steps by name of dim, 1 or more.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 4.0], {"hour": [0, 1]}).diff(hour=1).tolist()
            [3.0]
        """
        out = self
        for dim, step in named_items(by, steps):
            position = out._layout.position(dim, f"cannot take differences along {dim!r}")
            axis = out._layout.axes[position]
            if not isinstance(step, (int, np.integer)) or step < 1:
                raise ValueError(f"cannot take differences over {step!r} steps: at least 1.")
            length = max(axis.size - step, 0)
            start = min(int(step), axis.size)
            later = out._tensor.narrow(position, start, length)
            earlier = out._tensor.narrow(position, 0, length)
            layout = out._layout.replaced(position, intern_axis(dim, axis.index[start:]))
            out = wrap(self, later - earlier, layout, self._name)
        return out

    def cumsum(self, dim: DimLike) -> Self:
        """Running sum along a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 4.0], {"hour": [0, 1]}).cumsum("hour").tolist()
            [1.0, 5.0]
        """
        position = self._layout.position(dim)
        return wrap(self, self._tensor.cumsum(position), self._layout, self._name)

    def cumprod(self, dim: DimLike) -> Self:
        """Running product along a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 4.0], {"hour": [0, 1]}).cumprod("hour").tolist()
            [2.0, 8.0]
        """
        position = self._layout.position(dim)
        return wrap(self, self._tensor.cumprod(position), self._layout, self._name)


def _shift(value: Any, dim: str, step: Any, fill: float | None) -> Any:
    attempt = f"cannot shift {call_name(value)} along {dim!r}"
    layout: Layout = value._layout
    position = layout.position(dim, attempt)
    axis = layout.axes[position]
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
        positions = _positions_by_time(axis, step, attempt)
    else:
        positions = np.arange(axis.size, dtype=np.int64) - int(step)
        positions[(positions < 0) | (positions >= axis.size)] = -1
    if not (positions < 0).any():
        return pick(value, position, positions, axis)
    if fill is None:
        if not value._tensor.is_floating_point():
            raise TypeError(f"{attempt}: {value.dtype} cannot hold NaN. Give a fill value.")
        fill = float("nan")
    if fill == fill and float(fill).is_integer() and not value._tensor.is_floating_point():
        fill = int(fill)
    moved = take_or_fill(position, positions, axis.size, fill)(value._tensor)
    return wrap(value, moved, layout, value._name)


def _positions_by_time(axis: Any, step: Any, attempt: str) -> Any:
    if not axis.kind.endswith("time"):
        raise TypeError(
            f"{attempt} by {step!r}: labels that are {axis.kind} move by whole numbers of "
            "positions."
        )
    earlier = intern_axis(axis.dim, axis.index - pd.Timedelta(step))
    return match(earlier, axis, attempt.removeprefix("cannot "), ("earlier", "given"), None)
