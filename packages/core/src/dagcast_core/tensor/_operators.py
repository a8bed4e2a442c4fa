"""Operators between labelled tensors, and the same with a join of their own."""

from __future__ import annotations

import operator
from typing import Self

from dagcast_core.tensor._align import Operand, binary, reflected
from dagcast_core.tensor._base import Labelled, wrap
from dagcast_core.tensor._settings import Join, OnEmpty, settings, using


class Operators(Labelled):
    """How an `IndexTensor` meets another operand."""

    __slots__ = ()

    def __radd__(self, other: Operand) -> Self:
        return reflected(operator.add, "+", self, other)

    def __rsub__(self, other: Operand) -> Self:
        return reflected(operator.sub, "-", self, other)

    def __rmul__(self, other: Operand) -> Self:
        return reflected(operator.mul, "*", self, other)

    def __rtruediv__(self, other: Operand) -> Self:
        return reflected(operator.truediv, "/", self, other)

    def __pow__(self, other: Operand) -> Self:
        return binary(operator.pow, "**", self, other)

    def __rpow__(self, other: Operand) -> Self:
        return reflected(operator.pow, "**", self, other)

    def __floordiv__(self, other: Operand) -> Self:
        return binary(operator.floordiv, "//", self, other)

    def __rfloordiv__(self, other: Operand) -> Self:
        return reflected(operator.floordiv, "//", self, other)

    def __mod__(self, other: Operand) -> Self:
        return binary(operator.mod, "%", self, other)

    def __rmod__(self, other: Operand) -> Self:
        return reflected(operator.mod, "%", self, other)

    def __and__(self, other: Operand) -> Self:
        return binary(operator.and_, "&", self, other)

    def __rand__(self, other: Operand) -> Self:
        return reflected(operator.and_, "&", self, other)

    def __or__(self, other: Operand) -> Self:
        return binary(operator.or_, "|", self, other)

    def __ror__(self, other: Operand) -> Self:
        return reflected(operator.or_, "|", self, other)

    def __xor_(self, other: Operand) -> Self:
        return binary(operator.xor, "^", self, other)

    def __rxor_(self, other: Operand) -> Self:
        return reflected(operator.xor, "^", self, other)

    def __lt__(self, other: Operand) -> Self:
        return binary(operator.lt, "<", self, other)

    def __le__(self, other: Operand) -> Self:
        return binary(operator.le, "<=", self, other)

    def __gt__(self, other: Operand) -> Self:
        return binary(operator.gt, ">", self, other)

    def __ge__(self, other: Operand) -> Self:
        return binary(operator.ge, ">=", self, other)

    def __eq__(self, other: Operand) -> Self:  # type: ignore[override]
        return binary(operator.eq, "==", self, other)

    def __ne__(self, other: Operand) -> Self:  # type: ignore[override]
        return binary(operator.ne, "!=", self, other)

    def __neg__(self) -> Self:
        return wrap(self, -self._tensor, self._layout, self._name)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return wrap(self, self._tensor.abs(), self._layout, self._name)

    def __invert__(self) -> Self:
        return wrap(self, ~self._tensor, self._layout, self._name)

    __hash__ = object.__hash__

    def add(
        self,
        other: Operand,
        *,
        join: Join | None = None,
        fill: float | None = None,
        tolerance: float | None = None,
        on_empty: OnEmpty | None = None,
    ) -> Self:
        """``self + other`` under a join of its own.

        Args:
            other: labelled, a number, or a 0-d tensor.
            join: which labels are kept; the context's join by default.
            fill: value of missing cells under "left" and "outer".
            tolerance: largest distance of equal float labels.
            on_empty: "allow" makes an empty intersection legal.

        Raises:
            AlignmentError: the labels do not meet.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([2.0, 4.0], {"n": [1, 2]})
            >>> b = IndexTensor([2.0], {"n": [2]})
            >>> a.add(b, join="left", fill=1.0).tolist()
            [3.0, 6.0]
        """
        with using(settings(join, fill, tolerance, on_empty)):
            return binary(operator.add, "+", self, other)

    def sub(
        self,
        other: Operand,
        *,
        join: Join | None = None,
        fill: float | None = None,
        tolerance: float | None = None,
        on_empty: OnEmpty | None = None,
    ) -> Self:
        """``self - other`` under a join of its own.

        Args:
            other: labelled, a number, or a 0-d tensor.
            join: which labels are kept; the context's join by default.
            fill: value of missing cells under "left" and "outer".
            tolerance: largest distance of equal float labels.
            on_empty: "allow" makes an empty intersection legal.

        Raises:
            AlignmentError: the labels do not meet.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([2.0, 4.0], {"n": [1, 2]})
            >>> b = IndexTensor([2.0], {"n": [2]})
            >>> a.sub(b, join="left", fill=1.0).tolist()
            [1.0, 2.0]
        """
        with using(settings(join, fill, tolerance, on_empty)):
            return binary(operator.sub, "-", self, other)

    def mul(
        self,
        other: Operand,
        *,
        join: Join | None = None,
        fill: float | None = None,
        tolerance: float | None = None,
        on_empty: OnEmpty | None = None,
    ) -> Self:
        """``self * other`` under a join of its own.

        Args:
            other: labelled, a number, or a 0-d tensor.
            join: which labels are kept; the context's join by default.
            fill: value of missing cells under "left" and "outer".
            tolerance: largest distance of equal float labels.
            on_empty: "allow" makes an empty intersection legal.

        Raises:
            AlignmentError: the labels do not meet.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([2.0, 4.0], {"n": [1, 2]})
            >>> b = IndexTensor([2.0], {"n": [2]})
            >>> a.mul(b, join="left", fill=1.0).tolist()
            [2.0, 8.0]
        """
        with using(settings(join, fill, tolerance, on_empty)):
            return binary(operator.mul, "*", self, other)

    def div(
        self,
        other: Operand,
        *,
        join: Join | None = None,
        fill: float | None = None,
        tolerance: float | None = None,
        on_empty: OnEmpty | None = None,
    ) -> Self:
        """``self / other`` under a join of its own.

        Args:
            other: labelled, a number, or a 0-d tensor.
            join: which labels are kept; the context's join by default.
            fill: value of missing cells under "left" and "outer".
            tolerance: largest distance of equal float labels.
            on_empty: "allow" makes an empty intersection legal.

        Raises:
            AlignmentError: the labels do not meet.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([2.0, 4.0], {"n": [1, 2]})
            >>> b = IndexTensor([2.0], {"n": [2]})
            >>> a.div(b, join="left", fill=1.0).tolist()
            [2.0, 2.0]
        """
        with using(settings(join, fill, tolerance, on_empty)):
            return binary(operator.truediv, "/", self, other)
