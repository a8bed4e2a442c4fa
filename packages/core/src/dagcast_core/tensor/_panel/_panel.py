"""`Panel`: an immutable set of tensors by name."""

from __future__ import annotations

from typing import final

from dagcast_core.tensor._panel._convert import Convert
from dagcast_core.tensor._panel._select import Select
from dagcast_core.tensor._panel._store import Store


@final
class Panel(Select, Convert, Store):
    """An immutable set of labelled tensors by name.

    Members may have different dims and labels. Every method returns a new panel.

    Args:
        tensors: tensors by name, or tensors that carry their names.
        more: further tensors by name.

    Raises:
        TypeError: a member is no IndexTensor.
        AlignmentError: a tensor in a list has no name, or two have the same.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> rides = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}, "rides")
        >>> panel = Panel([rides, rides.named("requests")])
        >>> list(panel), panel["requests"].name
        (['rides', 'requests'], 'requests')
        >>> panel.sel(region="LAX")["rides"].item()
        2.0
    """

    __slots__ = ()
