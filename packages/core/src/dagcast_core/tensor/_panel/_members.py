"""The members of a panel: what it holds by name, and which of it another panel keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import pandas as pd
import torch

from dagcast_core.tensor._errors import AlignmentError, LabelError, show_sides
from dagcast_core.tensor._index import DimLike, dim_name
from dagcast_core.tensor._tensor import IndexTensor


class Members(Mapping[str, IndexTensor]):
    """Storage of a `Panel` and its members by name; the rest is mixed in by subject."""

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
                    "name it, as in tensor.named('demand')."
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
        return type(self), (dict(self._tensors),)

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

    def select(self, *names: str) -> Self:
        """Only the members named, in that order.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a, a.named("b")]).select("b"))
            ['b']
        """
        return type(self)({name: self[name] for name in names})

    def drop(self, *names: str) -> Self:
        """All members but those named.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a, a.named("b")]).drop("b"))
            ['a']
        """
        for name in names:
            self[name]
        return type(self)({name: t for name, t in self._tensors.items() if name not in names})

    def assign(self, tensors: Mapping[str, IndexTensor] | None = None, /, **more: Any) -> Self:
        """This panel with members added or replaced.

        Args:
            tensors: tensors by name; another panel will do.
            more: further tensors by name.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> a = IndexTensor(1.0, {}, "a")
            >>> list(Panel([a]).assign(b=a + 1))
            ['a', 'b']
        """
        return type(self)({**self._tensors, **(tensors or {}), **more})

    def map(self, function: Callable[[IndexTensor], IndexTensor]) -> Self:
        """Apply a function to every member.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> Panel([IndexTensor(1.0, {}, "a")]).map(lambda t: t + 1)["a"].item()
            2.0
        """
        return type(self)({name: function(tensor) for name, tensor in self._tensors.items()})

    def rename(self, names: Mapping[str, str]) -> Self:
        """Members under other names.

        Args:
            names: new name by old; others stay.

        Raises:
            LabelError: a name does not exist.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> list(Panel([IndexTensor(1.0, {}, "a")]).rename({"a": "b"}))
            ['b']
        """
        for name in names:
            self[name]
        return type(self)([t.named(names.get(name, name)) for name, t in self._tensors.items()])

    # Labels

    def index(self, dim: DimLike) -> pd.Index:
        """Labels along a dim, on which all members that have it agree.

        Raises:
            LabelError: no member has the dim.
            AlignmentError: members differ.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
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

    # Place and gradients

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """Members on another device or with another dtype.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> Panel([IndexTensor(1.0, {}, "a")]).to("cpu")["a"].device
            device(type='cpu')
        """
        return self.map(lambda tensor: tensor.to(target))

    def detach(self) -> Self:
        """Members cut off from the graph.

        Example:
            >>> from dagcast_core.tensor import IndexTensor, Panel
            >>> Panel([IndexTensor(1.0, {}, "a")]).detach()["a"].requires_grad
            False
        """
        return self.map(lambda tensor: tensor.detach())
