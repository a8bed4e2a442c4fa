"""To and from pandas, xarray, Arrow and numpy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from dagcast_core.tensor._base import Labelled, call_name
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._index import Axis, DimLike, dim_name
from dagcast_core.tensor._layout import Indexes
from dagcast_core.tensor._tables import from_columns

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr

T = TypeVar("T", bound=Labelled)


class Convert(Labelled):
    """How an `IndexTensor` leaves and enters other libraries."""

    __slots__ = ()

    # Out

    def to_series(self) -> pd.Series[Any]:
        """A pandas Series: one index level per dim, one row per cell.

        Raises:
            AlignmentError: there are no dims to index by.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}, "rides").to_series().to_dict()
            {'SFO': 1.0}
        """
        axes = self._layout.axes
        if not axes:
            raise AlignmentError(
                f"cannot make a Series of {call_name(self)}: it has no dims. Use item()."
            )
        values = self.numpy().reshape(-1).copy()
        if len(axes) == 1:
            return pd.Series(values, index=axes[0].index, name=self._name)
        return pd.Series(values, index=_product(axes), name=self._name)

    def to_frame(self, columns: DimLike | None = None) -> pd.DataFrame:
        """A pandas DataFrame with one dim as columns and the others as rows.

        Args:
            columns: dim whose labels are the columns; the last dim by default. A single dim
                gives one column of values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.to_frame().loc["SFO", 1].item()
            2.0
        """
        if len(self._layout.axes) < 2:
            return self.to_series().to_frame(self._name or "value")
        wide = self.dims[-1] if columns is None else dim_name(columns)
        rows = [dim for dim in self.dims if dim != wide]
        values = self.values(*rows, wide).detach().cpu().numpy()
        axes = [self._layout.axis(dim) for dim in rows]
        index = axes[0].index if len(axes) == 1 else _product(tuple(axes))
        across = self._layout.axis(wide).index
        return pd.DataFrame(
            values.reshape(len(index), len(across)).copy(), index=index, columns=across
        )

    def to_long(self, value: str | None = None) -> pd.DataFrame:
        """A long table: one column per dim and one of values.

        Args:
            value: name of the column of values; the tensor's name, or "value", by default.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}, "rides").to_long().columns.tolist()
            ['region', 'rides']
        """
        name = value or self._name or "value"
        if name in self.dims:
            raise AlignmentError(
                f"cannot make a table of {call_name(self)}: {name!r} names a dim too. "
                "Pass value=..."
            )
        if not self._layout.axes:
            return pd.DataFrame({name: [self.item()]})
        columns: dict[str, Any] = {}
        total = self._tensor.numel()
        inner = total
        for axis in self._layout.axes:
            inner = inner // max(axis.size, 1)
            outer = total // max(axis.size * inner, 1)
            positions = np.tile(np.repeat(np.arange(axis.size), inner), outer)
            columns[axis.dim] = axis.index.take(positions)
        columns[name] = self.numpy().reshape(-1).copy()
        return pd.DataFrame(columns)

    def to_arrow(self, value: str | None = None) -> pa.Table:
        """A long Arrow table: one column per dim and one of values.

        Args:
            value: name of the column of values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}, "rides").to_arrow().column_names
            ['region', 'rides']
        """
        import pyarrow as pa

        return pa.Table.from_pandas(self.to_long(value), preserve_index=False)

    def to_xarray(self) -> xr.DataArray:
        """An xarray DataArray with the same dims, labels and name.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}, "rides").to_xarray().dims
            ('region',)
        """
        import xarray as xr

        coords: dict[Hashable, Any] = {}
        for axis in self._layout.axes:
            if isinstance(axis.index, pd.MultiIndex):
                coords.update(xr.Coordinates.from_pandas_multiindex(axis.index, axis.dim))
            else:
                coords[axis.dim] = axis.index
        return xr.DataArray(self.numpy().copy(), coords=coords, dims=self.dims, name=self._name)

    # In

    @classmethod
    def from_series(cls, series: pd.Series[Any], name: str | None = None) -> Self:
        """From a pandas Series whose index levels, all named, are the dims.

        Args:
            series: one row per cell; missing combinations raise.
            name: name of the tensor; the Series' own by default.

        Raises:
            AlignmentError: a level has no name, a cell is missing or occurs twice.

        Example:
            >>> import pandas as pd
            >>> from dagcast_core.tensor import IndexTensor
            >>> index = pd.MultiIndex.from_product([["SFO"], [0, 1]], names=["region", "hour"])
            >>> IndexTensor.from_series(pd.Series([1.0, 2.0], index=index)).tolist()
            [[1.0, 2.0]]
        """
        name = name or (None if series.name is None else str(series.name))
        index = series.index
        levels = list(index.names)
        if any(level is None for level in levels):
            raise AlignmentError(
                f"cannot label {name or 'a Series'}: its index levels are called {levels}, and "
                "each becomes a dim. Name them, as in series.rename_axis([...])."
            )
        columns = {str(d): index.get_level_values(i) for i, d in enumerate(levels)}
        return from_columns(cls, columns, series.to_numpy(), name, None, None)

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, dims: Sequence[DimLike], name: str | None = None
    ) -> Self:
        """From a wide DataFrame: rows are the first dims, columns the last.

        Args:
            frame: values.
            dims: names of the dims, one per row level and one for the columns.
            name: name of the tensor.

        Raises:
            AlignmentError: the number of dims is wrong.

        Example:
            >>> import pandas as pd
            >>> from dagcast_core.tensor import IndexTensor
            >>> frame = pd.DataFrame([[1.0, 2.0]], index=["SFO"], columns=[0, 1])
            >>> IndexTensor.from_frame(frame, ("region", "hour")).sizes["hour"]
            2
        """
        names = [dim_name(dim) for dim in dims]
        if len(names) != frame.index.nlevels + 1:
            raise AlignmentError(
                f"cannot label a frame by {names}: it has {frame.index.nlevels} row levels and "
                "its columns, and each is one dim."
            )
        columns = frame.columns
        if frame.index.nlevels == 1:
            return cls(frame.to_numpy(), {names[0]: frame.index, names[1]: columns}, name)
        stacked = pd.Series(
            frame.to_numpy().reshape(-1),
            index=pd.MultiIndex.from_tuples(
                [(*row, column) for row in frame.index for column in columns], names=names
            ),
        )
        return cls.from_series(stacked, name)

    @classmethod
    def from_long(
        cls,
        table: pd.DataFrame,
        dims: Sequence[DimLike],
        value: str | None = None,
        *,
        name: str | None = None,
        labels: Mapping[Any, Any] | None = None,
        fill: float | None = None,
    ) -> Self:
        """From a long table: one column per dim and one of values.

        Args:
            table: one row per cell.
            dims: columns that are dims, in the order wanted.
            value: column of values; the only other column by default.
            name: name of the tensor; that of the column by default.
            labels: labels by dim; by default those that occur, times ascending and others in
                order of first appearance.
            fill: value of cells without a row; without it they raise.

        Raises:
            AlignmentError: a cell is missing or occurs twice, or a column does not exist.

        Example:
            >>> import pandas as pd
            >>> from dagcast_core.tensor import IndexTensor
            >>> table = pd.DataFrame({"region": ["SFO", "LAX"], "rides": [1.0, 2.0]})
            >>> IndexTensor.from_long(table, ["region"], "rides").tolist()
            [1.0, 2.0]
        """
        names = [dim_name(dim) for dim in dims]
        if value is None:
            others = [column for column in table.columns if column not in names]
            if len(others) != 1:
                raise AlignmentError(
                    f"cannot tell which column holds the values: besides {names} there are "
                    f"{others}. Pass value=..."
                )
            value = others[0]
        missing = [column for column in (*names, value) if column not in table.columns]
        if missing:
            raise AlignmentError(
                f"cannot read a tensor from the table: no columns {missing}; "
                f"found {list(table.columns)}."
            )
        columns = {dim: pd.Index(table[dim]) for dim in names}
        given = None if labels is None else {dim_name(d): v for d, v in labels.items()}
        values = table[value].to_numpy()
        return from_columns(cls, columns, values, name or str(value), given, fill)

    @classmethod
    def from_arrow(
        cls,
        table: pa.Table,
        dims: Sequence[DimLike],
        value: str | None = None,
        *,
        name: str | None = None,
        labels: Mapping[Any, Any] | None = None,
        fill: float | None = None,
    ) -> Self:
        """From a long Arrow table; see `from_long`.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> table = IndexTensor([1.0], {"region": ["SFO"]}, "rides").to_arrow()
            >>> IndexTensor.from_arrow(table, ["region"]).name
            'rides'
        """
        frame = table.to_pandas()
        return cls.from_long(frame, dims, value, name=name, labels=labels, fill=fill)

    @classmethod
    def from_numpy(
        cls, values: npt.NDArray[Any], indexes: Indexes, name: str | None = None
    ) -> Self:
        """From a numpy array, which is copied.

        Example:
            >>> import numpy as np
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor.from_numpy(np.ones(1), {"region": ["SFO"]}).tolist()
            [1.0]
        """
        return cls(np.asarray(values), indexes, name)

    @classmethod
    def from_xarray(cls, array: xr.DataArray) -> Self:
        """From an xarray DataArray in which every dim has an index.

        Raises:
            AlignmentError: a dim has no labels.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0], {"region": ["SFO"]}, "rides")
            >>> IndexTensor.from_xarray(a.to_xarray()).layout is a.layout
            True
        """
        bare = [dim for dim in array.dims if dim not in array.indexes]
        if bare:
            raise AlignmentError(
                f"cannot label {array.name or 'the array'}: its dims {bare} have no labels. "
                "Assign coordinates first."
            )
        indexes = {str(dim): array.indexes[dim] for dim in array.dims}
        return cls(array.values, indexes, None if array.name is None else str(array.name))


def labels_at(value: Labelled, position: int, found: torch.Tensor) -> Any:
    """Labels along a dim at the positions found, for each label of the other dims.

    Example:
        >>> import torch
        >>> from dagcast_core.tensor import IndexTensor
        >>> labels_at(IndexTensor([1.0, 2.0], {"n": [5, 6]}), 0, torch.tensor(1))
        6
    """
    axis = value._layout.axes[position]
    if found.dim() == 0:
        label = axis.index[int(found)]
        return label.item() if isinstance(label, np.generic) else label
    rest = value._layout.without((position,))
    index = rest.axes[0].index if len(rest.axes) == 1 else _product(rest.axes)
    labels = axis.index.take(found.reshape(-1).cpu().numpy())
    return pd.Series(labels, index=index, name=axis.dim)


def _product(axes: tuple[Axis, ...]) -> pd.MultiIndex:
    nested = [axis.dim for axis in axes if isinstance(axis.index, pd.MultiIndex)]
    if nested:
        raise AlignmentError(
            f"cannot make one pandas index of {[axis.dim for axis in axes]}: labels along "
            f"{nested} are tuples themselves. unstack() them first."
        )
    return pd.MultiIndex.from_product([axis.index for axis in axes], names=[a.dim for a in axes])
