"""Quantities as arrays by row and hour, and put together along either as their contracts say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast.errors import ProjectError
from dagcast_core.contract import Quantity, Weighted

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor, Panel

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Mapping[str, Array]


@final
@dataclass(frozen=True)
class Axes:
    """The two axes of every array: rows, and hours.

    Attributes:
        dim: whose labels the rows are; empty where there are none.
        rows: its labels, as they are in the tensors.
        time: name of the time dim.
        hours: its labels.
    """

    dim: str
    rows: Any
    time: str
    hours: Any

    @classmethod
    def among(cls, quantities: Sequence[Quantity], panel: "Panel") -> "Axes":
        """Rows by the dim beside time that most quantities have, labels as in a panel.

        Raises:
            ProjectError: no quantity runs along time, or the panel lacks the labels.
        """
        times = [quantity.time_dim for quantity in quantities]
        time = next((dim.name for dim in times if dim is not None), "")
        counted = Counter(
            dim.name for quantity in quantities for dim in quantity.dims if dim.kind != "time"
        )
        dim = counted.most_common(1)[0][0] if counted else ""
        wanted = {name for name in (dim, time) if name}
        for tensor in panel.values():
            if time and wanted <= set(tensor.dims):
                rows = tensor.index(dim) if dim else ()
                return cls(dim, rows, time, tensor.index(time))
        raise ProjectError(
            f"inputs by {' and '.join(sorted(wanted)) or 'time'}",
            ", ".join(panel),
            "Ingest the calendar.",
        )


def arrays(
    known: Mapping[str, "IndexTensor"], quantities: Mapping[str, Quantity], axes: Axes
) -> dict[str, Array]:
    """Quantities as (rows, hour), or (1, hour) where they have no rows; other dims rolled up.

    Args:
        known: tensors by name; those a panel lacks are left out.
        quantities: to take, by name.
        axes: of the arrays.
    """
    found = {}
    for name, quantity in quantities.items():
        if name not in known:
            continue
        tensor = _rolled_up(known[name], quantity, known, axes)
        if axes.dim in tensor.dims:
            tensor = tensor.reindex({axes.dim: axes.rows, axes.time: axes.hours})
            values = tensor.values(axes.dim, axes.time)
        else:
            values = tensor.reindex({axes.time: axes.hours}).values(axes.time).reshape(1, -1)
        found[name] = values.detach().numpy().astype(np.float64)
    return found


def _rolled_up(
    tensor: "IndexTensor", quantity: Quantity, known: Mapping[str, "IndexTensor"], axes: Axes
) -> "IndexTensor":
    """Dims beside rows and time, put together as the contract says."""
    for dim in tensor.dims:
        if dim in (axes.dim, axes.time):
            continue
        how = quantity.aggregated(dim)
        if how == "sum":
            tensor = tensor.sum(dim)
        elif isinstance(how, Weighted) and how.by in known and dim in known[how.by].dims:
            weights = known[how.by]
            tensor = (tensor * weights).sum(dim) / weights.sum(dim)
        else:
            tensor = tensor.mean(dim)
    return tensor


def together(values: Values, quantity: Quantity, dim: str, position: int) -> Array:
    """Combine a quantity along the axis of a dim, as its contract says.

    Args:
        values: arrays (rows, hour) by name.
        quantity: which one.
        dim: name of the dim.
        position: its axis, -2 for the rows and -1 for time.
    """
    how = quantity.aggregated(dim)
    own = values[quantity.name]
    if how == "sum":
        return np.asarray(own.sum(axis=position))
    if isinstance(how, Weighted) and how.by in values:
        weights = np.broadcast_to(values[how.by], own.shape)
        total = weights.sum(axis=position)
        mean = (own * weights).sum(axis=position) / np.where(total > 0, total, 1.0)
        return np.asarray(np.where(total > 0, mean, own.mean(axis=position)), dtype=np.float64)
    return np.asarray(own.mean(axis=position))


def with_total(values: Values, quantity: Quantity, axes: Axes) -> Array:
    """A quantity by row, all rows together first: (1 + rows, hour)."""
    own = values[quantity.name]
    if axes.dim in quantity.dim_names:
        return np.vstack([together(values, quantity, axes.dim, -2), own])
    return np.vstack([own, np.full((len(axes.rows), own.shape[1]), np.nan)])


def overall(values: Values, quantity: Quantity, axes: Axes) -> float:
    """One figure for all rows and hours: a sum, or a weighted mean."""
    own = values[quantity.name]
    how = quantity.aggregated(axes.time)
    ways = (how, quantity.aggregated(axes.dim)) if axes.dim in quantity.dim_names else (how,)
    needed = {quantity.name, *(way.by for way in ways if isinstance(way, Weighted))}
    known = {
        name: np.broadcast_to(values[name], own.shape)
        for name in needed & values.keys()
        if len(values[name]) in (1, len(own))
    }
    if axes.dim in quantity.dim_names and quantity.aggregated(axes.dim) != how:
        # A stock that adds up over rows but not over hours: rows first.
        weights = {how.by: known[how.by].sum(-2)} if isinstance(how, Weighted) else {}
        known = {**weights, quantity.name: together(values, quantity, axes.dim, -2)}
    flat = {name: array.reshape(1, -1) for name, array in known.items()}
    return float(together(flat, quantity, axes.time, -1)[0])
