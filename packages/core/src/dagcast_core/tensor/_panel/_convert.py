"""A panel from and to pandas, Arrow and xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from dagcast_core.tensor._align import align
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._panel._members import Members
from dagcast_core.tensor._tensor import IndexTensor

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr


class Convert(Members):
    """How a `Panel` is exchanged with other libraries."""

    __slots__ = ()

    def to_pandas(self) -> dict[str, pd.Series[Any]]:
        """One Series per member.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> panel.to_pandas()["a"]["SFO"].item()
            1.0
        """
        return {name: tensor.to_series() for name, tensor in self._tensors.items()}

    def to_frame(self) -> pd.DataFrame:
        """One table with a column per member; members share all dims and labels.

        Raises:
            AlignmentError: members differ in dims or labels.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> panel.to_frame().loc["SFO", "a"].item()
            1.0
        """
        members = list(self._tensors.values())
        for tensor in members[1:]:
            if set(tensor.dims) != set(members[0].dims):
                raise AlignmentError(
                    f"cannot put {members[0].name} and {tensor.name} into one table: their dims "
                    f"differ, {members[0].dims} against {tensor.dims}. select() those that share."
                )
        with align("exact"):
            aligned = align(*members) if len(members) > 1 else tuple(members)
        order = aligned[0].dims
        return pd.DataFrame({t.name: t.transpose(*order).to_series() for t in aligned})

    @classmethod
    def from_pandas(cls, tables: pd.DataFrame | Mapping[str, pd.Series[Any]]) -> Self:
        """From a DataFrame whose columns are members, or from one Series per member.

        Args:
            tables: index levels, all named, are the dims.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> Panel.from_pandas(panel.to_frame())["a"].dims
            ('region',)
        """
        return cls({str(name): IndexTensor.from_series(s, str(name)) for name, s in tables.items()})

    def to_arrow(self) -> dict[str, pa.Table]:
        """One long Arrow table per member.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> panel.to_arrow()["a"].num_rows
            1
        """
        return {name: tensor.to_arrow() for name, tensor in self._tensors.items()}

    @classmethod
    def from_arrow(cls, tables: Mapping[str, pa.Table]) -> Self:
        """From one long Arrow table per member: its last column holds the values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> Panel.from_arrow(panel.to_arrow())["a"].tolist()
            [1.0]
        """
        return cls(
            {
                name: IndexTensor.from_arrow(
                    table, table.column_names[:-1], table.column_names[-1], name=name
                )
                for name, table in tables.items()
            }
        )

    def to_xarray(self) -> xr.Dataset:
        """An xarray Dataset; members that share a dim have the same labels along it.

        Raises:
            AlignmentError: members differ along a shared dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> list(panel.to_xarray().data_vars)
            ['a']
        """
        import xarray as xr

        for dim in dict.fromkeys(d for tensor in self._tensors.values() for d in tensor.dims):
            self.index(dim)
        return xr.Dataset({name: tensor.to_xarray() for name, tensor in self._tensors.items()})

    @classmethod
    def from_xarray(cls, dataset: xr.Dataset) -> Self:
        """From an xarray Dataset in which every dim has an index.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> Panel.from_xarray(panel.to_xarray())["a"].tolist()
            [1.0]
        """
        return cls({str(n): IndexTensor.from_xarray(a) for n, a in dataset.data_vars.items()})
