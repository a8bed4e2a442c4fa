"""Vectorised selection: parameters by hour of week, gathered at every hour."""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import torch

from dagcast_core.tensor._align import align
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError, LabelError, show_labels
from dagcast_core.tensor._index import Axis
from dagcast_core.tensor._layout import Layout, intern_layout
from dagcast_core.tensor._match import check_unique
from dagcast_core.tensor._settings import SETTINGS

# Positions of the labels held in a tensor, by identity and version of that tensor. Checking
# eight million labels costs as much as the gather itself, and a fit gathers by the same ones
# in every step.
_POSITIONS: OrderedDict[tuple[int, Axis], tuple[weakref.ref[torch.Tensor], int, torch.Tensor]] = (
    OrderedDict()
)
_POSITIONS_KEPT = 32


def gather(value: Any, position: int, labels: Labelled, attempt: str) -> Any:
    """Look up, along one dim, the label that stands in each cell of another tensor.

    The dims of ``labels`` take the place of the dim; those that ``value`` has too are matched by
    label rather than repeated.

    Args:
        value: where to look up.
        position: position of the dim to look up along.
        labels: whole numbers that are labels of that dim.
        attempt: what the user tried, for error messages.

    Returns:
        Dims of ``value`` in order, the looked-up dim replaced by the new dims.

    Raises:
        LabelError: a value is no label.
        AlignmentError: the shared dims do not meet, or labels are not whole numbers.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> base = IndexTensor([[1.0, 2.0], [3.0, 4.0]], {"region": ["a", "b"], "day": [0, 1]})
        >>> day = IndexTensor([[1, 1, 0], [0, 0, 1]], {"region": ["a", "b"], "hour": [7, 8, 9]})
        >>> gather(base, 1, day, "select").tolist()
        [[2.0, 2.0, 1.0], [3.0, 3.0, 4.0]]
    """
    axis = value._layout.axes[position]
    own = labels._layout.where
    if axis.dim in own and labels.dims != (axis.dim,):
        raise AlignmentError(
            f"{attempt}: the labels have the dim {axis.dim!r} themselves. Rename it first.",
            dim=axis.dim,
        )
    shared = tuple(dim for dim in value.dims if dim in own and dim != axis.dim)
    cells = wrap(labels, label_positions(axis, labels._tensor, attempt, call_name(value)),
                 labels._layout, labels._name)  # fmt: skip
    if any(value._layout.axis(dim) is not cells._layout.axis(dim) for dim in shared):
        value, cells = _meet(value, cells, attempt)
    layout = value._layout
    new = tuple(a for a in cells._layout.axes if a.dim not in shared)
    result = intern_layout((*layout.axes[:position], *new, *layout.axes[position + 1 :]))
    if shared:
        picked = _pick_in_rows(value, position, shared, cells, result)
    else:
        table = value._tensor
        flat = table.index_select(position, cells._tensor.reshape(-1))
        picked = flat.reshape(result.shape)
    return wrap(value, picked, result, value._name)


def _meet(value: Any, cells: Any, attempt: str) -> tuple[Any, Any]:
    """Both sides on the labels of the dims they share, under the join in force."""
    join = SETTINGS.get().join
    if join in ("left", "outer"):
        raise AlignmentError(
            f"{attempt}: a missing label has no value under the join {join!r}. "
            "Reindex first, or use an inner or exact join."
        )
    return align(value, cells)


