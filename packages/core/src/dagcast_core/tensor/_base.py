"""The wrapper itself: a tensor, its layout and its name, and what can be read from them."""

from __future__ import annotations

import copy
import html
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from dagcast_core.tensor._errors import AlignmentError, show_label
from dagcast_core.tensor._index import DimLike, dim_name
from dagcast_core.tensor._layout import Indexes, Layout, as_index_mapping, layout_of

Scalar: TypeAlias = float | int | bool
Values: TypeAlias = "torch.Tensor | npt.NDArray[Any] | Scalar | list[Any] | tuple[Any, ...]"

new = object.__new__


class Labelled:
    """Storage and plain attributes of an `IndexTensor`; operations are mixed in by subject."""

    __slots__ = ("_layout", "_name", "_tensor")

    _tensor: torch.Tensor
    _layout: Layout
    _name: str | None

    # numpy must leave operators to us, or `array * a` would lose the labels in silence.
    __array_ufunc__ = None
    # The same for pandas: higher than a DataFrame's own 4000.
    __pandas_priority__ = 5000

    def __init__(self, tensor: Values, indexes: Indexes, name: str | None = None) -> None:
        layout = layout_of(indexes)
        values = as_tensor(tensor)
        if tuple(values.shape) != layout.shape:
            sizes = ", ".join(f"{d}: {n}" for d, n in zip(layout.dims, layout.shape, strict=True))
            raise AlignmentError(
                f"cannot label {name or 'a tensor'} of shape {tuple(values.shape)} with indexes "
                f"of sizes ({sizes}): each dim needs one index of its own length, in order."
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"cannot name a tensor {name!r}: a name is text or None.")
        self._tensor = values
        self._layout = layout
        self._name = name

    # What it holds

    @property
    def tensor(self) -> torch.Tensor:
        """The raw torch tensor, without labels."""
        return self._tensor

    @property
    def name(self) -> str | None:
        """What the values are called."""
        return self._name

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dims, in order."""
        return self._layout.dims

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of labels by dim, in order."""
        return MappingProxyType(dict(zip(self._layout.dims, self._layout.shape, strict=True)))

    @property
    def indexes(self) -> Mapping[str, pd.Index]:
        """Labels by dim, in order; what the constructor takes."""
        return MappingProxyType(as_index_mapping(self._layout))

    @property
    def layout(self) -> Layout:
        """Dims and labels as one object: equal layouts are identical, so compare with ``is``."""
        return self._layout

    @property
    def shape(self) -> torch.Size:
        """Shape of the raw tensor."""
        return self._tensor.shape

    @property
    def ndim(self) -> int:
        """Number of dims."""
        return len(self._layout.dims)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return self._tensor.dtype

    @property
    def device(self) -> torch.device:
        """Where the values live."""
        return self._tensor.device

    def index(self, dim: DimLike) -> pd.Index:
        """Labels along a dim.

        Args:
            dim: name of the dim, or a `Dim`.

        Returns:
            A pandas Index named after the dim.

        Raises:
            LabelError: there is no such dim.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> a.index("region").tolist()
            ['SFO', 'LAX']
        """
        return self._layout.axis(dim).index

    def numel(self) -> int:
        """Number of values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).numel()
            2
        """
        return self._tensor.numel()

    def values(self, *dims: DimLike) -> torch.Tensor:
        """The raw tensor with its dims in the order named: how to leave labels on purpose.

        Args:
            dims: every dim of the tensor, in the order wanted.

        Returns:
            A raw tensor, a view where torch can make one.

        Raises:
            AlignmentError: other dims than the tensor's are named.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.values("hour", "region").shape
            torch.Size([2, 1])
        """
        names = tuple(dim_name(dim) for dim in dims)
        if sorted(names) != sorted(self._layout.dims):
            raise AlignmentError(
                f"cannot take the values of {call_name(self)} by dims {names}: "
                f"its dims are {self._layout.dims}. Name each once."
            )
        return self._tensor.permute([self._layout.where[name] for name in names])

    def item(self) -> float:
        """The one value of a tensor without dims, or with one label per dim.

        Raises:
            ValueError: there are several values.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).sum().item()
            3.0
        """
        if self._tensor.numel() != 1:
            raise ValueError(
                f"cannot take the one value of {call_name(self)}: it has "
                f"{self._tensor.numel()}. Reduce it first, as in sum()."
            )
        return self._tensor.item()

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        if not self._layout.shape:
            raise TypeError(f"{call_name(self)} has no dims, so no length.")
        return self._layout.shape[0]

    def __iter__(self) -> Any:
        raise TypeError(
            f"cannot iterate over {call_name(self)}: say over which dim, as in unbind(dim)."
        )

    __hash__ = object.__hash__

    # The same values under another name, kind or place

    def named(self, name: str | None) -> Self:
        """The same tensor under another name.

        Args:
            name: what the values are called, or None.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).named("rides").name
            'rides'
        """
        return wrap(self, self._tensor, self._layout, name)

    def with_tensor(self, tensor: torch.Tensor) -> Self:
        """Other values of the same shape under the same labels and name.

        Args:
            tensor: raw tensor whose dims are in the order of this one.

        Raises:
            AlignmentError: the shapes differ.

        Example:
            >>> import torch
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]})
            >>> a.with_tensor(torch.zeros(2)).tolist()
            [0.0, 0.0]
        """
        if tuple(tensor.shape) != self._layout.shape:
            raise AlignmentError(
                f"cannot put values of shape {tuple(tensor.shape)} under the labels of "
                f"{call_name(self)}: its sizes are {dict(self.sizes)}."
            )
        return wrap(self, tensor, self._layout, self._name)

    def tolist(self) -> Any:
        """Values as nested lists, in the order of the dims.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).tolist()
            [1.0, 2.0]
        """
        return self._tensor.tolist()

    def numpy(self) -> npt.NDArray[Any]:
        """Values as a numpy array, detached, in the order of the dims.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}).numpy()
            array([1., 2.])
        """
        return self._tensor.detach().cpu().numpy()

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """The same tensor on another device or with another dtype.

        Args:
            target: device or dtype.

        Example:
            >>> import torch
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).to(torch.float32).dtype
            torch.float32
        """
        return wrap(self, self._tensor.to(target), self._layout, self._name)

    def cpu(self) -> Self:
        """The same tensor in main memory.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0], {"region": ["SFO"]}).cpu().device
            device(type='cpu')
        """
        return wrap(self, self._tensor.cpu(), self._layout, self._name)

    def double(self) -> Self:
        """The same tensor as float64.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1], {"region": ["SFO"]}).double().dtype
            torch.float64
        """
        return wrap(self, self._tensor.double(), self._layout, self._name)

    def contiguous(self) -> Self:
        """The same tensor with its values laid out in memory in the order of the dims.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": [0, 1]})
            >>> a.transpose("hour", "region").contiguous().tensor.is_contiguous()
            True
        """
        return wrap(self, self._tensor.contiguous(), self._layout, self._name)

    def clone(self) -> Self:
        """A copy of the values; gradients flow to the original.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0], {"region": ["SFO"]})
            >>> a.clone().tensor is a.tensor
            False
        """
        return wrap(self, self._tensor.clone(), self._layout, self._name)

    def __copy__(self) -> Self:
        return wrap(self, self._tensor, self._layout, self._name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return wrap(self, copy.deepcopy(self._tensor, memo), self._layout, self._name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process has its own interned layouts, so labels travel as pandas indexes.
        return type(self), (self._tensor, as_index_mapping(self._layout), self._name)

    # What a reader sees

    def __repr__(self) -> str:
        title, rows, value = _summary(self)
        width = max((len(dim) for dim, _ in rows), default=0)
        lines = [title, *(f"  {dim:<{width}}  {labels}" for dim, labels in rows)]
        return "\n".join(lines) + (f" = {value}" if value else "")

    def _repr_html_(self) -> str:
        title, rows, value = _summary(self)
        body = "".join(
            f"<tr><th>{html.escape(dim)}</th><td>{html.escape(labels)}</td></tr>"
            for dim, labels in rows
        )
        shown = f" = {html.escape(value)}" if value else ""
        return f"<div><code>{html.escape(title)}{shown}</code><table>{body}</table></div>"


LabelledT = TypeVar("LabelledT", bound=Labelled)


def wrap(like: LabelledT, tensor: torch.Tensor, layout: Layout, name: str | None) -> LabelledT:
    """A tensor of the same class from parts known to fit; checks nothing.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0], {"region": ["SFO"]})
        >>> wrap(a, a.tensor * 2, a.layout, "double").tolist()
        [2.0]
    """
    out = new(like.__class__)
    out._tensor = tensor
    out._layout = layout
    out._name = name
    return out


def as_tensor(values: Any) -> torch.Tensor:
    """Values as a torch tensor; Python numbers become float64 or int64.

    Raises:
        TypeError: the values are no numbers.

    Example:
        >>> as_tensor([1.0, 2.0]).dtype
        torch.float64
    """
    if isinstance(values, torch.Tensor):
        return values
    if isinstance(values, Labelled):
        raise TypeError(
            "cannot label an IndexTensor again: use with_tensor(), relabel() or rename()."
        )
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"cannot make a tensor of values of type {array.dtype}: "
            "values are numbers; text and times belong into an index."
        )
    # A copy: later changes of the caller's array must not reach into a labelled tensor.
    return torch.from_numpy(np.array(array, order="C", copy=True))


def call_name(value: Labelled) -> str:
    """How messages call a tensor: its name, or "the tensor".

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> call_name(IndexTensor(1.0, {}, "rides"))
        'rides'
    """
    return value._name or "the tensor"


def _summary(value: Labelled) -> tuple[str, list[tuple[str, str]], str]:
    layout, tensor = value._layout, value._tensor
    sizes = ", ".join(f"{d}: {n}" for d, n in zip(layout.dims, layout.shape, strict=True))
    parts = ["IndexTensor", *([repr(value._name)] if value._name else []), f"({sizes})"]
    parts += [str(tensor.dtype).removeprefix("torch."), str(tensor.device)]
    if tensor.grad_fn is not None:
        parts.append(f"grad_fn={type(tensor.grad_fn).__name__}")
    elif tensor.requires_grad:
        parts.append("requires_grad")
    rows = [(axis.dim, _ends(axis.index)) for axis in layout.axes]
    try:
        shown = show_label(tensor.item()) if not layout.dims else ""
    except RuntimeError:  # inside vmap or grad a value cannot be read
        shown = "?"
    return " ".join(parts), rows, shown


def _ends(index: pd.Index) -> str:
    if len(index) == 0:
        return "no labels"
    if len(index) <= 3:
        return ", ".join(show_label(label) for label in index)
    return f"{show_label(index[0])}, {show_label(index[1])} ... {show_label(index[-1])}"
