"""Tensors made from labels and one value."""

from __future__ import annotations

from typing import Self

import torch

from dagcast_core.tensor._base import Labelled, wrap
from dagcast_core.tensor._layout import Indexes, as_index_mapping, layout_of


class Create(Labelled):
    """How an `IndexTensor` is made from nothing but labels."""

    __slots__ = ()

    @classmethod
    def full(
        cls,
        indexes: Indexes,
        value: float,
        name: str | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """One value under every label.

        Args:
            indexes: labels by dim.
            value: the value.
            name: name of the tensor.
            dtype: float64 for a real value, int64 or bool otherwise, unless given.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor.full({"region": ["SFO", "LAX"]}, 2.0).tolist()
            [2.0, 2.0]
        """
        layout = layout_of(indexes)
        if dtype is None:
            dtype = {bool: torch.bool, int: torch.int64}.get(type(value), torch.float64)
        tensor = torch.full(layout.shape, value, dtype=dtype)
        return cls(tensor, as_index_mapping(layout), name)

    @classmethod
    def zeros(cls, indexes: Indexes, name: str | None = None) -> Self:
        """0.0 under every label.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor.zeros({"region": ["SFO"]}).tolist()
            [0.0]
        """
        return cls.full(indexes, 0.0, name)

    @classmethod
    def ones(cls, indexes: Indexes, name: str | None = None) -> Self:
        """1.0 under every label.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor.ones({"region": ["SFO"]}).tolist()
            [1.0]
        """
        return cls.full(indexes, 1.0, name)

    def full_like(self, value: float) -> Self:
        """One value under the labels of this tensor.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).full_like(3.0).tolist()
            [3.0]
        """
        filled = torch.full_like(self._tensor, value, requires_grad=False)
        return wrap(self, filled, self._layout, self._name)

    def zeros_like(self) -> Self:
        """0 under the labels of this tensor.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).zeros_like().tolist()
            [0.0]
        """
        return self.full_like(0)

    def ones_like(self) -> Self:
        """1 under the labels of this tensor.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0], {"region": ["SFO"]}).ones_like().tolist()
            [1.0]
        """
        return self.full_like(1)