def _pick_in_rows(
    value: Any, position: int, shared: tuple[str, ...], cells: Any, result: Layout
) -> torch.Tensor:
    """Gather row by row, a row being one label of every shared dim."""
    layout, table = value._layout, value._tensor
    rest = [i for i, dim in enumerate(layout.dims) if i != position and dim not in shared]
    new = [dim for dim in cells.dims if dim not in shared]
    order = [cells._layout.where[dim] for dim in (*shared, *new)]
    index = cells._tensor.permute(order)
    shape = (*index.shape, *(layout.shape[i] for i in rest))
    rows = math.prod(index.shape[: len(shared)])
    # shape: (shared, looked-up dim, rest)
    table = table.permute(*(layout.where[dim] for dim in shared), position, *rest)
    size = layout.shape[position]
    columns = math.prod(index.shape[len(shared) :])
    index = index.reshape(rows, columns)
    if rest:
        index = index + torch.arange(rows, device=index.device).unsqueeze(1) * size
        width = math.prod(layout.shape[i] for i in rest)
        picked = table.reshape(rows * size, width).index_select(0, index.reshape(-1))
    else:
        picked = table.reshape(rows, size).gather(1, index)
    have = (*shared, *new, *(layout.dims[i] for i in rest))
    shaped: torch.Tensor = picked.reshape(shape)
    return shaped.permute([have.index(dim) for dim in result.dims])


def label_positions(axis: Axis, tensor: torch.Tensor, attempt: str, who: str) -> torch.Tensor:
    """Position of each value among the labels; remembered while the tensor lives unchanged.

    Example:
        >>> from dagcast_core.tensor._index import intern_axis
        >>> label_positions(intern_axis("n", [5, 7]), torch.tensor([7, 5]), "select", "a").tolist()
        [1, 0]
    """
    if tensor.is_floating_point() or tensor.is_complex():
        raise AlignmentError(
            f"{attempt}: the labels are {tensor.dtype}, and a vectorised selection needs whole "
            "numbers. Convert them with .to(torch.int64).",
            dim=axis.dim,
        )
    if axis.kind != "int":
        raise AlignmentError(
            f"{attempt}: labels along {axis.dim!r} are {axis.kind}, and an IndexTensor holds "
            "numbers. Relabel the dim with whole numbers first.",
            dim=axis.dim,
        )
    try:
        key, version = (id(tensor), axis), tensor._version
    except RuntimeError:  # inference tensors have no version
        return _find_positions(axis, tensor, attempt, who)
    known = _POSITIONS.get(key)
    if known is not None and known[0]() is tensor and known[1] == version:
        _POSITIONS.move_to_end(key)
        return known[2]
    found = _find_positions(axis, tensor, attempt, who)
    _POSITIONS[key] = (weakref.ref(tensor, lambda _: _POSITIONS.pop(key, None)), version, found)
    while len(_POSITIONS) > _POSITIONS_KEPT:
        _POSITIONS.popitem(last=False)
    return found


def _find_positions(axis: Axis, tensor: torch.Tensor, attempt: str, who: str) -> torch.Tensor:
    check_unique(axis, who, attempt)
    wanted = tensor.detach().to(torch.int64)
    if not wanted.numel():
        return wanted
    low, high = (int(end) for end in torch.aminmax(wanted))
    labels = axis.index.to_numpy().astype(np.int64)
    run = np.array_equal(labels, np.arange(labels[0], labels[0] + labels.size)) if axis.size else 0
    if run and low >= labels[0] and high <= labels[-1]:
        # Without an offset the labels are the positions, and nothing is copied.
        return wanted if labels[0] == 0 else wanted - int(labels[0])
    order = np.argsort(labels, kind="stable")
    ranked = torch.from_numpy(labels[order])
    places = torch.searchsorted(ranked, wanted.cpu().contiguous()).clamp_(max=max(axis.size - 1, 0))
    if not axis.size or not torch.equal(ranked[places], wanted.cpu()):
        bad = wanted.cpu() if not axis.size else wanted.cpu()[ranked[places] != wanted.cpu()]
        raise LabelError(
            f"{attempt}: {bad.numel()} of {wanted.numel()} values are no labels, "
            f"such as {int(bad.reshape(-1)[0])}.\n"
            f"  {who}  {show_labels(axis.index, axis.size)}",
            dim=axis.dim,
            right=axis.index,
        )
    return torch.from_numpy(order)[places].to(tensor.device)
