"""Levers and marginal effects as pages show them: rows by time, one layer per further label."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dagcast.figures import labelled
from dagcast.plans import Axes, Reading

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor

Array = npt.NDArray[np.float64]


def layers_of(tensor: "IndexTensor", axes: Axes) -> dict[str, Array]:
    """A tensor as arrays (rows, hour), by the labels of its dims beside rows and time.

    Without such dims the one layer has an empty name. A tensor without the dim of the rows has one
    row, and sums count it once; cells that it lacks are NaN.
    """
    others = tuple(dim for dim in tensor.dims if dim not in (axes.dim, axes.time))
    tensor = tensor.detach()
    layout = {axes.time: axes.hours}
    if axes.dim in tensor.dims:
        layout[axes.dim] = axes.rows
    values = tensor.reindex(layout, fill=float("nan")).values(
        *others, *([axes.dim] if axes.dim in tensor.dims else []), axes.time
    )
    rows = len(axes.rows) if axes.dim in tensor.dims else 1
    flat = values.reshape(-1, rows, len(axes.hours)).numpy().astype(np.float64)
    names = itertools.product(*(tensor.index(dim) for dim in others))
    return {labelled(labels): part for labels, part in zip(names, flat, strict=True)}


def named_layers(
    tensors: "Mapping[str, IndexTensor]", readings: Mapping[str, Reading], axes: Axes
) -> dict[str, dict[str, Array]]:
    """Layers of several levers, by lever; a layer without labels is called as its lever is."""
    return {
        lever: {
            name or readings[lever].title: values
            for name, values in layers_of(tensor, axes).items()
        }
        for lever, tensor in tensors.items()
    }
