"""Selecting from all members of a panel at once: by label, by position, by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from dagcast_core.tensor._errors import LabelError
from dagcast_core.tensor._index import DimLike, dim_name
from dagcast_core.tensor._panel._members import Members
from dagcast_core.tensor._select import named_items
from dagcast_core.tensor._tensor import IndexTensor


class Select(Members):
    """How the members of a `Panel` are cut along their dims."""

    __slots__ = ()

    def sel(self, by: Mapping[Any, Any] | None = None, /, **labels: Any) -> Self:
        """Select by label in every member that has the dim; see `IndexTensor.sel`.

        Raises:
            LabelError: a label does not exist, or no member has a dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "a")])
            >>> panel.sel(hour=slice(1, 1))["a"].tolist()
            [2.0]
        """
        items = named_items(by, labels)
        for dim, _ in items:
            if not any(dim in tensor.layout.where for tensor in self._tensors.values()):
                raise LabelError(f"cannot select along {dim!r}: no member of the panel has it.")
        return self.map(
            lambda t: t.sel({dim: label for dim, label in items if dim in t.layout.where})
        )

    def isel(self, by: Mapping[Any, Any] | None = None, /, **positions: Any) -> Self:
        """Select by position in every member that has the dim; see `IndexTensor.isel`.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "a")])
            >>> panel.isel(hour=-1)["a"].item()
            2.0
        """
        items = named_items(by, positions)
        return self.map(lambda t: t.isel({d: p for d, p in items if d in t.layout.where}))

    def between(self, start: Any = None, end: Any = None, dim: DimLike = "hour") -> Self:
        """The time from one instant to another, both included.

        Args:
            start: first time; from the beginning by default.
            end: last time; to the end by default.
            dim: the dim of time; members without it stay as they are.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> import pandas as pd
            >>> hours = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
            >>> panel = Panel([IndexTensor([1.0, 2.0, 3.0], {"hour": hours}, "a")])
            >>> panel.between("2024-01-01T01:00Z")["a"].tolist()
            [2.0, 3.0]
        """
        return self.sel({dim: slice(start, end)})

    def align(self, *dims: DimLike) -> Self:
        """Members cut to the labels that all of them share along dims.

        Args:
            dims: dims to align; all by default.

        Raises:
            AlignmentError: no labels are shared.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> a = IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "a")
            >>> Panel([a, a.isel(hour=[1]).named("b")]).align()["a"].tolist()
            [2.0]
        """
        out: Self = self
        found = dict.fromkeys(d for t in self._tensors.values() for d in t.dims)
        for dim in [dim_name(d) for d in dims] or list(found):
            having = [t for t in out._tensors.values() if dim in t.layout.where]
            shared: Any = _labels_of(having[0], dim)
            for tensor in having[1:]:
                shared = shared * _labels_of(tensor, dim)
            out = out.sel({dim: shared.index(dim)})
        return out


def _labels_of(tensor: IndexTensor, dim: str) -> IndexTensor:
    """A tensor that has nothing but labels along a dim."""
    return IndexTensor.zeros({dim: tensor.index(dim)}, tensor.name)
