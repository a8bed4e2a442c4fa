"""Several tensors into one: concatenation, stacking and sums of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from dagcast_core.tensor._align import bring_together, broadcast_to, common_name
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError, LabelError, show_label
from dagcast_core.tensor._index import DimLike, dim_name, intern_axis
from dagcast_core.tensor._layout import intern_layout
from dagcast_core.tensor._settings import settings


def concat(tensors: Sequence[Any], dim: DimLike) -> Any:
    """Join tensors end to end along a dim that all of them have.

    Other dims are joined by label, as in any operation.

    Args:
        tensors: at least one; labels along ``dim`` must not repeat.
        dim: dim to extend.

    Returns:
        An IndexTensor with the dims of the first.

    Raises:
        AlignmentError: a label occurs in two tensors, or dims differ.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0], {"hour": [0]})
        >>> b = IndexTensor([2.0], {"hour": [1]})
        >>> concat([a, b], "hour").tolist()
        [1.0, 2.0]
    """
    tensors = list(tensors)
    name = dim_name(dim)
    if not tensors:
        raise ValueError(f"cannot concatenate along {name!r}: there are no tensors.")
    _check_labelled(tensors, "concatenate")
    first = tensors[0]
    for tensor in tensors:
        tensor._layout.position(name, f"cannot concatenate along {name!r}")
        if set(tensor.dims) != set(first.dims):
            raise AlignmentError(
                f"cannot concatenate along {name!r}: dims differ, {first.dims} in "
                f"{call_name(first)} against {tensor.dims} in {call_name(tensor)}. "
                "Expand or reduce one of them."
            )
    position = first._layout.where[name]
    others = [_without(tensor, name) for tensor in tensors]
    _, rest = bring_together("concat", tuple(others), settings())
    pieces, indexes = [], []
    for tensor in tensors:
        axis = tensor._layout.axis(name)
        own = intern_layout((*rest.axes[:position], axis, *rest.axes[position:]))
        pieces.append(broadcast_to(tensor, own, settings(), "concat"))
        indexes.append(axis.index)
    index = indexes[0].append(indexes[1:]) if len(indexes) > 1 else indexes[0]
    repeated = index[index.duplicated()]
    if len(repeated):
        raise AlignmentError(
            f"cannot concatenate along {name!r}: {len(repeated)} labels occur twice, such as "
            f"{show_label(repeated[0])}. Select one side's first.",
            dim=name,
        )
    kinds = {tensor._layout.axis(name).kind for tensor in tensors if tensor.sizes[name]}
    if len(kinds) > 1:
        raise AlignmentError(
            f"cannot concatenate along {name!r}: labels are of the kinds {sorted(kinds)}. "
            "Relabel one side.",
            dim=name,
        )
    axis = intern_axis(name, index)
    layout = intern_layout((*rest.axes[:position], axis, *rest.axes[position:]))
    return wrap(first, torch.cat(pieces, dim=position), layout, common_name(tuple(tensors)))


def stack(tensors: Sequence[Any] | Mapping[Any, Any], dim: DimLike, labels: Any = None) -> Any:
    """Join tensors along a new first dim.

    Args:
        tensors: tensors by label, or in the order of ``labels``. Shared dims are joined by label;
            dims that one lacks are repeated.
        dim: name of the new dim.
        labels: labels of the new dim; the keys of a mapping, or the tensors' names, by default.

    Returns:
        An IndexTensor whose first dim is new.

    Raises:
        AlignmentError: labels do not meet, or the number of labels is wrong.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "low")
        >>> stack({"x": a, "y": a * 2}, "case").sel(case="y").tolist()
        [2.0, 4.0]
    """
    if isinstance(tensors, Mapping):
        labels = list(tensors) if labels is None else labels
        tensors = list(tensors.values())
    tensors = list(tensors)
    name = dim_name(dim)
    if not tensors:
        raise ValueError(f"cannot stack along {name!r}: there are no tensors.")
    _check_labelled(tensors, "stack")
    if labels is None:
        labels = [tensor._name for tensor in tensors]
        if None in labels:
            raise AlignmentError(
                f"cannot stack along {name!r}: tensors without a name need labels=[...]."
            )
    axis = intern_axis(name, labels)
    if axis.size != len(tensors):
        raise AlignmentError(
            f"cannot stack along {name!r}: {axis.size} labels for {len(tensors)} tensors.", dim=name
        )
    parts, layout = bring_together("stack", tuple(tensors), settings())
    whole = torch.stack([part.expand(layout.shape) for part in parts])
    result = intern_layout((axis, *layout.axes))
    return wrap(tensors[0], whole, result, common_name(tuple(tensors)))


def dot(*tensors: Any, dims: DimLike | Sequence[DimLike] | None = None) -> Any:
    """Sum of products over dims, without building the products.

    Args:
        tensors: two or more; shared dims are joined by label.
        dims: dims to sum over; by default those that every tensor has.

    Returns:
        An IndexTensor with the remaining dims, those of the first tensor leading.

    Raises:
        AlignmentError: labels do not meet.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> price = IndexTensor([2.0, 3.0], {"region": ["SFO", "LAX"]})
        >>> rides = IndexTensor([[1.0], [1.0]], {"region": ["SFO", "LAX"], "hour": [0]})
        >>> dot(price, rides, dims="region").tolist()
        [5.0]
    """
    if len(tensors) < 2:
        raise TypeError(f"dot() multiplies at least two tensors; found {len(tensors)}.")
    _check_labelled(tensors, "multiply")
    _, layout = bring_together("dot", tensors, settings())
    names = list(dict.fromkeys(dim for tensor in tensors for dim in tensor.dims))
    if dims is None:
        over = [dim for dim in names if all(dim in tensor.dims for tensor in tensors)]
    else:
        listed = [dims] if isinstance(dims, str) or hasattr(dims, "name") else list(dims)
        over = [dim_name(dim) for dim in listed]
    unknown = [dim for dim in over if dim not in names]
    if unknown:
        raise LabelError(f"cannot sum over {unknown}: the dims are {names}.")
    kept = [dim for dim in names if dim not in over]
    operands: list[Any] = []
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    for tensor in tensors:
        own = intern_layout(tuple(layout.axis(dim) for dim in tensor.dims))
        operands.append(broadcast_to(tensor, own, settings(), "dot").to(dtype))
        operands.append([names.index(dim) for dim in tensor.dims])
    product = torch.einsum(*operands, [names.index(dim) for dim in kept])
    result = intern_layout(tuple(layout.axis(dim) for dim in kept))
    return wrap(tensors[0], product, result, common_name(tensors))


def _without(tensor: Any, dim: str) -> Any:
    """A tensor's labels without one dim; the values are not looked at."""
    layout = tensor._layout.without((tensor._layout.where[dim],))
    return wrap(tensor, tensor._tensor, layout, tensor._name)


def _check_labelled(tensors: Sequence[Any], verb: str) -> None:
    for tensor in tensors:
        if not isinstance(tensor, Labelled):
            kind = "a pandas object" if isinstance(tensor, (pd.Series, pd.DataFrame)) else "a"
            raise TypeError(f"cannot {verb} {kind} {type(tensor).__name__}: label it first.")
