"""Elementwise functions that take an `IndexTensor`, beside the methods of the same names."""

from __future__ import annotations

from typing import TypeVar

from dagcast_core.tensor._align import Operand
from dagcast_core.tensor._elementwise import Elementwise

T = TypeVar("T", bound=Elementwise)


def exp(a: T) -> T:
    """E to the power of each value.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> exp(IndexTensor(0.0, {})).item()
        1.0
    """
    return a.exp()


def expm1(a: T) -> T:
    """``exp(x) - 1``, exact near 0.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> expm1(IndexTensor(0.0, {})).item()
        0.0
    """
    return a.expm1()


def log(a: T) -> T:
    """Natural logarithm.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> log(IndexTensor(1.0, {})).item()
        0.0
    """
    return a.log()


def log1p(a: T) -> T:
    """``log(1 + x)``, exact near 0.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> log1p(IndexTensor(0.0, {})).item()
        0.0
    """
    return a.log1p()


def sqrt(a: T) -> T:
    """Square root.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> sqrt(IndexTensor(4.0, {})).item()
        2.0
    """
    return a.sqrt()


def square(a: T) -> T:
    """Each value times itself.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> square(IndexTensor(3.0, {})).item()
        9.0
    """
    return a.square()


def sigmoid(a: T) -> T:
    """``1 / (1 + exp(-x))``.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> sigmoid(IndexTensor(0.0, {})).item()
        0.5
    """
    return a.sigmoid()


def softplus(a: T) -> T:
    """``log(1 + exp(x))``.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> softplus(IndexTensor(800.0, {})).item()
        800.0
    """
    return a.softplus()


def tanh(a: T) -> T:
    """Hyperbolic tangent.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> tanh(IndexTensor(0.0, {})).item()
        0.0
    """
    return a.tanh()


def relu(a: T) -> T:
    """The value where it is positive, else 0.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> relu(IndexTensor(-1.0, {})).item()
        0.0
    """
    return a.relu()


def isnan(a: T) -> T:
    """Where values are NaN.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> isnan(IndexTensor(1.0, {})).item()
        False
    """
    return a.isnan()


def isfinite(a: T) -> T:
    """Where values are neither NaN nor infinite.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> isfinite(IndexTensor(1.0, {})).item()
        True
    """
    return a.isfinite()


def sin(a: T) -> T:
    """Sine of an angle in radians.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> sin(IndexTensor(0.0, {})).item()
        0.0
    """
    return a.sin()


def cos(a: T) -> T:
    """Cosine of an angle in radians.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> cos(IndexTensor(0.0, {})).item()
        1.0
    """
    return a.cos()


def maximum(a: T, b: Operand) -> T:
    """The larger of two values, joined by label.

    Raises:
        AlignmentError: labels do not meet.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> maximum(IndexTensor(1.0, {}), 3.0).item()
        3.0
    """
    return a.maximum(b)


def minimum(a: T, b: Operand) -> T:
    """The smaller of two values, joined by label.

    Raises:
        AlignmentError: labels do not meet.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> minimum(IndexTensor(1.0, {}), 3.0).item()
        1.0
    """
    return a.minimum(b)


def clamp(a: T, min: Operand | None = None, max: Operand | None = None) -> T:
    """Values kept between bounds; the gradient beyond them is 0.

    Args:
        a: values.
        min: lower bound, a number or labelled.
        max: upper bound, a number or labelled.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> clamp(IndexTensor(5.0, {}), max=2.0).item()
        2.0
    """
    return a.clamp(min, max)
