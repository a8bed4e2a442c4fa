"""Panels: immutable sets of tensors by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import pandas as pd
import torch

from dagcast_core.tensor._errors import AlignmentError, LabelError, show_sides
from dagcast_core.tensor._index import DimLike, dim_name
from dagcast_core.tensor._select import named_items
from dagcast_core.tensor._store import load_tensors, save_tensors
from dagcast_core.tensor._tensor import IndexTensor

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr


@final
class Panel(Mapping[str, IndexTensor]):
    """An immutable set of labelled tensors by name.

    Members may have different dims and labels. Every method returns a new panel.

    Args:
        tensors: tensors by name, or tensors that carry their names.
        more: further tensors by name.

    Raises:
        TypeError: a member is no IndexTensor.
        AlignmentError: a tensor in a list has no name, or two have the same.

    Example:
        >>> rides = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}, "rides")
        >>> panel = Panel([rides, rides.named("requests")])
        >>> list(panel), panel["requests"].name
        (['rides', 'requests'], 'requests')
        >>> panel.sel(region="LAX")["rides"].item()
        2.0
    """

    __slots__ = ("__weakref__", "_tensors")

    def __init__(self, tensors: Any = (), /, **more: IndexTensor) -> None:
        found: dict[str, IndexTensor] = {}
        if isinstance(tensors, Mapping):
            named = list(tensors.items())
        else:
            named = [(getattr(tensor, "name", None), tensor) for tensor in tensors]
        for name, tensor in (*named, *more.items()):
            if not isinstance(tensor, IndexTensor):
                raise TypeError(
                    f"cannot put a {type(tensor).__name__} into a Panel as {name!r}: "
                    "its members are IndexTensors."
                )
            if not isinstance(name, str):
                raise AlignmentError(
                    "cannot put a tensor without a name into a Panel: "
                    "name it, as in tensor.named('rides')."
                )
            if name in found:
                raise AlignmentError(f"cannot put two tensors named {name!r} into a Panel.")
            found[name] = tensor if tensor.name == name else tensor.named(name)
        self._tensors = MappingProxyType(found)

    # A mapping

    def __getitem__(self, name: str) -> IndexTensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise LabelError(
                f"cannot take {name!r} from the panel: it holds {list(self._tensors)}."
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return Panel, (dict(self._tensors),)

    def __repr__(self) -> str:
        if not self._tensors:
            return "Panel (empty)"
        width = max(map(len, self._tensors))
        lines = [f"Panel of {len(self._tensors)}"]
        for name, tensor in self._tensors.items():
            sizes = ", ".join(f"{dim}: {size}" for dim, size in tensor.sizes.items())
            kind = str(tensor.dtype).removeprefix("torch.")
            lines.append(f"  {name:<{width}}  ({sizes}) {kind} {tensor.device}")
        return "\n".join(lines)

    # Members

    def select(self, *names: str) -> Panel:
        """Only the members named, in that order.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a, a.named("b")]).select("b"))
            ['b']
        """
        return Panel({name: self[name] for name in names})

    def drop(self, *names: str) -> Panel:
        """All members but those named.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a, a.named("b")]).drop("b"))
            ['a']
        """
        for name in names:
            self[name]
        return Panel({name: t for name, t in self._tensors.items() if name not in names})

    def assign(self, tensors: Mapping[str, IndexTensor] | None = None, /, **more: Any) -> Panel:
        """This panel with members added or replaced.

        Args:
            tensors: tensors by name; another panel will do.
            more: further tensors by name.

        Example:
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a]).assign(b=a + 1))
            ['a', 'b']
        """
        return Panel({**self._tensors, **(tensors or {}), **more})

    def map(self, function: Callable[[IndexTensor], IndexTensor]) -> Panel:
        """Apply a function to every member.

        Example:
            >>> Panel([IndexTensor(1.0, {}, "a")]).map(lambda t: t + 1)["a"].item()
            2.0
        """
        return Panel({name: function(tensor) for name, tensor in self._tensors.items()})

    # Labels

    def index(self, dim: DimLike) -> pd.Index:
        """Labels along a dim, on which all members that have it agree.

        Raises:
            LabelError: no member has the dim.
            AlignmentError: members differ.

        Example:
            >>> Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")]).index("region").tolist()
            ['SFO']
        """
        name = dim_name(dim)
        having = [t for t in self._tensors.values() if name in t.layout.where]
        if not having:
            raise LabelError(f"cannot take labels along {name!r}: no member has that dim.")
        first = having[0].layout.axis(name)
        for tensor in having[1:]:
            if tensor.layout.axis(name) is not first:
                raise AlignmentError(
                    f"cannot take labels along {name!r}: members differ.\n"
                    + show_sides(
                        (str(having[0].name), first.index),
                        (str(tensor.name), tensor.index(name)),
                    )
                    + "\nAsk a member, as in panel[name].index(dim), or align() the panel.",
                    dim=name,
                    left=first.index,
                    right=tensor.index(name),
                )
        return first.index

    def sel(self, by: Mapping[Any, Any] | None = None, /, **labels: Any) -> Panel:
        """Select by label in every member that has the dim; see `IndexTensor.sel`.

        Raises:
            LabelError: a label does not exist, or no member has a dim.

        Example:
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

    def isel(self, by: Mapping[Any, Any] | None = None, /, **positions: Any) -> Panel:
        """Select by position in every member that has the dim; see `IndexTensor.isel`.

        Example:
            >>> panel = Panel([IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "a")])
            >>> panel.isel(hour=-1)["a"].item()
            2.0
        """
        items = named_items(by, positions)
        return self.map(lambda t: t.isel({d: p for d, p in items if d in t.layout.where}))

    def between(self, start: Any = None, end: Any = None, dim: DimLike = "hour") -> Panel:
        """The time from one instant to another, both included.

        Args:
            start: first time; from the beginning by default.
            end: last time; to the end by default.
            dim: the dim of time; members without it stay as they are.

        Example:
            >>> import pandas as pd
            >>> hours = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
            >>> panel = Panel([IndexTensor([1.0, 2.0, 3.0], {"hour": hours}, "a")])
            >>> panel.between("2024-01-01T01:00Z")["a"].tolist()
            [2.0, 3.0]
        """
        return self.sel({dim: slice(start, end)})

    def rename(self, names: Mapping[str, str]) -> Panel:
        """Members under other names.

        Args:
            names: new name by old; others stay.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> list(Panel([IndexTensor(1.0, {}, "a")]).rename({"a": "b"}))
            ['b']
        """
        for name in names:
            self[name]
        return Panel([t.named(names.get(name, name)) for name, t in self._tensors.items()])

    def align(self, *dims: DimLike) -> Panel:
        """Members cut to the labels that all of them share along dims.

        Args:
            dims: dims to align; all by default.

        Raises:
            AlignmentError: no labels are shared.

        Example:
            >>> a = IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "a")
            >>> Panel([a, a.isel(hour=[1]).named("b")]).align()["a"].tolist()
            [2.0]
        """
        out = self
        found = dict.fromkeys(d for t in self._tensors.values() for d in t.dims)
        for dim in [dim_name(d) for d in dims] or list(found):
            having = [t for t in out._tensors.values() if dim in t.layout.where]
            shared: Any = _labels_of(having[0], dim)
            for tensor in having[1:]:
                shared = shared * _labels_of(tensor, dim)
            out = out.sel({dim: shared.index(dim)})
        return out

    # Place and gradients

    def to(self, target: torch.device | torch.dtype | str) -> Panel:
        """Members on another device or with another dtype.

        Example:
            >>> Panel([IndexTensor(1.0, {}, "a")]).to("cpu")["a"].device
            device(type='cpu')
        """
        return self.map(lambda tensor: tensor.to(target))

    def detach(self) -> Panel:
        """Members cut off from the graph.

        Example:
            >>> Panel([IndexTensor(1.0, {}, "a")]).detach()["a"].requires_grad
            False
        """
        return self.map(lambda tensor: tensor.detach())

    # Other libraries and disk

    def to_pandas(self) -> dict[str, pd.Series[Any]]:
        """One Series per member.

        Example:
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
        from dagcast_core.tensor._align import align

        with align("exact"):
            aligned = align(*members) if len(members) > 1 else tuple(members)
        order = aligned[0].dims
        return pd.DataFrame({t.name: t.transpose(*order).to_series() for t in aligned})

    @classmethod
    def from_pandas(cls, tables: pd.DataFrame | Mapping[str, pd.Series[Any]]) -> Panel:
        """From a DataFrame whose columns are members, or from one Series per member.

        Args:
            tables: index levels, all named, are the dims.

        Example:
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> Panel.from_pandas(panel.to_frame())["a"].dims
            ('region',)
        """
        return cls({str(name): IndexTensor.from_series(s, str(name)) for name, s in tables.items()})

    def to_arrow(self) -> dict[str, pa.Table]:
        """One long Arrow table per member.

        Example:
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> panel.to_arrow()["a"].num_rows
            1
        """
        return {name: tensor.to_arrow() for name, tensor in self._tensors.items()}

    @classmethod
    def from_arrow(cls, tables: Mapping[str, pa.Table]) -> Panel:
        """From one long Arrow table per member: its last column holds the values.

        Example:
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
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> list(panel.to_xarray().data_vars)
            ['a']
        """
        import xarray as xr

        for dim in dict.fromkeys(d for tensor in self._tensors.values() for d in tensor.dims):
            self.index(dim)
        return xr.Dataset({name: tensor.to_xarray() for name, tensor in self._tensors.items()})

    @classmethod
    def from_xarray(cls, dataset: xr.Dataset) -> Panel:
        """From an xarray Dataset in which every dim has an index.

        Example:
            >>> panel = Panel([IndexTensor([1.0], {"region": ["SFO"]}, "a")])
            >>> Panel.from_xarray(panel.to_xarray())["a"].tolist()
            [1.0]
        """
        return cls({str(n): IndexTensor.from_xarray(a) for n, a in dataset.data_vars.items()})

    def save(self, folder: str | Path) -> None:
        """Write the panel to a folder of safetensors, Arrow and JSON files.

        Args:
            folder: where to write; created.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Panel([IndexTensor(1.0, {}, "a")]).save(folder)
            ...     list(Panel.load(folder))
            ['a']
        """
        save_tensors(self._tensors, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Panel:
        """Read a panel that `save` wrote.

        Raises:
            FileNotFoundError: there is nothing to read.
            ValueError: the folder is of another format.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Panel([IndexTensor(1.0, {}, "a")]).save(folder)
            ...     Panel.load(folder)["a"].item()
            1.0
        """
        return cls(load_tensors(folder, IndexTensor))


def _labels_of(tensor: IndexTensor, dim: str) -> IndexTensor:
    """A tensor that has nothing but labels along a dim."""
    return IndexTensor.zeros({dim: tensor.index(dim)}, tensor.name)
