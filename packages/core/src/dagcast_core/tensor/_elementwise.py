"""Functions that are computed value by value."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Self, TypeVar

import torch

from dagcast_core.tensor._align import (
    Operand,
    as_scalar,
    binary,
    bring_together,
    common_name,
)
from dagcast_core.tensor._base import Labelled, new, wrap
from dagcast_core.tensor._settings import settings

T = TypeVar("T", bound=Labelled)


class Elementwise(Labelled):
    """What `IndexTensor` computes value by value."""

    __slots__ = ()

    def exp(self) -> Self:
        """E to the power of each value.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).exp().tolist()
            [1.0]
        """
        out = new(self.__class__)  # written out: it is in the innermost loop of every model
        out._tensor = self._tensor.exp()
        out._layout = self._layout
        out._name = self._name
        return out

    def expm1(self) -> Self:
        """``exp(x) - 1``, exact near 0.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).expm1().tolist()
            [0.0]
        """
        return wrap(self, self._tensor.expm1(), self._layout, self._name)

    def log(self) -> Self:
        """Natural logarithm.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"n": [1]}).log().tolist()
            [0.0]
        """
        out = new(self.__class__)  # written out: it is in the innermost loop of every model
        out._tensor = self._tensor.log()
        out._layout = self._layout
        out._name = self._name
        return out

    def log1p(self) -> Self:
        """``log(1 + x)``, exact near 0.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).log1p().tolist()
            [0.0]
        """
        return wrap(self, self._tensor.log1p(), self._layout, self._name)

    def sqrt(self) -> Self:
        """Square root.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([4.0], {"n": [1]}).sqrt().tolist()
            [2.0]
        """
        return wrap(self, self._tensor.sqrt(), self._layout, self._name)

    def square(self) -> Self:
        """Each value times itself.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([3.0], {"n": [1]}).square().tolist()
            [9.0]
        """
        return wrap(self, self._tensor.square(), self._layout, self._name)

    def abs(self) -> Self:
        """Absolute value.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-3.0], {"n": [1]}).abs().tolist()
            [3.0]
        """
        return wrap(self, self._tensor.abs(), self._layout, self._name)

    def sign(self) -> Self:
        """-1, 0 or 1.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-3.0], {"n": [1]}).sign().tolist()
            [-1.0]
        """
        return wrap(self, self._tensor.sign(), self._layout, self._name)

    def reciprocal(self) -> Self:
        """One over each value.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([4.0], {"n": [1]}).reciprocal().tolist()
            [0.25]
        """
        return wrap(self, self._tensor.reciprocal(), self._layout, self._name)

    def sigmoid(self) -> Self:
        """``1 / (1 + exp(-x))``.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).sigmoid().tolist()
            [0.5]
        """
        return wrap(self, self._tensor.sigmoid(), self._layout, self._name)

    def tanh(self) -> Self:
        """Hyperbolic tangent.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).tanh().tolist()
            [0.0]
        """
        return wrap(self, self._tensor.tanh(), self._layout, self._name)

    def relu(self) -> Self:
        """The value where it is positive, else 0.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-3.0], {"n": [1]}).relu().tolist()
            [0.0]
        """
        return wrap(self, self._tensor.relu(), self._layout, self._name)

    def sin(self) -> Self:
        """Sine of an angle in radians.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).sin().tolist()
            [0.0]
        """
        return wrap(self, self._tensor.sin(), self._layout, self._name)

    def cos(self) -> Self:
        """Cosine of an angle in radians.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).cos().tolist()
            [1.0]
        """
        return wrap(self, self._tensor.cos(), self._layout, self._name)

    def floor(self) -> Self:
        """Largest whole number not above each value.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.5], {"n": [1]}).floor().tolist()
            [1.0]
        """
        return wrap(self, self._tensor.floor(), self._layout, self._name)

    def ceil(self) -> Self:
        """Smallest whole number not below each value.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.5], {"n": [1]}).ceil().tolist()
            [2.0]
        """
        return wrap(self, self._tensor.ceil(), self._layout, self._name)

    def round(self) -> Self:
        """Nearest whole number, halves to even.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.5], {"n": [1]}).round().tolist()
            [2.0]
        """
        return wrap(self, self._tensor.round(), self._layout, self._name)

    def isnan(self) -> Self:
        """Where values are NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"n": [1]}).isnan().tolist()
            [False]
        """
        return wrap(self, self._tensor.isnan(), self._layout, self._name)

    def isfinite(self) -> Self:
        """Where values are neither NaN nor infinite.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"n": [1]}).isfinite().tolist()
            [True]
        """
        return wrap(self, self._tensor.isfinite(), self._layout, self._name)

    def softplus(self) -> Self:
        """``log(1 + exp(x))``, a smooth ``max(x, 0)``.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> round(IndexTensor(0.0, {}).softplus().item(), 4)
            0.6931
        """
        return self.map(torch.nn.functional.softplus)

    def pow(self, exponent: Operand) -> Self:
        """Each value to a power.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([3.0], {"n": [1]}).pow(2).tolist()
            [9.0]
        """
        return binary(operator.pow, "**", self, exponent)

    def nan_to_num(self, nan: float = 0.0) -> Self:
        """Values with NaN replaced; infinities stay. The gradient at a NaN is 0.

        Args:
            nan: what a NaN becomes.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([float("nan"), 1.0], {"n": [1, 2]}).nan_to_num(5.0).tolist()
            [5.0, 1.0]
        """
        tensor = self._tensor
        replaced = torch.where(torch.isnan(tensor), torch.full_like(tensor, nan), tensor)
        return wrap(self, replaced, self._layout, self._name)

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """Apply a function of the raw tensor that keeps its shape.

        Args:
            function: elementwise; a result of another shape is refused.

        Raises:
            AlignmentError: the function changed the shape.

        Example:
            >>> import torch
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([0.0], {"n": [1]}).map(torch.erf).tolist()
            [0.0]
        """
        return self.with_tensor(function(self._tensor))

    def clamp(self, min: Operand | None = None, max: Operand | None = None) -> Self:
        """Values kept between bounds; the gradient beyond them is 0.

        Args:
            min: lower bound, a number or labelled.
            max: upper bound, a number or labelled.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-1.0, 5.0], {"n": [1, 2]}).clamp(min=0.0, max=2.0).tolist()
            [0.0, 2.0]
        """
        if not isinstance(min, Labelled) and not isinstance(max, Labelled):
            low = None if min is None else as_scalar(min, "clamp", self)
            high = None if max is None else as_scalar(max, "clamp", self)
            clamped = torch.clamp(self._tensor, min=low, max=high)
            return wrap(self, clamped, self._layout, self._name)
        out = self if min is None else self.maximum(min)
        return (out if max is None else out.minimum(max)).named(self._name)

    def maximum(self, other: Operand) -> Self:
        """The larger of two values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-1.0, 5.0], {"n": [1, 2]}).maximum(0.0).tolist()
            [0.0, 5.0]
        """
        return binary(_with_tensors(torch.maximum), "maximum", self, other)

    def minimum(self, other: Operand) -> Self:
        """The smaller of two values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([-1.0, 5.0], {"n": [1, 2]}).minimum(0.0).tolist()
            [-1.0, 0.0]
        """
        return binary(_with_tensors(torch.minimum), "minimum", self, other)

    def where(self, condition: Operand, other: Operand = float("nan")) -> Self:
        """Values where a condition holds, and another value elsewhere.

        The gradient of a masked value is exactly 0 unless a NaN or infinity arose before the
        mask: clamp before a logarithm, not after it.

        Args:
            condition: boolean, labelled.
            other: labelled or a number; NaN by default.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([-1.0, 5.0], {"n": [1, 2]})
            >>> a.where(a > 0, 0.0).tolist()
            [0.0, 5.0]
        """
        return _choose(self, (self, condition, other), lambda x, c, y: torch.where(c, x, y))


def _with_tensors(
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[Any, Any], torch.Tensor]:
    """A function of two tensors, made to accept a number on the right."""

    def call(x: torch.Tensor, y: Any) -> torch.Tensor:
        if not isinstance(y, torch.Tensor):
            y = torch.as_tensor(y, dtype=torch.result_type(x, y), device=x.device)
        if x.dtype == y.dtype:
            return function(x, y)
        dtype = torch.result_type(x, y)
        return function(x.to(dtype), y.to(dtype))

    return call


def _choose(like: T, operands: tuple[Any, ...], function: Callable[..., torch.Tensor]) -> T:
    """Apply a function to several operands of which some are numbers."""
    labelled = tuple(operand for operand in operands if isinstance(operand, Labelled))
    layout = labelled[0]._layout
    if all(operand._layout is layout for operand in labelled):
        tensors = [operand._tensor for operand in labelled]
    else:
        tensors, layout = bring_together("where", labelled, settings())
        # The fill of a left or outer join is a number, and a condition stays one.
        tensors = [
            tensor.bool() if operand.dtype == torch.bool else tensor
            for operand, tensor in zip(labelled, tensors, strict=True)
        ]
    queue = iter(tensors)
    raw = [
        next(queue) if isinstance(operand, Labelled) else as_scalar(operand, "where", like)
        for operand in operands
    ]
    if any(operand is NotImplemented for operand in raw):
        kinds = ", ".join(type(operand).__name__ for operand in operands)
        raise TypeError(f"cannot choose between values of types {kinds}.")
    valued = tuple(x for x in labelled if x.dtype != torch.bool) or labelled
    if len(labelled) == 1 and valued is labelled:
        # Two numbers: torch would choose between them in its default type, which is float32.
        raw = [torch.as_tensor(x, dtype=_wide(x)) if isinstance(x, float | int) else x for x in raw]
    result = function(*raw)
    return wrap(like, result.expand(layout.shape), layout, common_name(valued))


def _wide(value: float | int | bool) -> torch.dtype:
    return {bool: torch.bool, int: torch.int64}.get(type(value), torch.float64)


def where(condition: Operand, x: Operand, y: Operand) -> Any:
    """``x`` where a condition holds and ``y`` elsewhere, joined by label.

    Args:
        condition: boolean; its dims lead the result.
        x: labelled or a number.
        y: labelled or a number.

    Returns:
        An IndexTensor.

    Raises:
        AlignmentError: labels do not meet.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([-1.0, 5.0], {"n": [1, 2]})
        >>> where(a > 0, a, 0.0).tolist()
        [0.0, 5.0]
    """
    operands = (condition, x, y)
    like = next((operand for operand in operands if isinstance(operand, Labelled)), None)
    if like is None:
        raise TypeError("cannot choose by where(): none of the three is an IndexTensor.")
    return _choose(like, operands, torch.where)
