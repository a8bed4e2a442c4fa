"""Gradients, and the few changes in place that keep the layout."""

from __future__ import annotations

from typing import Any, Self

import torch

from dagcast_core.tensor._align import Operand, as_scalar, conform
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError


class Autograd(Labelled):
    """How an `IndexTensor` takes part in differentiation."""

    __slots__ = ()

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are recorded for this tensor."""
        return self._tensor.requires_grad

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user rather than computed."""
        return self._tensor.is_leaf

    @property
    def grad(self) -> Self | None:
        """The gradient collected by `backward`, under this tensor's own labels.

        It is exactly 0 at labels that an operation dropped.
        """
        gradient = self._tensor.grad
        return None if gradient is None else wrap(self, gradient, self._layout, self._name)

    @grad.setter
    def grad(self, gradient: Self | None) -> None:
        self._tensor.grad = (
            None if gradient is None else conform(gradient, self._layout, "set the gradient")
        )

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Record gradients for this tensor, in place.

        Args:
            requires_grad: whether to record.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).requires_grad_()
            >>> (a * a).sum().backward()
            >>> a.grad.tolist()
            [2.0, 4.0]
        """
        self._tensor.requires_grad_(requires_grad)
        return self

    def retain_grad(self) -> Self:
        """Keep the gradient of a computed tensor too.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0], {"region": ["SFO"]}).requires_grad_()
            >>> b = (a * 2).retain_grad()
            >>> b.sum().backward()
            >>> b.grad.tolist()
            [1.0]
        """
        self._tensor.retain_grad()
        return self

    def backward(
        self,
        gradient: Labelled | torch.Tensor | None = None,
        *,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Compute the gradients of everything this scalar depends on.

        Args:
            gradient: weights of the values, where there are several; labelled like this tensor.
            retain_graph: keep the graph for another pass.
            create_graph: record the gradients' own derivatives.

        Raises:
            AlignmentError: there are several values and no weights.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).requires_grad_()
            >>> a.sum().backward()
            >>> a.grad.tolist()
            [1.0, 1.0]
        """
        if gradient is None and self._tensor.numel() != 1:
            raise AlignmentError(
                f"cannot go backward from {call_name(self)} with sizes {dict(self.sizes)}: "
                "a gradient is that of one number. Reduce it first, as in sum(), or pass weights."
            )
        weights = gradient
        if isinstance(gradient, Labelled):
            weights = conform(gradient, self._layout, "go backward with weights")
        self._tensor.backward(weights, retain_graph=retain_graph, create_graph=create_graph)  # type: ignore[no-untyped-call]

    def detach(self) -> Self:
        """The same values, cut off from the graph.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0], {"region": ["SFO"]}).requires_grad_()
            >>> (a * 2).detach().requires_grad
            False
        """
        return wrap(self, self._tensor.detach(), self._layout, self._name)

    # In place

    def copy_(self, other: Operand) -> Self:
        """Overwrite the values by label, in place.

        Args:
            other: a number, or labelled values that cover this tensor's labels.

        Raises:
            AlignmentError: a label of this tensor is missing in ``other``.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> a.copy_(IndexTensor([5.0, 6.0], {"region": ["LAX", "SFO"]})).tolist()
            [6.0, 5.0]
        """
        self._tensor.copy_(self._covering(other, "copy"))
        return self

    def add_(self, other: Operand) -> Self:
        """Add in place; the layout stays.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).add_(2.0).tolist()
            [3.0]
        """
        self._tensor.add_(self._covering(other, "add_"))
        return self

    def sub_(self, other: Operand) -> Self:
        """Subtract in place; the layout stays.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).sub_(2.0).tolist()
            [-1.0]
        """
        self._tensor.sub_(self._covering(other, "sub_"))
        return self

    def mul_(self, other: Operand) -> Self:
        """Multiply in place; the layout stays.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0], {"region": ["SFO"]}).mul_(2.0).tolist()
            [4.0]
        """
        self._tensor.mul_(self._covering(other, "mul_"))
        return self

    def div_(self, other: Operand) -> Self:
        """Divide in place; the layout stays.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0], {"region": ["SFO"]}).div_(2.0).tolist()
            [1.0]
        """
        self._tensor.div_(self._covering(other, "div_"))
        return self

    def fill_(self, value: float) -> Self:
        """Overwrite every value, in place.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0], {"region": ["SFO"]}).fill_(0.0).tolist()
            [0.0]
        """
        self._tensor.fill_(value)
        return self

    def clamp_(self, min: float | None = None, max: float | None = None) -> Self:
        """Keep values between bounds, in place.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0], {"region": ["SFO"]}).clamp_(max=1.0).tolist()
            [1.0]
        """
        self._tensor.clamp_(min=min, max=max)
        return self

    def _covering(self, other: Any, symbol: str) -> Any:
        if isinstance(other, Labelled):
            return conform(other, self._layout, f"{symbol} into {call_name(self)} in place")
        scalar = as_scalar(other, symbol, self)
        if scalar is NotImplemented:
            raise TypeError(f"cannot {symbol} a {type(other).__name__} in place.")
        return scalar
