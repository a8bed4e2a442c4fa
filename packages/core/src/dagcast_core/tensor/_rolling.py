"""Windows of positions along a dim."""

from __future__ import annotations

from typing import Generic, TypeVar, final

import torch

from dagcast_core.tensor._base import Labelled, wrap

T = TypeVar("T", bound=Labelled)


@final
class Rolling(Generic[T]):
    """Windows that end at each label of a dim."""

    __slots__ = ("_least", "_length", "_position", "_value")

    def __init__(self, value: T, position: int, length: int, least: int) -> None:
        self._value = value
        self._position = position
        self._length = length
        self._least = least

    def sum(self) -> T:
        """Sum of each window.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"n": [1, 2]}).rolling(n=2).sum().tolist()
            [nan, 3.0]
        """
        return self._finish(self._windows(0.0).sum(-1))

    def mean(self) -> T:
        """Mean of each window.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"n": [1, 2]}).rolling(n=2).mean().tolist()
            [nan, 1.5]
        """
        total = self._windows(0.0).sum(-1)
        return self._finish(total / self._counts(total))

    def min(self) -> T:
        """Smallest value of each window.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"n": [1, 2]}).rolling(n=2).min().tolist()
            [nan, 1.0]
        """
        return self._finish(self._windows(float("inf")).amin(-1))

    def max(self) -> T:
        """Largest value of each window.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"n": [1, 2]}).rolling(n=2).max().tolist()
            [nan, 2.0]
        """
        return self._finish(self._windows(float("-inf")).amax(-1))

    def std(self, correction: int = 1) -> T:
        """Standard deviation of each window.

        Args:
            correction: 1 divides by n - 1 (sample), 0 by n (population).

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 3.0], {"n": [1, 2]}).rolling(n=2).std(correction=0).tolist()
            [nan, 1.0]
        """
        windows = self._windows(0.0)
        count = self._counts(windows.sum(-1))
        centre = (windows.sum(-1) / count).unsqueeze(-1)
        inside = self._inside(windows)
        deviation = torch.where(inside, windows - centre, 0.0)
        return self._finish((deviation.square().sum(-1) / (count - correction)).sqrt())

    def _windows(self, neutral: float) -> torch.Tensor:
        tensor = self._value._tensor
        if not tensor.is_floating_point():
            tensor = tensor.double()
        tensor = tensor.movedim(self._position, -1)
        padding = tensor.new_full((*tensor.shape[:-1], self._length - 1), neutral)
        # shape: (other dims, labels, window), a view
        return torch.cat([padding, tensor], dim=-1).unfold(-1, self._length, 1)

    def _counts(self, like: torch.Tensor) -> torch.Tensor:
        size = like.shape[-1]
        return torch.arange(1, size + 1, device=like.device).clamp(max=self._length)

    def _inside(self, windows: torch.Tensor) -> torch.Tensor:
        size = windows.shape[-2]
        ends = torch.arange(size, device=windows.device).unsqueeze(1)
        offsets = torch.arange(self._length, device=windows.device) - self._length + 1
        return ends + offsets >= 0

    def _finish(self, combined: torch.Tensor) -> T:
        complete = self._counts(combined) >= self._least
        nan = torch.full_like(combined, float("nan"))
        tensor = torch.where(complete, combined, nan).movedim(-1, self._position)
        return wrap(self._value, tensor, self._value._layout, self._value._name)
